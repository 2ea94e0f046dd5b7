// SPDX-License-Identifier: Apache-2.0
// Weighted sums against the exact tails where all weights are one, and against draws where not.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/support/random_numbers.h"
#include "verifier/stats/tail.h"
#include "verifier/stats/weighted_sum.h"
#include "watermark/marks/exponential_score.h"

namespace countermark::stats {
namespace {

using tests::RandomNumbers;

// n scores of one weight with this sum.
WeightedSum equal(const ScoreLaw& law, std::uint64_t n, std::uint64_t sum, std::uint32_t weight) {
  WeightedSum out(law);
  for (std::uint64_t i = 0; i < n; ++i) out.add(weight, sum / n + (i < sum % n ? 1 : 0));
  return out;
}

TEST(WeightedSum, BoundsTheGammaTail) {
  for (const std::uint64_t n : {1u, 2u, 10u, 300u, 10'000u})
    for (const double mean : {0.5, 0.99, 1.01, 1.1, 1.5, 3.0, 30.0}) {
      const auto sum = static_cast<std::uint64_t>(mean * static_cast<double>(n) * 0x1p20);
      const PValue exact = gamma_tail(n, sum);
      for (const std::uint32_t weight : {1u, 1024u, WeightedSum::kMostWeight}) {
        const WeightedSum weighted = equal({}, n, sum, weight);
        EXPECT_GE(weighted.tail(), exact) << n << " " << mean;
        if (mean <= 1.01) continue;
        // By sqrt(2 pi), where the deviation is large.
        if (static_cast<double>(n) * (mean - 1) * (mean - 1) > 10) {
          EXPECT_LT(weighted.tail().log10() - exact.log10(), n == 1 ? 1.0 : 0.45)
              << n << " " << mean;
        }
        if (n < 10) continue;
        EXPECT_NEAR(weighted.estimate_log10(), exact.log10(), 0.02) << n << " " << mean;
      }
    }
}

TEST(WeightedSum, BoundsTheBinomialTail) {
  for (const ScoreLaw& law : {ScoreLaw{false, 1, 1, 4}, ScoreLaw{false, 30, 1, 2}})
    for (const std::uint64_t n : {10u, 300u, 10'000u})
      for (const double share : {0.2, 0.26, 0.3, 0.6, 0.9}) {
        const auto sum =
            static_cast<std::uint64_t>(share * static_cast<double>(n * law.trials) + 0.5);
        const PValue exact = binomial_tail(n * law.trials, sum, law.numerator, law.denominator);
        const WeightedSum weighted = equal(law, n, sum, 512);
        EXPECT_GE(weighted.tail(), exact);
        EXPECT_LT(weighted.tail().log10() - exact.log10(), 4) << n << " " << share;
      }
}

TEST(WeightedSum, OfNothing) {
  const WeightedSum none{ScoreLaw{}};
  EXPECT_EQ(none.tail().to_string(), "1");
  EXPECT_EQ(none.bet().units(), 0);
  EXPECT_EQ(none.estimate_log10(), 0);
  // Every score at its largest.
  EXPECT_LT(equal({false, 1, 1, 2}, 100, 100, 7).tail().log10(), -29);
}

// Unlike weights, 20,000 sums: both tails of the estimate, the bound's, and the bet's mean.
TEST(WeightedSumLaws, KeepTheirLevels) {
  RandomNumbers random(21);
  constexpr int kRounds = 20'000;
  for (const ScoreLaw& law : {ScoreLaw{}, ScoreLaw{false, 1, 1, 4}}) {
    int bound = 0, below = 0, above = 0;
    double bets = 0, squares = 0;
    for (int round = 0; round < kRounds; ++round) {
      WeightedSum sum(law);
      for (int i = 0; i < 40; ++i) {
        const std::uint32_t weight = 1 + random.below(i < 30 ? 300 : 3000);
        const auto word = static_cast<std::uint32_t>(random.next() >> 32);
        sum.add(weight, law.is_exponential ? exponential_score(word) : (word >> 30 == 0 ? 1 : 0));
      }
      bound += sum.tail().log10() <= -2 ? 1 : 0;
      const double estimate = sum.estimate_log10();
      below += estimate <= -2 ? 1 : 0;
      above += estimate >= std::log10(0.9) ? 1 : 0;
      const double bet = std::pow(10.0, sum.bet().log10());
      bets += bet;
      squares += bet * bet;
    }
    // Binomial(20,000, .01): 200 +- 14; of the bits the estimate has no steps, the law has.
    EXPECT_LE(bound, 270);
    EXPECT_GT(bound, 5);
    EXPECT_NEAR(below, 200, law.is_exponential ? 80 : 90);
    EXPECT_NEAR(above, 2'000, law.is_exponential ? 230 : 400);
    EXPECT_NEAR(bets / kRounds, 1, 6 * std::sqrt(squares) / kRounds);
  }
}

}  // namespace
}  // namespace countermark::stats
