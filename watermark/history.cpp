// SPDX-License-Identifier: Apache-2.0
#include "watermark/history.h"

#include <bit>
#include <cassert>

namespace countermark {

History::History(std::size_t capacity)
    : capacity_(capacity), slots_(std::bit_ceil(2 * capacity + 2)) {
  log_.reserve(capacity);
}

// The slot that holds the fingerprint, or the empty one where it would go. Fingerprints are
// outputs of a keyed permutation, so their low bits need no further mixing.
std::size_t History::find(std::uint64_t fingerprint) const noexcept {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = fingerprint & mask;
  while (slots_[at] != 0 && log_[slots_[at] - 1] != fingerprint) at = (at + 1) & mask;
  return at;
}

bool History::contains(std::uint64_t fingerprint) const noexcept {
  return slots_[find(fingerprint)] != 0;
}

bool History::insert(std::uint64_t fingerprint) noexcept {
  if (full()) return false;
  const std::size_t at = find(fingerprint);
  if (slots_[at] != 0) return false;
  log_.push_back(fingerprint);
  slots_[at] = static_cast<std::uint32_t>(log_.size());
  return true;
}

void History::rewind(std::size_t size) noexcept {
  assert(size <= log_.size());
  while (log_.size() > size) {
    slots_[find(log_.back())] = 0;
    log_.pop_back();
  }
}

}  // namespace countermark
