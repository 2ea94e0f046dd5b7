// SPDX-License-Identifier: Apache-2.0
// Plans against the design's numbers, and against what tests of that size find.
#include "verifier/stats/planning.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <random>

#include "tests/support/random_numbers.h"
#include "verifier/stats/e_value.h"
#include "verifier/stats/limits.h"
#include "verifier/stats/rank_sum.h"
#include "verifier/stats/tail.h"

namespace countermark::stats {
namespace {

using tests::RandomNumbers;

// The numbers of the design: four regenerations, 1e-6, power .9.
TEST(Planning, OfRanks) {
  const PValue level = PValue::from_parts(1, -6);
  EXPECT_NEAR(static_cast<double>(groups_needed(0.51, 4, level, 0.9)), 45'500, 200);
  EXPECT_NEAR(static_cast<double>(groups_needed(0.55, 4, level, 0.9)), 1'821, 10);
  EXPECT_NEAR(static_cast<double>(groups_needed(0.55, 16, level, 0.9)), 1'366, 10);
  EXPECT_NEAR(detectable_share(1'821, 4, level, 0.9), 0.55, 1e-4);
  EXPECT_EQ(detectable_share(3, 4, level, 0.9), 1);
  EXPECT_EQ(detectable_share(0, 4, level, 0.9), 1);
  EXPECT_NEAR(share_power(1'821, 4, 0.55, level), 0.9, 1e-3);
  EXPECT_NEAR(share_power(1'821, 4, 0.5, level), 1e-6, 1e-8);
  EXPECT_EQ(share_power(0, 4, 1, level), 0);
  EXPECT_EQ(share_power(8, 4, 1, level), 0);  // 5^-8 is above 1e-6
  EXPECT_GT(share_power(9, 4, 1, level), 0);
}

// And that they hold: ranks with a share of .55 by a geometric law.
TEST(Planning, RanksReachTheirPower) {
  constexpr int kRepetitions = 400;
  const PValue level = PValue::from_parts(1, -3);
  const std::uint64_t groups = groups_needed(0.6, 4, level, 0.9);
  // P(rank r) ~ t^r with mean 4 x .6.
  double ratio = 1;
  for (double low = 1, high = 4; high - low > 1e-12;) {
    ratio = (low + high) / 2;
    double total = 0;
    double mean = 0;
    for (int r = 0; r <= 4; ++r) {
      total += std::pow(ratio, r);
      mean += r * std::pow(ratio, r);
    }
    (mean / total < 2.4 ? low : high) = ratio;
  }
  RandomNumbers random(8);
  std::uint64_t found = 0;
  for (int repetition = 0; repetition < kRepetitions; ++repetition) {
    RankSum sum;
    for (std::uint64_t group = 0; group < groups; ++group) {
      double total = 0;
      for (int r = 0; r <= 4; ++r) total += std::pow(ratio, r);
      double left = random.unit() * total;
      int rank = 0;
      for (double weight = 1; rank < 4 && left >= weight; ++rank, weight *= ratio) left -= weight;
      constexpr std::array<double, 4> kOthers = {0.5, 1.5, 2.5, 3.5};
      sum.add(rank, kOthers);
    }
    found += sum.upper_tail() <= level ? 1U : 0U;
  }
  const CountInterval limits = binomial_interval(kRepetitions, 0.9, 1 - 1e-6);
  EXPECT_GE(found, limits.least);
}

// The design's table of tokens at power .9, for scaled exponential scores.
TEST(Planning, OfExponentialScores) {
  struct Case {
    double mean;
    double at_1e_6;
    double at_1e_12;
  };
  for (const auto& [mean, at_1e_6, at_1e_12] :
       {Case{1.02, 92'525, 175'552}, Case{1.1, 3'938, 7'448}, Case{1.3, 504, 946},
        Case{1.8, 95, 175}}) {
    const auto six = static_cast<double>(tuples_needed(mean, PValue::from_parts(1, -6), 0.9));
    const auto twelve = static_cast<double>(tuples_needed(mean, PValue::from_parts(1, -12), 0.9));
    EXPECT_NEAR(six, at_1e_6, 0.02 * at_1e_6 + 1) << mean;
    EXPECT_NEAR(twelve, at_1e_12, 0.02 * at_1e_12 + 1) << mean;
    const auto n = static_cast<std::uint64_t>(six);
    EXPECT_NEAR(detectable_mean(n, PValue::from_parts(1, -6), 0.9) - 1, mean - 1, 0.02 * (mean - 1))
        << mean;
  }
  const Range range = mean_range(10'000, 1.1, 0.95);
  EXPECT_NEAR(range.least, 1.1 * (1 - 1.96e-2), 1e-3);
  EXPECT_NEAR(range.most, 1.1 * (1 + 1.96e-2), 1e-3);
}

// Of scaled exponential scores the power has an exact value.
TEST(Planning, PowerOfExponentialScores) {
  for (const PValue level : {PValue::from_parts(1, -3), PValue::from_parts(1, -10)})
    for (const std::uint64_t n : {50ULL, 1'000ULL, 100'000ULL})
      for (const double power : {0.1, 0.5, 0.9}) {
        const double mean = power > 0.5 ? detectable_mean(n, level, power)
                                        : 1 + (2 + power) / std::sqrt(static_cast<double>(n));
        const double critical = static_cast<double>(gamma_critical(n, level)) / mean;
        const double exact = gamma_tail(n, static_cast<std::uint64_t>(critical)).to_double();
        EXPECT_NEAR(mean_power(n, mean, level), exact, 0.03 * exact + 0.002) << n << " " << mean;
      }
  EXPECT_EQ(mean_power(0, 2, PValue::from_parts(1, -3)), 0);
  EXPECT_GT(mean_power(1, 1e9, PValue::from_parts(1, -3)), 0.99);
}

// Bets need larger effects than laws of sums: how often one finds the effect that is promised.
TEST(Planning, OfBets) {
  const PValue level = PValue::from_parts(1, -6);
  constexpr int kAudits = 2'000;
  std::mt19937_64 noise(17);  // NOLINT(cert-msc51-cpp): the same every time
  for (const std::uint64_t n : {100ULL, 771ULL, 20'000ULL}) {
    const double mean = detectable_mean_by_bet(n, level, 0.9);
    EXPECT_GT(mean, detectable_mean(n, level, 0.9));
    EXPECT_NEAR(mean_power_by_bet(n, mean, level), 0.9, 1e-3);
    EXPECT_NEAR(static_cast<double>(tuples_needed_by_bet(mean, level, 0.9)), static_cast<double>(n),
                0.01 * static_cast<double>(n));
    std::gamma_distribution<double> sums(static_cast<double>(n), mean * 0x1p20);
    int found = 0;
    for (int i = 0; i < kAudits; ++i)
      found += tilted(n, static_cast<std::uint64_t>(sums(noise))).p_value() <= level ? 1 : 0;
    EXPECT_NEAR(found, 0.9 * kAudits, 67) << n;  // five standard errors

    const double green = detectable_green_by_bet(n, 1, 4, level, 0.9);
    EXPECT_GT(green, detectable_green(n, 1, 4, level, 0.9));
    std::binomial_distribution<std::uint64_t> counts(n, green);
    found = 0;
    for (int i = 0; i < kAudits; ++i)
      found += green_bet(n, counts(noise), 1, 4).p_value() <= level ? 1 : 0;
    EXPECT_NEAR(found, 0.9 * kAudits, n > 500 ? 90 : 150) << n;  // steps of counts
  }
  EXPECT_EQ(detectable_green_by_bet(3, 1, 2, level, 0.9), 1);
  EXPECT_EQ(tuples_needed_by_bet(1.0075, level, 0.9), kMostOfBet);
  EXPECT_LT(tuples_needed_by_bet(1.0085, level, 0.9), kMostOfBet);
}

TEST(Planning, OfGreenTokens) {
  const PValue level = PValue::from_parts(1, -6);
  EXPECT_NEAR(detectable_green(17'514, 1, 4, level, 0.9), 0.27, 2e-4);
  EXPECT_NEAR(detectable_green(346, 1, 4, level, 0.9), 0.40, 1e-3);
  EXPECT_NEAR(detectable_green(22'803, 1, 2, level, 0.9), 0.52, 2e-4);
  EXPECT_EQ(detectable_green(0, 1, 2, level, 0.9), 1);
  EXPECT_EQ(detectable_green(3, 1, 2, level, 0.9), 1);

  struct Case {
    double green;
    std::uint64_t denominator;
    double at_1e_6;
    double at_1e_12;
  };
  for (const auto& [green, denominator, at_1e_6, at_1e_12] :
       {Case{0.27, 4, 17'514, 33'104}, Case{0.3, 4, 2'891, 5'451}, Case{0.4, 4, 346, 649},
        Case{0.5, 4, 130, 246}, Case{0.52, 2, 22'803, 43'236}, Case{0.7, 2, 222, 418}}) {
    EXPECT_NEAR(static_cast<double>(green_needed(green, 1, denominator, level, 0.9)), at_1e_6,
                0.05 * at_1e_6)
        << green;
    EXPECT_NEAR(
        static_cast<double>(green_needed(green, 1, denominator, PValue::from_parts(1, -12), 0.9)),
        at_1e_12, 0.05 * at_1e_12)
        << green;
  }
  EXPECT_GE(green_needed(1, 1, 2, level, 0.9), 20U);  // 2^-20 is the first below 1e-6
}

// Against the exact law of a count.
TEST(Planning, PowerOfGreenTokens) {
  for (const PValue level : {PValue::from_parts(1, -3), PValue::from_parts(1, -10)})
    for (const std::uint64_t n : {200ULL, 5'000ULL, 100'000ULL})
      for (const double sigmas : {0.0, 2.0, 4.0, 7.0}) {
        const double green = 0.25 + sigmas * std::sqrt(0.1875 / static_cast<double>(n));
        std::uint64_t critical = n / 4;
        while (binomial_tail(n, critical, 1, 4) > level) ++critical;
        const auto numerator = static_cast<std::uint64_t>(std::llround(green * 1e9));
        const double exact = binomial_tail(n, critical, numerator, 1'000'000'000).to_double();
        EXPECT_NEAR(green_power(n, green, 1, 4, level), exact, 0.05 * exact + 0.005)
            << n << " " << green;
      }
  const PValue level = PValue::from_parts(1, -6);
  EXPECT_EQ(green_power(0, 0.5, 1, 4, level), 0);
  EXPECT_EQ(green_power(9, 1, 1, 4, level), 0);  // 4^-9 is above 1e-6
  EXPECT_EQ(green_power(10, 1, 1, 4, level), 1);
}

}  // namespace
}  // namespace countermark::stats
