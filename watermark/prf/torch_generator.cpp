// SPDX-License-Identifier: Apache-2.0
#include "watermark/prf/torch_generator.h"

#include <cassert>
#include <numeric>
#include <utility>

namespace countermark {

void TorchGenerator::manual_seed(std::uint64_t seed) noexcept {
  state_[0] = static_cast<std::uint32_t>(seed);
  for (std::uint32_t j = 1; j < state_.size(); ++j)
    state_[j] = 1812433253 * (state_[j - 1] ^ state_[j - 1] >> 30) + j;
  next_ = state_.size();
}

void TorchGenerator::twist() noexcept {
  const std::size_t size = state_.size();
  for (std::size_t j = 0; j < size; ++j) {
    const std::uint32_t y = (state_[j] & 0x80000000) | (state_[(j + 1) % size] & 0x7fffffff);
    state_[j] = state_[(j + 397) % size] ^ y >> 1 ^ ((y & 1) != 0 ? 0x9908b0df : 0);
  }
  next_ = 0;
}

std::uint32_t TorchGenerator::random() noexcept {
  if (next_ == state_.size()) twist();
  std::uint32_t y = state_[next_++];
  y ^= y >> 11;
  y ^= y << 7 & 0x9d2c5680;
  y ^= y << 15 & 0xefc60000;
  return y ^ y >> 18;
}

std::uint64_t TorchGenerator::random64() noexcept {
  const std::uint64_t high = random();
  return high << 32 | random();
}

std::vector<std::uint32_t> TorchGenerator::randperm(std::uint32_t n) {
  assert(n < kMaxPermutation);
  std::vector<std::uint32_t> out(n);
  std::iota(out.begin(), out.end(), 0U);
  for (std::uint32_t i = 0; i + 1 < n; ++i) std::swap(out[i], out[i + random() % (n - i)]);
  return out;
}

float TorchGenerator::rand_float() noexcept {
  return static_cast<float>(random() & 0xffffff) * 0x1p-24F;
}

std::uint64_t TorchGenerator::randint(std::uint64_t range) noexcept {
  assert(range >= 1);
  return (range < std::uint64_t{1} << 28 ? random() : random64()) % range;
}

}  // namespace countermark
