// SPDX-License-Identifier: Apache-2.0
#include "watermark/prf/murmur3.h"

#include <array>
#include <bit>
#include <cassert>
#include <cstddef>

namespace countermark {
namespace {

constexpr std::uint32_t low(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
constexpr std::uint32_t high(std::uint64_t value) {
  return static_cast<std::uint32_t>(value >> 32);
}

std::uint32_t absorb(std::uint32_t s, std::span<const std::uint32_t> words) {
  for (const std::uint32_t word : words) {
    s ^= std::rotl(word * 0xcc9e2d51, 15) * 0x1b873593;
    s = std::rotl(s, 13) * 5 + 0xe6546b64;
  }
  return s;
}

}  // namespace

std::uint32_t murmur3_words(std::span<const std::uint32_t> words) noexcept {
  std::uint32_t s = absorb(0, words) ^ 4 * static_cast<std::uint32_t>(words.size());
  s = (s ^ s >> 16) * 0x85ebca6b;
  s = (s ^ s >> 13) * 0xc2b2ae35;
  return s ^ s >> 16;
}

void sglang_context_hashes(unsigned width, TokenSpan contexts, std::span<std::uint32_t> out,
                           const Kernel* kernel) {
  assert(contexts.size() == out.size() * width);
  kernel_or_active(kernel).murmur_contexts(width, contexts.data(), out.size(), out.data());
}

void sglang_words(std::uint64_t key, std::span<const std::uint32_t> context_hashes,
                  TokenSpan tokens, std::span<std::uint32_t> out, const Kernel* kernel) {
  assert(context_hashes.size() == out.size() && tokens.size() == out.size());
  kernel_or_active(kernel).murmur_pairs(absorb(0, std::array{low(key), high(key)}), 2,
                                        context_hashes.data(), tokens.data(), out.size(),
                                        out.data());
}

void sglang_coins(std::uint64_t key_a, std::uint64_t key_b,
                  std::span<const std::uint32_t> context_hashes, std::span<std::uint32_t> out) {
  assert(context_hashes.size() == out.size());
  for (std::size_t n = 0; n < out.size(); ++n)
    out[n] = murmur3_words(
        std::array{low(key_a), high(key_a), low(key_b), high(key_b), context_hashes[n]});
}

}  // namespace countermark
