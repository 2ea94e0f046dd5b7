// SPDX-License-Identifier: Apache-2.0
// TextSeal's PRF: a sum of the key, the context and the token, each times a prime, hashed to 8,191
// levels. The sum is of small multiples of nearly proportional primes, so that it collides under
// every key alike: what counts as one tuple is the sum, not what it is made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "watermark/token.h"

namespace countermark {

constexpr std::size_t kMaxTextSealContext = 10;  // tokens
constexpr std::uint32_t kTextSealLevels = 8191;

// The sum, modulo 2^64. At most kMaxTextSealContext tokens of context.
std::int64_t textseal_input(std::int64_t secret_key, TokenSpan context, TokenId token) noexcept;

// out[n] = the level of inputs[n], below kTextSealLevels.
void textseal_levels(std::span<const std::int64_t> inputs, std::span<std::uint32_t> out);

}  // namespace countermark
