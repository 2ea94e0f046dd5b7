// SPDX-License-Identifier: Apache-2.0
// The unigram language model of SentencePiece (Kudo 2018) as Hugging Face's library reads it from a
// tokenizer.json (T5, XLM-R, ALBERT).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <string_view>
#include <vector>

#include "verifier/text/piece_model.h"
#include "verifier/text/trie.h"

namespace countermark::text {

struct UnigramParts {
  static constexpr std::size_t kLongestPiece = 1024;  // bytes; every step looks back that far

  // A piece that text may become, of at most kLongestPiece bytes.
  void add(std::string_view piece, TokenId id, double score);

  // A score of the vocabulary that no text gets, which counts for the lowest all the same.
  void see_score(double score) { least_score = std::min(least_score, score); }

  Trie pieces{};
  std::vector<double> scores{};        // by id
  std::vector<std::uint32_t> sizes{};  // by id, of the pieces in bytes
  std::size_t longest = 4;             // of the pieces, and of a character, in bytes
  double least_score = std::numeric_limits<double>::infinity();
  TokenId unknown = 0;
  std::array<TokenId, 256> byte_tokens{};  // of what no piece has; all kNoToken: it is unknown
};

// Of all ways to write a piece of text as pieces of the vocabulary the one with the highest sum of
// scores, in doubles from left to right; of equals that found first, which is the one whose last
// piece is longest. A character without a piece costs 10 more than the worst piece, and several in
// a row are one token, or those of their bytes. Linear in the text times the longest piece; four
// bytes of memory for every byte of a piece.
std::unique_ptr<const PieceModel> make_unigram(UnigramParts parts);

}  // namespace countermark::text
