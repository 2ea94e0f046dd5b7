// SPDX-License-Identifier: Apache-2.0
// What two tokens side by side become: a perfect hash table, in which every pair has one place
// where it can be, so that a look-up takes no branch. Which of two neighbours merge no processor
// can guess.
//
// Nearly all pairs that are looked up are never merged: another goes first. So a look-up tells the
// rank alone, from as little memory as can be, and what a pair becomes is asked of the one whose
// turn it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "watermark/token.h"

namespace countermark::text {

// Stands where a token might, in no vocabulary.
inline constexpr TokenId kNoToken = std::numeric_limits<TokenId>::max();

// `left` and `right` side by side may become `merged`; a lower rank goes first.
struct Merge {
  TokenId left;  // neither is kNoToken
  TokenId right;
  std::uint32_t rank;  // not kNoRank
  TokenId merged;
};

class MergeTable {
 public:
  static constexpr std::uint32_t kNoRank = std::numeric_limits<std::uint32_t>::max();

  // Of two merges of one pair the later stands. At most 2^31. Ranks are numbered anew, in their
  // order and without gaps.
  explicit MergeTable(std::vector<Merge> merges);

  // How many different ranks there are.
  std::uint32_t ranks() const { return ranks_; }

  // Where the rank of a pair is: a moment between the two steps is well spent on something else.
  struct Look {
    std::uint32_t place;
    std::uint32_t mark;
  };
  Look look(TokenId left, TokenId right) const {
    const std::uint64_t hashed = hash(left, right);
    const std::size_t at = place(hashed, pilots_[hashed >> pilot_shift_]);
    __builtin_prefetch(&notes_[at]);
    return {static_cast<std::uint32_t>(at), mark(hashed)};
  }

  // The rank of a pair, kNoRank if it has none, or, for one in some thousand of those that have
  // none, that of another pair: `merged` knows.
  std::uint32_t rank(Look look) const {
    const std::uint32_t note = notes_[look.place];
    // All bits for a mark that is another's. Compilers would make a branch of a comparison, which
    // waits for the note and is guessed wrong.
    const std::uint32_t is_other = 0U - at_least(1, (note ^ look.mark) & ~numbers_);
    return ((note & numbers_) - 1) | is_other;
  }
  std::uint32_t rank(TokenId left, TokenId right) const { return rank(look(left, right)); }

  // The same, at once for single bytes, which have the lowest ids of most vocabularies.
  std::uint32_t first_rank(TokenId left, TokenId right) const {
    return (left | right) < kLow ? low_[left * kLow + right] : rank(left, right);
  }

  // What a pair becomes that has the `rank` (not kNoRank), else kNoToken. O(log merges of the
  // rank).
  TokenId merged(std::uint32_t rank, TokenId left, TokenId right) const {
    const Merge& merge = merges_[firsts_.empty() ? rank : find_in(rank, left, right)];
    const bool is_it = ((merge.left ^ left) | (merge.right ^ right) | (merge.rank ^ rank)) == 0;
    return is_it ? merge.merged : kNoToken;
  }
  // Before `merged` may be asked for a rank.
  void fetch(std::uint32_t rank) const {
    const std::size_t at = rank & (at_least(kNoRank, rank) - 1);
    if (firsts_.empty())
      __builtin_prefetch(&merges_[at]);
    else
      __builtin_prefetch(&firsts_[at]);
  }

 private:
  static constexpr TokenId kLow = 256;

  // 1 if `value` is at least `least`, which is not 0; else 0.
  static std::uint32_t at_least(std::uint32_t least, std::uint32_t value) {
    return static_cast<std::uint32_t>((std::uint64_t{value} + (std::uint64_t{1} << 32) - least) >>
                                      32);
  }
  // Different for different pairs: each step can be undone.
  std::uint64_t hash(TokenId left, TokenId right) const {
    const std::uint64_t pair = std::uint64_t{left} << 32 | right;
    return (pair ^ pair >> 29) * multiplier_;
  }
  // The golden ratio in 64 bits (Knuth, TAOCP 3, 6.4), and digits of the root of 3.
  std::size_t place(std::uint64_t hashed, std::uint64_t pilot) const {
    return ((hashed ^ pilot * 0xbb67ae8584caa73b) * 0x9e3779b97f4a7c15) >> shift_;
  }
  std::uint32_t mark(std::uint64_t hashed) const {
    return static_cast<std::uint32_t>(hashed >> 16) & ~numbers_;
  }
  std::size_t find_in(std::uint32_t rank, TokenId left, TokenId right) const;
  void renumber();
  bool fill();

  std::uint32_t ranks_ = 0;
  std::uint64_t multiplier_ = 0;
  int pilot_shift_;  // leaves as many bits of a hash as there are pilots
  int shift_;        // and notes
  std::uint32_t numbers_;
  // Where the pairs of one bucket are: such that no two pairs are in one place.
  std::vector<std::uint16_t> pilots_;
  // By place: in the low bits one more than a rank, 0 for none; above them bits of the pair's hash,
  // which tell it from nearly all others.
  std::vector<std::uint32_t> notes_;
  // By rank, those of one by their pairs; and one more at the end. What is frequent shares lines of
  // memory.
  std::vector<Merge> merges_;
  // Which is the first of a rank, and the end of all; empty where each rank has one.
  std::vector<std::uint32_t> firsts_{};
  std::vector<std::uint32_t> low_;  // ranks of pairs of ids below kLow
};

}  // namespace countermark::text
