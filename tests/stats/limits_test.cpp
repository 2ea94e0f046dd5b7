// SPDX-License-Identifier: Apache-2.0
// Limits against their definitions, summed term by term, and against closed forms.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "verifier/stats/limits.h"
#include "verifier/stats/tail.h"

namespace countermark::stats {
namespace {

// P(X > c), X ~ Poisson(mean): from the smallest term up.
double poisson_above(std::uint64_t c, double mean) {
  double sum = 0;
  for (std::uint64_t j = c + 400 + 10 * static_cast<std::uint64_t>(mean); j > c; --j) {
    const auto k = static_cast<double>(j);
    sum += std::exp(k * std::log(mean) - mean - std::lgamma(k + 1));
  }
  return sum;
}

// P(least <= X <= most), X ~ Binomial(trials, p).
double binomial_between(std::uint64_t trials, std::uint64_t least, std::uint64_t most, double p) {
  const auto n = static_cast<double>(trials);
  double sum = 0;
  for (std::uint64_t j = least; j <= most; ++j) {
    const auto k = static_cast<double>(j);
    sum += std::exp(std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) +
                    k * std::log(p) + (n - k) * std::log1p(-p));
  }
  return sum;
}

TEST(PoissonUpperLimit, KnownValues) {
  // P(X > 138) = 1.303e-4, P(X > 139) = 9.165e-5 for mean 100.
  EXPECT_EQ(poisson_upper_limit(100, 1e-4), 139u);
  EXPECT_EQ(poisson_upper_limit(0, 1e-9), 0u);
  // P(X > 0) = 1 - e^-1 = .632, P(X > 1) = 1 - 2/e = .264, P(X > 2) = .080.
  EXPECT_EQ(poisson_upper_limit(1, 0.64), 0u);
  EXPECT_EQ(poisson_upper_limit(1, 0.63), 1u);
  EXPECT_EQ(poisson_upper_limit(1, 0.26), 2u);
  EXPECT_EQ(poisson_upper_limit(1e-9, 1e-8), 0u);
  EXPECT_EQ(poisson_upper_limit(1e-9, 1e-10), 1u);
}

TEST(PoissonUpperLimit, IsTheBoundaryOfTheSum) {
  for (const double mean : {0.01, 0.5, 1.0, 3.7, 10.0, 100.0, 1234.5}) {
    for (const double rate : {0.3, 1e-2, 1e-4, 1e-6, 1e-9, 1e-12}) {
      const std::uint64_t limit = poisson_upper_limit(mean, rate);
      EXPECT_LE(poisson_above(limit, mean), rate) << mean << " " << rate;
      if (limit == 0) continue;
      EXPECT_GT(poisson_above(limit - 1, mean), rate) << mean << " " << rate;
    }
  }
}

TEST(PoissonUpperLimit, LargeMeansAndTinyRates) {
  // A Poisson tail is the complement of a Gamma tail, and the normal is near for a mean of 1e9.
  EXPECT_NEAR(static_cast<double>(poisson_upper_limit(1e9, 1e-4)), 1e9 + 3.719 * std::sqrt(1e9),
              10);
  EXPECT_EQ(poisson_upper_limit(1, 1e-300), 166u);
}

TEST(BinomialInterval, IsTheNarrowestByExactTails) {
  for (const std::uint64_t trials : {1u, 5u, 40u, 1000u, 20000u}) {
    for (const std::uint64_t quarter : {1u, 2u, 3u}) {
      for (const double coverage : {0.6, 0.9, 0.99, 0.999999}) {
        const double tail = (1 - coverage) / 2;
        const double p = static_cast<double>(quarter) / 4;
        const CountInterval interval = binomial_interval(trials, p, coverage);
        const auto above = [&](std::uint64_t count) {  // P(X > count)
          return count >= trials ? 0 : binomial_tail(trials, count + 1, quarter, 4).to_double();
        };
        const auto below = [&](std::uint64_t count) {  // P(X < count), by symmetry
          return count == 0 ? 0
                            : binomial_tail(trials, trials - count + 1, 4 - quarter, 4).to_double();
        };
        EXPECT_LE(above(interval.most), tail);
        EXPECT_LE(below(interval.least), tail);
        EXPECT_GT(below(interval.least + 1), tail);
        ASSERT_LE(interval.least, interval.most);
        if (interval.most == 0) continue;
        EXPECT_GT(above(interval.most - 1), tail);
      }
    }
  }
}

TEST(BinomialInterval, Ends) {
  const CountInterval none = binomial_interval(0, 0.5, 0.99);
  EXPECT_EQ(none.least, 0u);
  EXPECT_EQ(none.most, 0u);
  const CountInterval never = binomial_interval(50, 0, 0.99);
  EXPECT_EQ(never.least, 0u);
  EXPECT_EQ(never.most, 0u);
  const CountInterval always = binomial_interval(50, 1, 0.99);
  EXPECT_EQ(always.least, 50u);
  EXPECT_EQ(always.most, 50u);
}

TEST(ShareBounds, ClosedForms) {
  for (const double confidence : {0.5, 0.95, 0.99999}) {
    for (const std::uint64_t trials : {1u, 10u, 1000u, 1000000000u}) {
      const double root = std::exp(std::log1p(-confidence) / static_cast<double>(trials));
      const double gap = -std::expm1(std::log1p(-confidence) / static_cast<double>(trials));
      EXPECT_EQ(share_lower_bound(trials, 0, confidence), 0);
      EXPECT_EQ(share_upper_bound(trials, trials, confidence), 1);
      EXPECT_NEAR(share_lower_bound(trials, trials, confidence) / root, 1, 1e-12);
      EXPECT_NEAR(share_upper_bound(trials, 0, confidence) / gap, 1, 1e-12);
    }
  }
  EXPECT_EQ(share_lower_bound(0, 0, 0.95), 0);
  EXPECT_EQ(share_upper_bound(0, 0, 0.95), 1);
}

TEST(ShareBounds, PublishedTwoSidedInterval) {
  // 5 of 10 at 95 %: (.1871, .8129), in any table of Clopper and Pearson.
  EXPECT_NEAR(share_lower_bound(10, 5, 0.975), 0.1871, 5e-5);
  EXPECT_NEAR(share_upper_bound(10, 5, 0.975), 0.8129, 5e-5);
}

TEST(ShareBounds, MeetTheirDefinition) {
  for (const std::uint64_t trials : {1u, 2u, 10u, 100u, 3000u}) {
    for (const std::uint64_t successes :
         {std::uint64_t{1}, trials / 7 + 1, (trials + 1) / 2, trials}) {
      if (successes > trials) continue;
      for (const double confidence : {0.9, 0.999}) {
        const double lower = share_lower_bound(trials, successes, confidence);
        EXPECT_NEAR(binomial_between(trials, successes, trials, lower), 1 - confidence, 1e-11);
        if (successes == trials) continue;
        const double upper = share_upper_bound(trials, successes, confidence);
        EXPECT_NEAR(binomial_between(trials, 0, successes, upper), 1 - confidence, 1e-11);
        EXPECT_LT(lower, upper);
      }
    }
  }
}

TEST(ShareBounds, CoverTheTruth) {
  // Over every count of 60 trials, the bound fails with probability at most 1 - confidence.
  constexpr std::uint64_t kTrials = 60;
  for (const double share : {0.01, 0.2, 0.5, 0.77, 0.999}) {
    double failing_low = 0;
    double failing_high = 0;
    for (std::uint64_t k = 0; k <= kTrials; ++k) {
      const double mass = binomial_between(kTrials, k, k, share);
      if (share_lower_bound(kTrials, k, 0.95) > share) failing_low += mass;
      if (share_upper_bound(kTrials, k, 0.95) < share) failing_high += mass;
    }
    EXPECT_LE(failing_low, 0.05);
    EXPECT_LE(failing_high, 0.05);
  }
}

}  // namespace
}  // namespace countermark::stats
