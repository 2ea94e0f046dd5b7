// SPDX-License-Identifier: Apache-2.0
#include "verifier/detect/fingerprint_set.h"

#include <algorithm>
#include <bit>

namespace countermark::detect {
namespace {

// Four fingerprints a line on average.
std::size_t lines_for(std::size_t fingerprints) noexcept {
  return std::bit_ceil(fingerprints / 4 + 1);
}

}  // namespace

void FingerprintSet::clear(std::size_t expected) {
  size_ = 0;
  lines_.assign(lines_for(expected), Line{});
}

std::size_t FingerprintSet::insert(std::span<const std::uint64_t> fingerprints,
                                   std::vector<std::uint8_t>& fresh) {
  const std::size_t lines = lines_for(size_ + fingerprints.size());
  if (lines > lines_.size()) {
    std::vector<std::uint64_t> held;
    held.reserve(size_);
    for (const Line& line : lines_)
      for (const std::uint64_t place : line.places)
        if (place != 0) held.push_back(place);
    clear(4 * lines - 4);
    size_ = held.size();
    fresh.resize(held.size());
    if (!held.empty())
      kernel_->insert_all(lines_[0].places, mask(), held.data(), held.size(), fresh.data());
  }
  fresh.resize(fingerprints.size());
  if (fingerprints.empty()) return 0;
  const std::size_t inserted = kernel_->insert_all(lines_[0].places, mask(), fingerprints.data(),
                                                   fingerprints.size(), fresh.data());
  size_ += inserted;
  return inserted;
}

bool FingerprintSet::contains(std::uint64_t fingerprint) const noexcept {
  if (lines_.empty()) return false;
  for (std::uint64_t at = fingerprint & mask();; at = (at + 1) & mask()) {
    for (const std::uint64_t place : lines_[at].places) {
      if (place == fingerprint) return true;
      if (place == 0) return false;
    }
  }
}

}  // namespace countermark::detect
