// SPDX-License-Identifier: Apache-2.0
// A guaranteed lower bound of how many of n distinct tuples were drawn under the mark, whatever
// law the scores of marked tuples have.
//
// Null law and assumption: the marked tuples, and the scores they have, may have been chosen in any
// way; given both, the scores of the others are independent and reach a threshold t_j with
// probability at most q_j. That holds where whatever made the text did not look at the words of
// unmarked tuples, other than by drawing another token in their place, which only lowers them.
// Text that was picked by its score breaks it.
//
// Bound: X_j tuples reach t_j. Were m marked, X_j would be at most m + Binomial(n - m, q_j), which
// grows with m; the bound is the largest over j of the smallest m with
// P(Binomial(n - m, q_j) >= X_j - m) > alpha / J. It is above the true m with probability at most
// alpha: at most alpha / J for each of the J thresholds, which are fixed in advance. It is the
// one-sided bound of N. Meinshausen and J. Rice, "Estimating the proportion of false null
// hypotheses among a large number of independently tested hypotheses", Ann. Statist. 34 (2006),
// with few thresholds and exact tails in the place of an asymptotic envelope.
//
// No upper bound exists without a law for marked scores: a draw among one candidate leaves none.
// Thread-safe; no errors: a precondition broken is a caller's mistake (assert).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "verifier/stats/p_value.h"

namespace countermark::stats {

inline constexpr std::size_t kMostShareThresholds = 7;

// How many tuples reach each threshold. Sums of disjoint sets of tuples are their union's.
struct ShareCounts {
  std::uint64_t tuples = 0;
  std::array<std::uint64_t, kMostShareThresholds> reaching{};

  ShareCounts& operator+=(const ShareCounts& other) noexcept {
    tuples += other.tuples;
    for (std::size_t j = 0; j < reaching.size(); ++j) reaching[j] += other.reaching[j];
    return *this;
  }
  bool operator==(const ShareCounts&) const = default;
};

struct ShareBound {
  std::uint64_t marked = 0;  // at least
  std::uint64_t tuples = 0;
  // marked / tuples, rounded down; 0 without tuples.
  double share() const noexcept;
};

class ShareFamily {
 public:
  struct Threshold {
    std::uint64_t score;        // reached at or above it
    std::uint64_t numerator;    // with a probability of at most
    std::uint64_t denominator;  // numerator / denominator
  };

  // Scores in units of 2^-20 at or below standard exponentials. q = 1/64, 1/16, 1/4, 1/2, 3/4,
  // 15/16, 63/64: the rare high scores show a small share of surprising tokens, the low ones how
  // large a share is in a large corpus.
  static ShareFamily exponential();
  // The sum of two of them, weighted (two_gamma_tail). The same q.
  static ShareFamily two_exponentials(std::uint64_t weight_a, std::uint64_t weight_b);
  // 1 if green, with probability at most numerator / denominator. One threshold.
  static ShareFamily green(std::uint64_t numerator, std::uint64_t denominator);
  // The same where tuples of one list are drawn without replacement (green_tail). A list that has
  // marked tuples too is taken to be as green as ever beside them: of the order of 1 / vocab_size
  // off, so that this is a model's bound.
  static ShareFamily green_list(std::uint64_t green_size, std::uint64_t vocab_size);
  // The number of ones among `depth` fair bits. Counts nearest below the q above.
  static ShareFamily bits(std::uint64_t depth);

  std::span<const Threshold> thresholds() const noexcept { return thresholds_; }

  // Adds distinct tuples. Two or three nanoseconds a tuple.
  void count(std::span<const std::uint32_t> scores, ShareCounts& counts) const noexcept;
  void count(std::span<const std::uint64_t> scores, ShareCounts& counts) const noexcept;

  // The bound at confidence 1 - alpha. Ten or twenty tails:
  // 2 ms for a million tuples, 60 ms for a thousand million.
  ShareBound lower_bound(const ShareCounts& counts, PValue alpha) const;

 private:
  explicit ShareFamily(std::vector<Threshold> thresholds, bool lists = false);

  bool possible(std::size_t j, const ShareCounts& counts, std::uint64_t marked, PValue alpha) const;

  std::vector<Threshold> thresholds_;
  bool lists_;
};

}  // namespace countermark::stats
