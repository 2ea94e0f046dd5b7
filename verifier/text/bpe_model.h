// SPDX-License-Identifier: Apache-2.0
// The merging half of byte-pair encoding (Sennrich, Haddow, Birch 2016) over bytes.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "watermark/token.h"

namespace countermark::text {

inline constexpr TokenId kNoToken = std::numeric_limits<TokenId>::max();

class BpeModel {
 public:
  // `byte_tokens[b]` is the token of the byte b, kNoToken if it has none.
  explicit BpeModel(const std::array<TokenId, 256>& byte_tokens) : byte_tokens_(byte_tokens) {}

  // From now on `left` and `right` side by side may become `merged`; a lower rank goes first. Of
  // two rules for one pair the later stands, as in the library.
  void add_merge(TokenId left, TokenId right, std::uint32_t rank, TokenId merged);

  // Reused from call to call, so that merging allocates nothing once it has grown.
  struct Scratch;

  // Appends the tokens of `piece` (fewer than 2^32 bytes, each of which has a token): of all
  // adjacent pairs with a rule, the leftmost of the lowest rank is merged, until none is left.
  // O(n log n).
  void encode(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const;

 private:
  struct Rule {
    std::uint32_t rank;
    TokenId merged;
  };
  const Rule* find(TokenId left, TokenId right) const;

  std::array<TokenId, 256> byte_tokens_;
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

  std::vector<Symbol> symbols{};
  std::vector<Candidate> heap{};
};

}  // namespace countermark::text
