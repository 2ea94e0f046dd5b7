// SPDX-License-Identifier: Apache-2.0
// What vLLM's marks under Philox share: the PRF input is the 128-bit state of key and context, and
// a token's word follows from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "watermark/kernels/dispatch.h"
#include "watermark/marks/foreign_mark.h"

namespace countermark::internal {

// The states of contexts of one width that fits into a block are those of one permutation.
inline constexpr unsigned kPhiloxTokens = 4;

// Where a kernel finds state and token of an input, in words.
inline constexpr std::size_t kInputStride = sizeof(PrfInput) / 4;
inline constexpr std::size_t kTokenPlace = 4;
static_assert(offsetof(PrfInput, b) == 8 && offsetof(PrfInput, token) == 4 * kTokenPlace);

// As ForeignMark::inputs; contexts holds `width` ids a tuple.
inline void vllm_inputs(std::uint64_t key, unsigned width, TokenSpan contexts, TokenSpan tokens,
                        std::span<PrfInput> out) {
  kernel_or_active(nullptr).vllm_states(key, width, contexts.data(), out.size(),
                                        reinterpret_cast<std::uint32_t*>(out.data()), kInputStride);
  for (std::size_t i = 0; i < tokens.size(); ++i) out[i].token = tokens[i];
}

// The words of inputs in each of some streams, one after the other: take(index of the stream,
// words), a word an input.
template <typename Take>
void vllm_words_of(std::uint64_t key, std::span<const PrfInput> in,
                   std::span<const std::uint64_t> streams, Take take) {
  const Kernel& kernel = kernel_or_active(nullptr);
  const auto* const from = reinterpret_cast<const std::uint32_t*>(in.data());
  std::vector<std::uint32_t> words(in.size());
  for (std::size_t i = 0; i < streams.size(); ++i) {
    kernel.vllm_words(key, streams[i], from, kInputStride, from + kTokenPlace, kInputStride,
                      in.size(), words.data());
    take(i, words);
  }
}

}  // namespace countermark::internal
