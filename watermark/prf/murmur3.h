// SPDX-License-Identifier: Apache-2.0
// MurmurHash3 x86_32 (Appleby; public domain) over 32-bit words, and the PRF that SGLang makes of
// it.
#pragma once

#include <cstdint>
#include <span>

#include "watermark/kernels/dispatch.h"
#include "watermark/token.h"

namespace countermark {

// With seed 0.
std::uint32_t murmur3_words(std::span<const std::uint32_t> words) noexcept;

// out[n] = the hash of contexts[n * width .. (n + 1) * width). It has 32 bits: contexts collide.
void sglang_context_hashes(unsigned width, TokenSpan contexts, std::span<std::uint32_t> out,
                           const Kernel* kernel = nullptr);

// out[n] = the word of tokens[n] after the context of that hash.
void sglang_words(std::uint64_t key, std::span<const std::uint32_t> context_hashes,
                  TokenSpan tokens, std::span<std::uint32_t> out, const Kernel* kernel = nullptr);

// out[n] = the coin of the context of that hash, by which two keys take turns.
void sglang_coins(std::uint64_t key_a, std::uint64_t key_b,
                  std::span<const std::uint32_t> context_hashes, std::span<std::uint32_t> out);

}  // namespace countermark
