// SPDX-License-Identifier: Apache-2.0
// The merging half of byte-pair encoding (Sennrich, Haddow, Birch 2016).
#pragma once

#include <cstdint>
#include <limits>
#include <unordered_map>
#include <vector>

#include "watermark/token.h"

namespace countermark::text {

// Stands where a token might, in no vocabulary.
inline constexpr TokenId kNoToken = std::numeric_limits<TokenId>::max();

class BpeModel {
 public:
  // From now on `left` and `right` side by side may become `merged`; a lower rank goes first. Of
  // two rules for one pair the later stands, as in the library.
  void add_merge(TokenId left, TokenId right, std::uint32_t rank, TokenId merged);

  // Reused from call to call, so that merging allocates nothing once it has grown.
  struct Scratch;

  // Merges `scratch.tokens` (fewer than 2^32) and appends the result to `ids`: of all adjacent
  // pairs with a rule, the leftmost of the lowest rank is merged, until none is left. O(n log n).
  void merge(Scratch& scratch, std::vector<TokenId>& ids) const;

 private:
  struct Rule {
    std::uint32_t rank;
    TokenId merged;
  };
  const Rule* find(TokenId left, TokenId right) const;

  std::unordered_map<std::uint64_t, Rule> rules_{};  // by left << 32 | right
};

struct BpeModel::Scratch {
  // A token of the piece in a doubly linked list; kEnd closes it on both sides.
  struct Symbol {
    TokenId id;
    std::uint32_t previous;
    std::uint32_t next;
  };
  // A pair that could be merged when it was found.
  struct Candidate {
    std::uint32_t rank;
    std::uint32_t at;  // the left symbol
    TokenId left;
    TokenId right;
    TokenId merged;
  };

  std::vector<TokenId> tokens{};
  std::vector<Symbol> symbols{};
  std::vector<Candidate> heap{};
};

}  // namespace countermark::text
