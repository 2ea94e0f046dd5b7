// SPDX-License-Identifier: Apache-2.0
// Green lists made by shuffling a vocabulary with PyTorch's generator: the first green_size entries
// of torch.randperm(vocab_size), on a CPU.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "watermark/kernels/dispatch.h"
#include "watermark/token.h"

namespace countermark {

// out[n] = 1 if tokens[n] is on the list of seeds[n], else 0; tokens beyond the vocabulary are not.
// green_size <= vocab_size < TorchGenerator::kMaxPermutation.
void green_bits(std::span<const std::uint32_t> seeds, TokenSpan tokens, std::uint32_t vocab_size,
                std::uint32_t green_size, std::span<std::uint8_t> out,
                const Kernel* kernel = nullptr);

// The whole list as a set: token t is on it if bit t % 64 of word t / 64 is 1.
std::vector<std::uint64_t> green_list(std::uint32_t seed, std::uint32_t vocab_size,
                                      std::uint32_t green_size, const Kernel* kernel = nullptr);

}  // namespace countermark
