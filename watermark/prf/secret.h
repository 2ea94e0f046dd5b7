// SPDX-License-Identifier: Apache-2.0
// Bytes that must not outlive their use: wiped when they go, and never printable.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "watermark/prf/hash.h"

namespace countermark {

template <std::size_t kSize>
class Secret {
 public:
  Secret() = default;
  explicit Secret(const std::array<std::uint8_t, kSize>& bytes) : bytes_(bytes) {}
  // Takes them over: they are wiped where they came from.
  explicit Secret(std::array<std::uint8_t, kSize>&& bytes) : bytes_(bytes) {
    wipe(bytes.data(), bytes.size());
  }
  // The first kSize bytes of a longer derivation, likewise.
  explicit Secret(std::array<std::uint8_t, 32>&& derived) requires(kSize < 32) {
    for (std::size_t i = 0; i < kSize; ++i) bytes_[i] = derived[i];
    wipe(derived.data(), derived.size());
  }
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;
  ~Secret() { wipe(bytes_.data(), kSize); }

  Bytes view() const noexcept { return bytes_; }
  const std::uint8_t* data() const noexcept { return bytes_.data(); }

 private:
  std::array<std::uint8_t, kSize> bytes_{};
};

}  // namespace countermark
