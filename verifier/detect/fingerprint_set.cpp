// SPDX-License-Identifier: Apache-2.0
#include "verifier/detect/fingerprint_set.h"

#include <algorithm>
#include <bit>
#include <iterator>

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

void FingerprintSet::make_room(std::size_t more) {
  const std::size_t lines = lines_for(size_ + more);
  if (lines <= lines_.size()) return;
  std::vector<std::uint64_t> held;
  held.reserve(size_);
  for (const Line& line : lines_)
    held.insert(held.end(), line.fingerprints, line.fingerprints + line.size);
  clear(4 * lines - 4);
  std::vector<std::uint8_t> fresh;
  insert(held, fresh);
}

std::size_t FingerprintSet::insert(const std::uint8_t* from, const std::uint32_t* indices,
                                   std::uint64_t addend, std::size_t count,
                                   std::vector<std::uint8_t>& fresh) {
  make_room(count);
  if (fresh.size() < count) fresh.resize(count);
  const std::size_t inserted =
      kernel_->insert_all(&lines_[0].size, mask(), from, indices, addend, count, fresh.data());
  size_ += inserted;
  return inserted;
}

std::size_t FingerprintSet::insert(std::span<const std::uint64_t> fingerprints,
                                   std::vector<std::uint8_t>& fresh) {
  if (fingerprints.empty()) return 0;
  return insert(reinterpret_cast<const std::uint8_t*>(fingerprints.data()), nullptr, 0,
                fingerprints.size(), fresh);
}

std::size_t FingerprintSet::insert(std::span<const Block> states,
                                   std::span<const std::uint32_t> indices, unsigned width,
                                   std::vector<std::uint8_t>& fresh) {
  if (indices.empty()) return 0;
  static_assert(sizeof(Block) == 16);
  return insert(states[0].data(), indices.data(), width, indices.size(), fresh);
}

bool FingerprintSet::contains(std::uint64_t fingerprint) const noexcept {
  if (lines_.empty()) return false;
  if (fingerprint < 8) fingerprint += 8;  // as insert_all has it
  for (std::uint64_t at = fingerprint & mask();; at = (at + 1) & mask()) {
    const Line& line = lines_[at];
    const auto* const end = line.fingerprints + line.size;
    if (std::find(line.fingerprints, end, fingerprint) != end) return true;
    if (line.size < std::size(line.fingerprints)) return false;
  }
}

}  // namespace countermark::detect
