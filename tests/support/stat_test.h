// SPDX-License-Identifier: Apache-2.0
// Tolerances of statistical assertions, derived from the probability with which a correct program
// may fail them. Seeds are fixed, so a test that passed once passes always; the probability says
// how unlucky the choice of the seed could have been.
#pragma once

#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/distributions/normal.hpp>
#include <cassert>
#include <cstdint>
#include <span>

namespace countermark::tests {

struct StatTest {
  double p_fail;         // of all comparisons together
  std::uint64_t trials;  // comparisons that share it, by the union bound

  double each() const { return p_fail / static_cast<double>(trials); }

  // Two-sided limit of a standard normal's magnitude.
  double normal() const {
    return quantile(complement(boost::math::normal_distribution<double>(), each() / 2));
  }

  // Upper limit of a chi-square statistic.
  double chi_square(std::size_t freedom) const {
    return quantile(complement(
        boost::math::chi_squared_distribution<double>(static_cast<double>(freedom)), each()));
  }

  // Lower limit of one: below it the counts are more even than chance leaves them.
  double least_chi_square(std::size_t freedom) const {
    return quantile(boost::math::chi_squared_distribution<double>(static_cast<double>(freedom)),
                    each());
  }

  // One-sided limits of the successes among n. Boost rounds quantiles outwards.
  double most(std::uint64_t n, double p) const {
    return quantile(
        complement(boost::math::binomial_distribution<double>(static_cast<double>(n), p), each()));
  }
  double least(std::uint64_t n, double p) const {
    return quantile(boost::math::binomial_distribution<double>(static_cast<double>(n), p), each());
  }
};

// Pearson's statistic of counts against the probabilities of their cells, which sum to 1; it has
// one degree of freedom less than there are cells.
inline double pearson(std::span<const std::uint64_t> counts, std::span<const double> cells) {
  assert(counts.size() == cells.size());
  double total = 0;
  for (const std::uint64_t count : counts) total += static_cast<double>(count);
  double sum = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double expected = total * cells[i];
    const double excess = static_cast<double>(counts[i]) - expected;
    sum += excess * excess / expected;
  }
  return sum;
}

}  // namespace countermark::tests
