// SPDX-License-Identifier: Apache-2.0
// Tails where formulas break: empty sums, the ends of the support, exponents beyond any floating
// point, the largest integers; and what must hold everywhere: order.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "verifier/stats/tail.h"

namespace countermark::stats {
namespace {

constexpr std::uint64_t kUnit = std::uint64_t{1} << 20;
constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

TEST(TailEdges, NothingScoredIsNoEvidence) {
  EXPECT_EQ(gamma_tail(0, 0), PValue());
  EXPECT_EQ(gamma_tail(0, 12345), PValue());
  EXPECT_EQ(gamma_tail(0, kMost), PValue());
  EXPECT_EQ(gamma_tail(1, 0), PValue());
  EXPECT_EQ(gamma_tail(kMost, 0), PValue());
  EXPECT_EQ(binomial_tail(0, 0, 1, 4), PValue());
  EXPECT_EQ(binomial_tail(1000, 0, 1, 4), PValue());
  EXPECT_EQ(two_gamma_tail(0, 12345, 9, 1), PValue());
  EXPECT_EQ(two_gamma_tail(1000, 0, 9, 1), PValue());
  EXPECT_EQ(green_tail(0, 0, 1, 4), PValue());
  EXPECT_EQ(gamma_tail_digits(0, 7, 5), "1.0000e0");
  EXPECT_EQ(binomial_tail_digits(7, 0, 1, 4, 1), "1e0");
}

TEST(TailEdges, AllSuccessesIsAPowerOfTheShare) {
  EXPECT_EQ(binomial_tail_digits(1, 1, 1, 4, 5), "2.5000e-1");
  EXPECT_EQ(binomial_tail_digits(10, 10, 1, 10, 30), "1.00000000000000000000000000000e-10");
  for (const unsigned trials : {1u, 30u, 63u, 64u, 65u, 500u}) {
    const PValue power = PValue::from_power_of_two(2 * trials);
    const PValue tail = binomial_tail(trials, trials, 1, 4);
    EXPECT_GE(tail, power);
    EXPECT_NEAR(tail.log10(), power.log10(), 1e-12 * -power.log10());
  }
}

TEST(TailEdges, OneScoreIsOneExponential) {
  // e^-(2^43) and e^-(2^-20): mpmath.
  EXPECT_EQ(gamma_tail_digits(1, std::uint64_t{1} << 63, 30),
            "2.33382051595018605859741279182e-3820094661853");
  EXPECT_EQ(gamma_tail(1, std::uint64_t{1} << 63).to_string(), "2.34e-3820094661853");
  EXPECT_EQ(gamma_tail_digits(1, 1, 20), "9.9999904632613834096e-1");
}

TEST(TailEdges, LargestIntegers) {
  // None of these may overflow, hang or come out below the truth; values from mpmath.
  EXPECT_NEAR(gamma_tail(1, kMost).log10(), -7640189323705.26, 0.01);
  EXPECT_NEAR(gamma_tail(1'000'000, kMost).log10(), -7640181644101.62, 0.01);
  EXPECT_EQ(gamma_tail(kMost, 1), PValue());
  EXPECT_EQ(gamma_tail(kMost, kMost), PValue());
  EXPECT_NEAR(binomial_tail(kMost, kMost, 1, 2).log10(), -5553023288523357132.0, 1e4);
  EXPECT_EQ(binomial_tail(kMost, 1, kMost - 1, kMost), PValue());
  EXPECT_NEAR(binomial_tail(kMost, kMost, kMost - 1, kMost).log10(), -0.4342944819, 1e-9);
  // 10^-(3.5 10^20) does not fit an exponent of 64 bits; what is returned lies above it.
  EXPECT_NEAR(binomial_tail(kMost, kMost, 1, kMost).log10(), -9e18, 1e10);
}

TEST(TailEdges, ManyTermsAndWideProducts) {
  // Both from tests/reference/make_tail_vectors.py, series and continued fraction agreeing. A
  // million million scores: more than 10^6 terms of the sum.
  EXPECT_EQ(gamma_tail_digits(1'000'000'000'000, (1'000'020'000'000 * kUnit), 25),
            "2.760976668498511033966646e-89");
  // Products of a count and a share that fill 128 bits.
  EXPECT_EQ(binomial_tail_digits(kMost, 13'000'000'000'000'000'000u, (std::uint64_t{1} << 62) + 3,
                                 kMost, 25),
            "1.405485751823712509613573e-3646005328049433310");
}

TEST(TailEdges, EqualWeightsAreOneGamma) {
  for (const std::uint64_t n : {1u, 2u, 31u, 32u, 1000u, 1000000u}) {
    for (const std::uint64_t eighth : {1u, 7u, 8u, 9u, 16u, 100u}) {
      const std::uint64_t statistic = (n * eighth << 18) + 12345;
      const std::string digits = gamma_tail_digits(2 * n, statistic, 26);
      EXPECT_EQ(two_gamma_tail_digits(n, statistic, 1, 1, 26), digits);
      EXPECT_EQ(two_gamma_tail_digits(n, 7 * statistic, 7, 7, 26), digits);
    }
  }
}

TEST(TailEdges, ACommonFactorOfTheWeightsOnlyScales) {
  for (const std::uint64_t n : {1u, 100u, 10000u}) {
    EXPECT_EQ(two_gamma_tail_digits(n, (n * 13 << 20) + 1, 9, 1, 26),
              two_gamma_tail_digits(n, 3 * ((n * 13 << 20) + 1), 27, 3, 26));
  }
}

TEST(TailEdges, TwoGammasFarFromTheirExpectation) {
  // One score under each key is hypoexponential: (9 e^-(x/9) - e^-x) / 8, here with x = 2^30.
  EXPECT_NEAR(two_gamma_tail(1, std::uint64_t{1} << 50, 9, 1).log10(),
              -1073741824.0 / 9 / std::log(10.0) + std::log10(1.125), 1e-6);
  // Far below it nothing is left of the complement.
  EXPECT_EQ(two_gamma_tail(1'000'000, kUnit, 9, 1), PValue());
  EXPECT_EQ(two_gamma_tail(1'000'000'000'000, kMost, 65535, 1), PValue());
  // A second score of next to no weight changes next to nothing.
  EXPECT_NEAR(two_gamma_tail(100, 100 * kUnit * 200'000, 100'000, 1).log10(),
              gamma_tail(100, 200 * kUnit).log10(), 1e-3);
}

TEST(TailEdges, ValuesNearOneAreNotRoundedToOne) {
  EXPECT_LT(gamma_tail(1, 1), PValue());
  EXPECT_LT(binomial_tail(10, 1, 1, 2), PValue());
  EXPECT_EQ(binomial_tail_digits(10, 1, 1, 2, 10), "9.990234375e-1");
  EXPECT_EQ(gamma_tail(1000, kUnit), PValue());
  EXPECT_EQ(gamma_tail_digits(1000, kUnit, 10), "1.000000000e0");
}

TEST(TailOrder, GammaFallsWithTheStatisticAndRisesWithN) {
  for (const std::uint64_t n : {1u, 2u, 63u, 64u, 65u, 1000u, 1000000u}) {
    PValue previous;
    const std::uint64_t step = n * kUnit / 64 + 1;
    for (std::uint64_t statistic = 1; statistic < 3 * n * kUnit; statistic += step) {
      const PValue p = gamma_tail(n, statistic);
      ASSERT_LE(p, previous) << n << " " << statistic;
      ASSERT_LE(p, gamma_tail(n + 1, statistic)) << n << " " << statistic;
      ASSERT_LE(gamma_tail(n, statistic + 1), p) << n << " " << statistic;
      previous = p;
    }
  }
}

TEST(TailOrder, GammaIsMonotoneWhereItsTwoSumsMeet) {
  for (const std::uint64_t n : {2u, 64u, 65u, 66u, 4097u, 1000000u}) {
    PValue previous = gamma_tail(n, (n - 1) * kUnit - 8);
    for (std::uint64_t statistic = (n - 1) * kUnit - 7; statistic < (n - 1) * kUnit + 8;
         ++statistic) {
      const PValue p = gamma_tail(n, statistic);
      ASSERT_LT(p, previous) << n << " " << statistic;
      previous = p;
    }
  }
}

TEST(TailOrder, TwoGammasFallWithTheStatisticAndRiseWithNAndWeights) {
  for (const std::uint64_t n : {1u, 3u, 64u, 1000u}) {
    PValue previous;
    const std::uint64_t step = 10 * n * kUnit / 64 + 1;
    for (std::uint64_t statistic = 1; statistic < 30 * n * kUnit; statistic += step) {
      const PValue p = two_gamma_tail(n, statistic, 9, 1);
      ASSERT_LE(p, previous) << n << " " << statistic;
      ASSERT_LE(two_gamma_tail(n, statistic + 1, 9, 1), p) << n << " " << statistic;
      ASSERT_LE(p, two_gamma_tail(n + 1, statistic, 9, 1)) << n << " " << statistic;
      ASSERT_LE(p, two_gamma_tail(n, statistic, 9, 2)) << n << " " << statistic;
      ASSERT_LE(p, two_gamma_tail(n, statistic, 10, 1)) << n << " " << statistic;
      previous = p;
    }
  }
}

TEST(TailOrder, BinomialFallsWithSuccessesAndRisesWithTrialsAndShare) {
  for (const std::uint64_t trials : {1u, 10u, 63u, 64u, 300u}) {
    for (const std::uint64_t share : {1u, 25u, 50u, 99u}) {
      PValue previous;
      for (std::uint64_t k = 1; k <= trials; ++k) {
        const PValue p = binomial_tail(trials, k, share, 101);
        ASSERT_LE(p, previous) << trials << " " << k << " " << share;
        ASSERT_LE(p, binomial_tail(trials + 1, k, share, 101));
        ASSERT_LE(p, binomial_tail(trials, k, share + 1, 101));
        previous = p;
      }
    }
  }
}

void expect_boundary(std::uint64_t n, PValue level) {
  const std::uint64_t critical = gamma_critical(n, level);
  ASSERT_GT(critical, 0u);
  EXPECT_LE(gamma_tail(n, critical), level) << n << " " << level.to_string();
  EXPECT_GT(gamma_tail(n, critical - 1), level) << n << " " << level.to_string();
}

TEST(GammaCritical, IsTheExactBoundary) {
  for (const std::uint64_t n : {1u, 2u, 3u, 7u, 20u, 64u, 100u, 412u, 1000u, 10000u, 1000000u}) {
    for (int exponent = 1; exponent <= 30; ++exponent) {
      expect_boundary(n, PValue::from_parts(1, -exponent));
    }
  }
}

TEST(GammaCritical, IsTheExactBoundaryAtUnusualLevels) {
  for (const std::uint64_t n : {1u, 64u, 1000u, 100000u}) {
    for (const double level : {0.999999, 0.9, 0.63, 0.5, 0.37}) {
      expect_boundary(n, PValue::from_double(level));
    }
    expect_boundary(n, PValue::from_parts(2.5, -300));
    expect_boundary(n, PValue::from_parts(9.75, -100000));
    expect_boundary(n, PValue::from_parts(1, -3'000'000'000'000));
  }
}

TEST(GammaCritical, KnownValueAndEnds) {
  // -ln(1e-6) 2^20 = 14486612.799 (mpmath).
  EXPECT_EQ(gamma_critical(1, PValue::from_parts(1, -6)), 14486613u);
  EXPECT_EQ(gamma_critical(1000, PValue()), 0u);
  EXPECT_EQ(gamma_critical(1, PValue::from_parts(1, -8'000'000'000'000)), kMost);
}

}  // namespace
}  // namespace countermark::stats
