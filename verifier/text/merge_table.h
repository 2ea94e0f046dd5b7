// SPDX-License-Identifier: Apache-2.0
// What two tokens side by side become: a perfect hash table, in which every pair has one place
// where it can be, so that a look-up takes no branch. Which of two neighbours merge no processor
// can guess.
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

  // Of two merges of one pair the later stands. At most 2^31.
  explicit MergeTable(std::vector<Merge> merges);

  struct Outcome {
    std::uint32_t rank;  // kNoRank: the pair has none
    TokenId merged;
  };
  Outcome find(TokenId left, TokenId right) const {
    const std::uint64_t hashed = hash(left, right);
    const std::uint32_t note = notes_[place(hashed, pilots_[hashed >> pilot_shift_])];
    const Merge& found = merges_[((note ^ mark(hashed)) & ~numbers_) == 0 ? note & numbers_ : 0];
    const bool is_it = ((found.left ^ left) | (found.right ^ right)) == 0;
    return {is_it ? found.rank : kNoRank, found.merged};
  }

  // The same, at once for single bytes, which have the lowest ids of most vocabularies.
  Outcome find_first(TokenId left, TokenId right) const {
    return (left | right) < kLow ? low_[left * kLow + right] : find(left, right);
  }

 private:
  static constexpr TokenId kLow = 256;

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
  bool fill();

  std::uint64_t multiplier_ = 0;
  int pilot_shift_;  // leaves as many bits of a hash as there are pilots
  int shift_;        // and notes
  std::uint32_t numbers_;
  // Where the pairs of one bucket are: such that no two pairs are in one place.
  std::vector<std::uint16_t> pilots_;
  // By place: in the low bits the number of a merge, 0 for none; above them bits of the pair's
  // hash, which keep nearly all other pairs from looking at the merge.
  std::vector<std::uint32_t> notes_;
  // The first is of no pair. By rank: what is frequent shares lines of memory.
  std::vector<Merge> merges_;
  std::vector<Outcome> low_;  // of ids below kLow
};

}  // namespace countermark::text
