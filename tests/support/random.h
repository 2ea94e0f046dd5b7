// SPDX-License-Identifier: Apache-2.0
// Test inputs from a small fixed generator, and keys and profiles made with it. Nothing secret.
#pragma once

#include <array>
#include <cstdint>

#include "tests/support/random_numbers.h"
#include "watermark/marks/native.h"

namespace countermark::tests {

class SplitMix64 : public RandomNumbers {
 public:
  using RandomNumbers::RandomNumbers;

  template <std::size_t kSize>
  Secret<kSize> secret() noexcept {
    std::array<std::uint8_t, kSize> bytes{};
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(next() >> 56);
    return Secret<kSize>(bytes);
  }

  EpochKey epoch_key() { return EpochKey::create(secret<32>(), "model", "epoch").value(); }
};

inline Profile one_layer(unsigned width, LayerKind kind = LayerKind::kShared,
                         std::uint32_t slots = 1) {
  return Profile::create({{kind, width, kShareTotal, slots}}, std::nullopt).value();
}

inline NativeMark make_mark(const EpochKey& key, const Profile& profile,
                            const Kernel* kernel = nullptr) {
  return NativeMark::create(key, profile, kernel).value();
}

}  // namespace countermark::tests
