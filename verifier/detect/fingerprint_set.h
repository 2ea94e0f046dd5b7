// SPDX-License-Identifier: Apache-2.0
// A growing set of 64-bit fingerprints, for "have we seen this before?".
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "watermark/marks/native.h"

namespace countermark::detect {

// Lines of up to seven fingerprints, four at most on average, as CountermarkKernel::insert_all has
// them. Fingerprints must be well mixed in their low bits. Two tuples that share one count as one:
// that can only drop evidence. With n tuples the expected number of dropped ones is n^2 / 2^65.
class FingerprintSet {
 public:
  explicit FingerprintSet(const Kernel& kernel) : kernel_(&kernel) {}

  // Inserts fingerprints in turn; fresh[i] is 1 for one that was not there, else 0; it grows
  // and never shrinks. O(1) each, amortised. Returns how many were fresh.
  std::size_t insert(std::span<const std::uint64_t> fingerprints, std::vector<std::uint8_t>& fresh);
  // The same of contexts of one width: those whose states have these indices.
  std::size_t insert(std::span<const Block> states, std::span<const std::uint32_t> indices,
                     unsigned width, std::vector<std::uint8_t>& fresh);

  bool contains(std::uint64_t fingerprint) const noexcept;

  std::size_t size() const noexcept { return size_; }

  // Empties it and makes room for `expected` fingerprints.
  void clear(std::size_t expected);

 private:
  struct alignas(64) Line {
    std::uint64_t size;
    std::uint64_t fingerprints[7];
  };

  void make_room(std::size_t more);
  std::size_t insert(const std::uint8_t* from, const std::uint32_t* indices, std::uint64_t addend,
                     std::size_t count, std::vector<std::uint8_t>& fresh);
  std::uint64_t mask() const noexcept { return lines_.size() - 1; }

  const Kernel* kernel_;
  std::size_t size_ = 0;
  std::vector<Line> lines_{};  // a power of two of them
};

}  // namespace countermark::detect
