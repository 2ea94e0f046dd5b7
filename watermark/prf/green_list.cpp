// SPDX-License-Identifier: Apache-2.0
#include "watermark/prf/green_list.h"

#include <cassert>
#include <cstddef>
#include <numeric>
#include <utility>

#include "watermark/prf/torch_generator.h"

namespace countermark {
namespace {

// Follows the one token through the shuffle, which at step i swaps the places i and i + z. What
// comes to place i stays there; all that can happen to a token before is that its own place is i.
bool is_green(std::uint32_t seed, TokenId token, std::uint32_t vocab_size,
              std::uint32_t green_size) {
  if (green_size == vocab_size) return token < vocab_size;
  TorchGenerator generator(seed);
  std::uint32_t place = token;
  for (std::uint32_t i = 0; i < green_size; ++i) {
    const std::uint32_t other = i + generator.random() % (vocab_size - i);
    if (other == place) return true;
    if (place == i) place = other;
  }
  return false;
}

}  // namespace

void green_bits(std::span<const std::uint32_t> seeds, TokenSpan tokens, std::uint32_t vocab_size,
                std::uint32_t green_size, std::span<std::uint8_t> out) {
  assert(seeds.size() == out.size() && tokens.size() == out.size());
  assert(green_size <= vocab_size && vocab_size < TorchGenerator::kMaxPermutation);
  for (std::size_t n = 0; n < out.size(); ++n)
    out[n] = is_green(seeds[n], tokens[n], vocab_size, green_size) ? 1 : 0;
}

std::vector<std::uint64_t> green_list(std::uint32_t seed, std::uint32_t vocab_size,
                                      std::uint32_t green_size) {
  assert(green_size <= vocab_size && vocab_size < TorchGenerator::kMaxPermutation);
  std::vector<std::uint32_t> order(vocab_size);
  std::iota(order.begin(), order.end(), 0U);
  std::vector<std::uint64_t> out((std::size_t{vocab_size} + 63) / 64);
  TorchGenerator generator(seed);
  for (std::uint32_t i = 0; i < green_size; ++i) {
    std::swap(order[i], order[i + generator.random() % (vocab_size - i)]);
    out[order[i] / 64] |= std::uint64_t{1} << order[i] % 64;
  }
  return out;
}

}  // namespace countermark
