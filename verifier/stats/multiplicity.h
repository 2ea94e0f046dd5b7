// SPDX-License-Identifier: Apache-2.0
// Lists of hypotheses from many p-values, of which on average at most a given share is wrong.
//
// The false discovery rate is the mean, over the null law, of (false entries) / (entries), 0 for an
// empty list. It is a statement about the list, not about an entry: the first of a long list is far
// surer than the last.
//
// A p-value above the level can be listed by none of the procedures, so that of those only the
// number is kept: memory and time go with the few that might be listed. Comparisons are exact,
// however small the values. Not thread-safe; one family a thread, then `+=`. No errors: a
// precondition broken is a caller's mistake (assert).
#pragma once

#include <cstdint>
#include <vector>

#include "verifier/stats/p_value.h"

namespace countermark::stats {

enum class Procedure : std::uint8_t {
  // The k smallest, for the largest k with N p_(k) / k <= level. The rate is at most the level
  // where the p-values of true nulls are independent of each other and of the rest, or positively
  // dependent (PRDS): Y. Benjamini and Y. Hochberg, J. R. Statist. Soc. B 57 (1995); Y. Benjamini
  // and D. Yekutieli, Ann. Statist. 29 (2001).
  //
  // Of values 1/e (EValue::p_value) the same rule is e-BH, which holds whatever the dependence: R.
  // Wang and A. Ramdas, J. R. Statist. Soc. B 84 (2022).
  kBenjaminiHochberg,
  // The same with N (1 + 1/2 + … + 1/N) in the place of N: whatever the dependence (Benjamini and
  // Yekutieli, theorem 1.3). The harmonic sum is rounded up by less than 1e-6 of it.
  kBenjaminiYekutieli,
};

struct Discovery {
  std::uint64_t id = 0;
  PValue p{};
  // The smallest level at which this one would be listed among the same hypotheses.
  PValue adjusted{};
};

// What a list is chosen from: all the hypotheses that were tried, each with a name of the caller's.
class DiscoveryFamily {
 public:
  // The level is fixed before the values are seen.
  explicit DiscoveryFamily(PValue level) : level_(level) {}

  void add(std::uint64_t id, PValue p) {
    ++size_;
    if (p <= level_) possible_.push_back({id, p, {}});
  }
  // Hypotheses of which no p-value is at most the level.
  void add_above(std::uint64_t count) { size_ += count; }

  // Of the same level, with other hypotheses.
  DiscoveryFamily& operator+=(const DiscoveryFamily& other);

  std::uint64_t size() const noexcept { return size_; }
  PValue level() const noexcept { return level_; }

  // The listed ones by p-value, equal ones by id: the same in whatever order they were added. Fewer
  // than 2^34 hypotheses. O(k log k) for k values at or below the level.
  std::vector<Discovery> list(Procedure procedure) const;

 private:
  PValue level_;
  std::uint64_t size_ = 0;
  std::vector<Discovery> possible_{};
};

}  // namespace countermark::stats
