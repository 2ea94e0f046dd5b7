// SPDX-License-Identifier: Apache-2.0
// PyTorch's generator on a CPU: MT19937 (Matsumoto and Nishimura, 1998), and the draws that marks
// make of it. Plain; what is wanted in bulk is in green_list.h. Lists made on a GPU are others, and
// differ between versions of PyTorch: there is no reader for them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace countermark {

class TorchGenerator {
 public:
  explicit TorchGenerator(std::uint64_t seed) noexcept { manual_seed(seed); }

  // Of the seed, only the low 32 bits count.
  void manual_seed(std::uint64_t seed) noexcept;

  std::uint32_t random() noexcept;
  std::uint64_t random64() noexcept;

  // torch.randperm(n), n < kMaxPermutation; larger ones PyTorch draws in another way.
  static constexpr std::uint32_t kMaxPermutation = 214'748'364;
  std::vector<std::uint32_t> randperm(std::uint32_t n);

  // torch.rand, float32: a multiple of 2^-24 in [0, 1).
  float rand_float() noexcept;

  // torch.randint(0, range) as int64 since PyTorch 2.7: from 2^28 on of 64 bits. Before, of 32
  // bits up to 2^32. range >= 1.
  std::uint64_t randint(std::uint64_t range) noexcept;

 private:
  void twist() noexcept;

  std::array<std::uint32_t, 624> state_;
  std::size_t next_;
};

}  // namespace countermark
