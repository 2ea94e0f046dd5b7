// SPDX-License-Identifier: Apache-2.0
// Does one value of each of many groups stand higher among the others of its group than chance
// puts it?
//
// Null law: given the values of a group, each was as likely to be the one. Its rank, ties counted
// half, is then a draw from those of all values of the group, and groups are independent. No law
// of the values themselves is needed, nor that groups be alike or as large as each other. It is
// the permutation law of the stratified rank sum test of F. Wilcoxon, "Individual comparisons by
// ranking methods", Biometrics 1 (1945), given the ties (P. H. van Elteren, Bull. Int. Stat. Inst.
// 37, 1960, with weights that do not depend on the size of a group).
//
// Not thread-safe; no errors: a precondition broken is a caller's mistake (assert).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "verifier/stats/e_value.h"
#include "verifier/stats/p_value.h"

namespace countermark::stats {

class RankSum {
 public:
  // A group: the one value and the others, of which there are 1 to kMostOthers. No value is NaN.
  // O(others log others).
  static constexpr std::size_t kMostOthers = 64;
  void add(double value, std::span<const double> others);

  // Other groups.
  RankSum& operator+=(const RankSum& other);
  bool operator==(const RankSum&) const = default;

  std::uint64_t groups() const noexcept { return groups_; }
  // Of those in which all values are equal: they say nothing.
  std::uint64_t tied() const noexcept { return tied_; }
  // Twice the number of others below, and once that of others equal, over all groups.
  std::uint64_t statistic() const noexcept { return statistic_; }
  // What it could be at most: twice the number of others.
  std::uint64_t most() const noexcept { return most_; }

  // P(a statistic as high) and P(one as low), from above; of no groups 1. Time: lattice.h.
  PValue upper_tail() const;
  PValue lower_tail() const;
  // The upper tail where every value is as high as its group lets it be.
  PValue smallest_tail() const;

  // A bet on high ranks: the mean, fixed in advance, over 2^-1 … 2^-6 as a part of what is held, of
  // the product over groups of 1 + part (statistic - others) / others. Each factor is of mean 1
  // given all groups before: it may be looked at after any group.
  EValue e_value() const;

  // How often the one value is above one of the others, a tie counted half: statistic / most; 1/2
  // by chance and where there are no groups.
  double share() const noexcept;
  // Half the width of a two-sided interval about it, for independent groups of any law: W.
  // Hoeffding, "Probability inequalities for sums of bounded random variables", J. Am. Stat. Assoc.
  // 58 (1963). 0 < confidence < 1.
  double half_width(double confidence) const noexcept;

 private:
  static constexpr std::size_t kParts = 6;

  // How many values are equal to each other, from the lowest up: each pattern has its own law.
  std::map<std::vector<std::uint32_t>, std::uint64_t> patterns_{};
  std::uint64_t groups_ = 0;
  std::uint64_t tied_ = 0;
  std::uint64_t statistic_ = 0;
  std::uint64_t most_ = 0;
  std::uint64_t squares_ = 0;  // of what each group adds to most_
  std::array<EValue, kParts> products_{};
};

}  // namespace countermark::stats
