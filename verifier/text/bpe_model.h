// SPDX-License-Identifier: Apache-2.0
// The merging half of byte-pair encoding (Sennrich, Haddow, Birch 2016).
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "verifier/text/merge_table.h"
#include "verifier/text/tournament.h"
#include "watermark/token.h"

namespace countermark::text {

class BpeModel {
 public:
  // Of two merges of one pair the later stands, as in the library.
  explicit BpeModel(std::vector<Merge> merges = {}) : merges_(std::move(merges)) {}

  // Reused from call to call, so that merging allocates nothing once it has grown.
  struct Scratch;

  // Merges tokens (fewer than 2^32) and appends the result to `ids`: of all adjacent pairs with a
  // rule, the leftmost of the lowest rank is merged, until none is left. Linear in their number
  // while what one end of a window does leaves its other end alone, as it does in every vocabulary
  // that we know; O(n log n) in any.
  void merge(TokenSpan tokens, Scratch& scratch, std::vector<TokenId>& ids) const {
    merge_all({&tokens, 1}, scratch, ids);
  }

  // The same of several words, one after the other: ends[i], if given, is the size of `ids` behind
  // word i. Short ones are merged side by side: while one waits for memory, the others go on.
  void merge_all(std::span<const TokenSpan> words, Scratch& scratch, std::vector<TokenId>& ids,
                 std::span<std::size_t> ends = {}) const;

 private:
  class Word;

  void merge_long(TokenSpan tokens, Scratch& scratch, std::vector<TokenId>& ids) const;
  void merge_many(TokenSpan tokens, Scratch& scratch) const;

  MergeTable merges_;
};

struct BpeModel::Scratch {
  // A token in a doubly linked list.
  struct Symbol {
    TokenId id;
    std::uint32_t previous;
    std::uint32_t next;
  };

  std::vector<Symbol> symbols{};
  Tournament best{};  // rank << 32 | place of pairs
  // What merge_many has made: tokens, and where in its span each begins.
  std::vector<TokenId> made{};
  std::vector<std::uint32_t> begins{};
};

}  // namespace countermark::text
