// SPDX-License-Identifier: Apache-2.0
#include "watermark/prf/philox.h"

#include <cassert>
#include <cstddef>

namespace countermark {
namespace {

constexpr std::uint32_t low(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
constexpr std::uint32_t high(std::uint64_t value) {
  return static_cast<std::uint32_t>(value >> 32);
}

}  // namespace

PhiloxBlock philox4x32_10(const PhiloxBlock& counter, std::uint32_t key_low,
                          std::uint32_t key_high) noexcept {
  PhiloxBlock c = counter;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{c[0]} * 0xd2511f53;
    const std::uint64_t b = std::uint64_t{c[2]} * 0xcd9e8d57;
    c = {high(b) ^ c[1] ^ key_low, low(b), high(a) ^ c[3] ^ key_high, low(a)};
    key_low += 0x9e3779b9;
    key_high += 0xbb67ae85;
  }
  return c;
}

void vllm_states(std::uint64_t key, unsigned width, TokenSpan contexts,
                 std::span<PhiloxBlock> out) {
  assert(contexts.size() == out.size() * width);
  for (std::size_t n = 0; n < out.size(); ++n) {
    const TokenSpan context = contexts.subspan(n * width, width);
    PhiloxBlock state{0x574d4358, width, 0, 0};
    for (std::uint32_t offset = 0; offset < width; offset += 4) {
      for (std::uint32_t i = 0; i < 4; ++i)
        state[i] ^= offset + i < width ? context[offset + i] : 0xffffffff - i;
      state = philox4x32_10(state, low(key) ^ offset, high(key));
    }
    out[n] = state;
  }
}

void vllm_words(std::uint64_t key, std::uint64_t stream, std::span<const PhiloxBlock> states,
                TokenSpan tokens, std::span<std::uint32_t> out) {
  assert(states.size() == out.size() && tokens.size() == out.size());
  for (std::size_t n = 0; n < out.size(); ++n) {
    const PhiloxBlock& state = states[n];
    out[n] = philox4x32_10({tokens[n] >> 2, state[0], state[1], state[2]},
                           low(key) ^ state[3] ^ high(stream),
                           high(key) ^ 0x574d544b ^ low(stream))[tokens[n] & 3];
  }
}

void sbw_words(std::span<const std::uint64_t> seeds, TokenSpan tokens,
               std::span<std::uint32_t> out) {
  assert(seeds.size() == out.size() && tokens.size() == out.size());
  for (std::size_t n = 0; n < out.size(); ++n)
    out[n] = philox4x32_10({tokens[n] >> 2, 0, 0, 0}, low(seeds[n]), high(seeds[n]))[tokens[n] & 3];
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
