// SPDX-License-Identifier: Apache-2.0
#include "watermark/prf/philox.h"

#include <cassert>
#include <cstddef>

namespace countermark {
namespace {

template <typename Block>
auto words_of(std::span<Block> blocks) {
  return blocks.empty() ? nullptr : blocks[0].data();
}

}  // namespace

PhiloxBlock philox4x32_10(const PhiloxBlock& counter, std::uint32_t key_low,
                          std::uint32_t key_high) noexcept {
  PhiloxBlock c = counter;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{c[0]} * 0xd2511f53;
    const std::uint64_t b = std::uint64_t{c[2]} * 0xcd9e8d57;
    const auto high = [](std::uint64_t product) {
      return static_cast<std::uint32_t>(product >> 32);
    };
    c = {high(b) ^ c[1] ^ key_low, static_cast<std::uint32_t>(b), high(a) ^ c[3] ^ key_high,
         static_cast<std::uint32_t>(a)};
    key_low += 0x9e3779b9;
    key_high += 0xbb67ae85;
  }
  return c;
}

void vllm_states(std::uint64_t key, unsigned width, TokenSpan contexts, std::span<PhiloxBlock> out,
                 const Kernel* kernel) {
  assert(contexts.size() == out.size() * width);
  kernel_or_active(kernel).vllm_states(key, width, contexts.data(), out.size(), words_of(out), 4);
}

void vllm_words(std::uint64_t key, std::uint64_t stream, std::span<const PhiloxBlock> states,
                TokenSpan tokens, std::span<std::uint32_t> out, const Kernel* kernel) {
  assert(states.size() == out.size() && tokens.size() == out.size());
  kernel_or_active(kernel).vllm_words(key, stream, words_of(states), 4, tokens.data(), 1,
                                      out.size(), out.data());
}

void sbw_words(std::span<const std::uint64_t> seeds, TokenSpan tokens, std::span<std::uint32_t> out,
               const Kernel* kernel) {
  assert(seeds.size() == out.size() && tokens.size() == out.size());
  kernel_or_active(kernel).sbw_words(seeds.data(), tokens.data(), out.size(), out.data());
}

std::uint32_t sbw_hash(std::uint32_t token) noexcept {
  const auto shift_right = [](std::uint32_t value, int by) {
    return static_cast<std::uint32_t>(static_cast<std::int32_t>(value) >> by);
  };
  std::uint32_t i = token + 1;
  i -= i << 6;
  i ^= shift_right(i, 17);
  i -= i << 9;
  i ^= i << 4;
  i -= i << 3;
  i ^= i << 10;
  i ^= shift_right(i, 15);
  return i;
}

}  // namespace countermark
