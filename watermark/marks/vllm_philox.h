// SPDX-License-Identifier: Apache-2.0
// What vLLM's marks under Philox share: the PRF input is the 128-bit state of key and context, and
// a token's word follows from it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "watermark/marks/foreign_mark.h"
#include "watermark/prf/philox.h"

namespace countermark::internal {

// As ForeignMark::inputs; contexts holds `width` ids a tuple.
inline void vllm_inputs(std::uint64_t key, unsigned width, TokenSpan contexts, TokenSpan tokens,
                        std::span<PrfInput> out) {
  std::vector<PhiloxBlock> states(tokens.size());
  vllm_states(key, width, contexts, states);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const PhiloxBlock& s = states[i];
    out[i] = {s[0] | std::uint64_t{s[1]} << 32, s[2] | std::uint64_t{s[3]} << 32, tokens[i]};
  }
}

// The words of inputs in each of some streams, one after the other: take(index of the stream,
// words), a word an input.
template <typename Take>
void vllm_words_of(std::uint64_t key, std::span<const PrfInput> in,
                   std::span<const std::uint64_t> streams, Take take) {
  std::vector<PhiloxBlock> states(in.size());
  std::vector<TokenId> tokens(in.size());
  std::vector<std::uint32_t> words(in.size());
  for (std::size_t i = 0; i < in.size(); ++i) {
    states[i] = {static_cast<std::uint32_t>(in[i].a), static_cast<std::uint32_t>(in[i].a >> 32),
                 static_cast<std::uint32_t>(in[i].b), static_cast<std::uint32_t>(in[i].b >> 32)};
    tokens[i] = in[i].token;
  }
  for (std::size_t i = 0; i < streams.size(); ++i) {
    vllm_words(key, streams[i], states, tokens, words);
    take(i, words);
  }
}

}  // namespace countermark::internal
