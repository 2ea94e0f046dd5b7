// SPDX-License-Identifier: Apache-2.0
// The merging half of byte-pair encoding (Sennrich, Haddow, Birch 2016).
#pragma once

#include <cstdint>
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

  // Merges `scratch.tokens` (fewer than 2^32) and appends the result to `ids`: of all adjacent
  // pairs with a rule, the leftmost of the lowest rank is merged, until none is left. Linear in
  // their number while what one end of a window does leaves its other end alone, as it does in
  // every vocabulary that we know; O(n log n) in any.
  void merge(Scratch& scratch, std::vector<TokenId>& ids) const;

 private:
  void merge_few(TokenSpan tokens, std::vector<TokenId>& ids) const;
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

  std::vector<TokenId> tokens{};
  std::vector<Symbol> symbols{};
  Tournament best{};  // rank << 32 | place of pairs
  // What merge_many has made: tokens, and where in its span each begins.
  std::vector<TokenId> made{};
  std::vector<std::uint32_t> begins{};
};

}  // namespace countermark::text
