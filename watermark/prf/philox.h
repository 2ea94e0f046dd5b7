// SPDX-License-Identifier: Apache-2.0
// Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011) and the two
// PRFs that vLLM makes of it.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "watermark/kernels/dispatch.h"
#include "watermark/token.h"

namespace countermark {

using PhiloxBlock = std::array<std::uint32_t, 4>;

PhiloxBlock philox4x32_10(const PhiloxBlock& counter, std::uint32_t key_low,
                          std::uint32_t key_high) noexcept;

// vLLM's "philox4x32-10-v1". out[n] = the state of contexts[n * width .. (n + 1) * width); what
// stands before the first token is 0xFFFFFFFF, and already in the contexts.
void vllm_states(std::uint64_t key, unsigned width, TokenSpan contexts, std::span<PhiloxBlock> out,
                 const Kernel* kernel = nullptr);

// out[n] = the word of tokens[n] under states[n]; vLLM's Gumbel marks have stream 0.
void vllm_words(std::uint64_t key, std::uint64_t stream, std::span<const PhiloxBlock> states,
                TokenSpan tokens, std::span<std::uint32_t> out, const Kernel* kernel = nullptr);

// vLLM's SBW. out[n] = the word of tokens[n] under seeds[n]: four neighbours share a Philox block.
void sbw_words(std::span<const std::uint64_t> seeds, TokenSpan tokens, std::span<std::uint32_t> out,
               const Kernel* kernel = nullptr);

// vLLM's SBW hash of a token: shifts and subtractions of token + 1 as a 32-bit integer that wraps.
// Right shifts keep the sign, as torch's do; the sources that we know publish no vector of it.
std::uint32_t sbw_hash(std::uint32_t token) noexcept;

}  // namespace countermark
