// SPDX-License-Identifier: Apache-2.0
// A growing set of 64-bit fingerprints, for "have we seen this before?".
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace countermark::detect {

// Open addressing at a load of at most one half. Fingerprints must be well mixed in their low
// bits. Two tuples that share one count as one: that can only drop evidence. With n tuples the
// expected number of dropped ones is n^2 / 2^65.
class FingerprintSet {
 public:
  // True when it was not there yet. O(1) amortised.
  bool insert(std::uint64_t fingerprint) {
    if (2 * (size_ + 1) > slots_.size()) grow();
    std::uint64_t* slot = find(fingerprint);
    if (*slot != kEmpty) return false;
    *slot = stored(fingerprint);
    ++size_;
    return true;
  }

  bool contains(std::uint64_t fingerprint) const noexcept {
    return !slots_.empty() && *const_cast<FingerprintSet*>(this)->find(fingerprint) != kEmpty;
  }

  std::size_t size() const noexcept { return size_; }

 private:
  static constexpr std::uint64_t kEmpty = 0;
  static std::uint64_t stored(std::uint64_t fingerprint) noexcept {
    return fingerprint == kEmpty ? 1 : fingerprint;
  }

  std::uint64_t* find(std::uint64_t fingerprint) noexcept {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = fingerprint & mask;
    while (slots_[at] != kEmpty && slots_[at] != stored(fingerprint)) at = (at + 1) & mask;
    return &slots_[at];
  }

  void grow() {
    std::vector<std::uint64_t> old(std::max<std::size_t>(64, 2 * slots_.size()));
    old.swap(slots_);
    for (const std::uint64_t fingerprint : old)
      if (fingerprint != kEmpty) *find(fingerprint) = fingerprint;
  }

  std::size_t size_ = 0;
  std::vector<std::uint64_t> slots_{};  // a power of two of them
};

}  // namespace countermark::detect
