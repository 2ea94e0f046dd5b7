// SPDX-License-Identifier: Apache-2.0
// A small fixed generator for test inputs, and keys and profiles made with it. Nothing secret.
#pragma once

#include <array>
#include <cstdint>

#include "watermark/marks/native.h"

namespace countermark::tests {

// splitmix64 (Steele, Lea, Flood 2014): the same numbers on every machine.
class SplitMix64 {
 public:
  explicit SplitMix64(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() noexcept {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  // 0 to bound - 1; the bias is below 2^-32 * bound.
  std::uint32_t below(std::uint32_t bound) noexcept {
    return static_cast<std::uint32_t>(((next() >> 32) * bound) >> 32);
  }

  // In [0, 1).
  double unit() noexcept { return static_cast<double>(next() >> 11) * 0x1p-53; }

  template <std::size_t kSize>
  Secret<kSize> secret() noexcept {
    std::array<std::uint8_t, kSize> bytes{};
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(next() >> 56);
    return Secret<kSize>(bytes);
  }

  EpochKey epoch_key() { return EpochKey::create(secret<32>(), "model", "epoch").value(); }

 private:
  std::uint64_t state_;
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
