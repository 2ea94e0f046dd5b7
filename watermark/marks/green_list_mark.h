// SPDX-License-Identifier: Apache-2.0
// What the marks of KGW's family share: a seed of 32 bits, made of key and context, chooses one of
// torch's permutations of the vocabulary, and its first int(V gamma) tokens are green.
#pragma once

#include <vector>

#include "watermark/marks/foreign_mark.h"
#include "watermark/prf/green_list.h"

namespace countermark::internal {

class GreenListMark : public ForeignMark {
 public:
  void inputs(unsigned /*key*/, TokenSpan contexts, TokenSpan tokens,
              std::span<PrfInput> out) const final {
    const std::size_t width = context_tokens();
    for (std::size_t i = 0; i < tokens.size(); ++i)
      out[i] = {seed(contexts.subspan(i * width, width), tokens[i]), 0, tokens[i]};
  }

  void raw_values(unsigned /*key*/, std::span<const PrfInput> in,
                  std::span<std::uint64_t> out) const final {
    std::vector<std::uint32_t> seeds(in.size());
    std::vector<TokenId> tokens(in.size());
    std::vector<std::uint8_t> bits(in.size());
    for (std::size_t i = 0; i < in.size(); ++i) {
      seeds[i] = static_cast<std::uint32_t>(in[i].a);
      tokens[i] = in[i].token;
    }
    green_bits(seeds, tokens, profile().parameters().vocab_size, profile().green_size(), bits);
    for (std::size_t i = 0; i < in.size(); ++i) out[i] = bits[i];
  }

  NullModel null_model() const noexcept final {
    return {NullLaw::kGreenList, profile().green_size(), profile().parameters().vocab_size};
  }

 protected:
  explicit GreenListMark(const ForeignProfile& profile) : ForeignMark(profile) {}

  // Of the list that colours `token` behind `context`.
  virtual std::uint32_t seed(TokenSpan context, TokenId token) const = 0;
};

// A public table that hashes integers: T[x mod 1,000,003] + 1, T a permutation by torch.
class HashTable {
 public:
  explicit HashTable(std::uint64_t seed);

  // x in two's complement; the modulus is never negative, as torch's is not.
  std::int64_t operator()(std::uint64_t x) const noexcept {
    constexpr std::int64_t kSize = 1'000'003;
    const std::int64_t rest = static_cast<std::int64_t>(x) % kSize;
    return std::int64_t{(*table_)[static_cast<std::size_t>(rest < 0 ? rest + kSize : rest)]} + 1;
  }

 private:
  std::shared_ptr<const std::vector<std::uint32_t>> table_;
};

}  // namespace countermark::internal
