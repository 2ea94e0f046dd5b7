// SPDX-License-Identifier: Apache-2.0
// E-values against their formulas in fifty digits: never above, and close; and what their means are
// under the null.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/multiprecision/cpp_bin_float.hpp>
#include <cmath>
#include <vector>

#include "tests/support/random_numbers.h"
#include "tests/support/stat_test.h"
#include "verifier/stats/e_value.h"
#include "watermark/marks/exponential_score.h"

namespace countermark::stats {
namespace {

using Float = boost::multiprecision::cpp_bin_float_50;
using tests::RandomNumbers;
using tests::StatTest;

Float nats(EValue e) { return ldexp(Float(e.units()), -32); }
Float log_of(PValue p) { return log(Float(p.mantissa())) + p.exponent() * log(Float(10)); }

// Never above; below by less than two units, and a relative 2^-42 of a large logarithm.
void expect_just_below(EValue e, const Float& exact) {
  EXPECT_LE(nats(e), exact);
  EXPECT_GE(nats(e), exact - ldexp(Float(2), -32) - abs(exact) * ldexp(Float(1), -42)) << exact;
}

TEST(EValue, CalibratorIsTheIntegral) {
  EXPECT_NEAR(EValue::calibrated(PValue()).log10(), std::log10(0.5), 1e-9);
  for (const double p : {0.999999, 0.99, 0.9, 0.78, 0.7788, 0.5, 0.1, 1e-2, 1e-6, 1e-30, 1e-300}) {
    const Float y = -log_of(PValue::from_double(p));
    // 1 - (1 + y) e^-y cancels only as y^2 near p = 1: 50 digits are plenty.
    expect_just_below(EValue::calibrated(PValue::from_double(p)),
                      y + log(1 - (1 + y) * exp(-y)) - 2 * log(y));
  }
  const Float y = -log_of(PValue::from_parts(3.7, -100'000));
  expect_just_below(EValue::calibrated(PValue::from_parts(3.7, -100'000)), y - 2 * log(y));
  // docs/statistics.md: 1e-10 becomes 5.3e-8.
  EXPECT_EQ(EValue::calibrated(PValue::from_parts(1, -10)).p_value().to_string(2), "5.4e-8");
  EXPECT_GT(EValue::calibrated(PValue::from_parts(1, -9'000'000'000'000'000'000)).log10(), 9.3e8);
}

TEST(EValue, StakedAndMean) {
  RandomNumbers random(1);
  for (int i = 0; i < 2000; ++i) {
    const auto draw = [&] {
      const double size = std::pow(10.0, 8 * random.unit() - 4);
      return EValue::from_units(static_cast<std::int64_t>((random.unit() - 0.5) * size * 0x1p32));
    };
    const EValue e = draw();
    const unsigned bits = 1 + random.below(20);
    const Float part = ldexp(Float(1), -static_cast<int>(bits));
    expect_just_below(e.staked(bits), log(1 - part + part * exp(nats(e))));
    const std::vector<EValue> some = {e, draw(), draw()};
    expect_just_below(EValue::mean(some),
                      log((exp(nats(some[0])) + exp(nats(some[1])) + exp(nats(some[2]))) / 3));
  }
  EXPECT_LE(EValue().staked(1), EValue());
  EXPECT_GE(EValue().staked(1).units(), -2);
}

TEST(EValue, PValueIsTheInverseRoundedUp) {
  EXPECT_EQ(EValue().p_value(), PValue());
  EXPECT_EQ(EValue::from_units(-5).p_value(), PValue());
  RandomNumbers random(2);
  for (int i = 0; i < 5000; ++i) {
    const auto units = static_cast<std::int64_t>(random.next() >> (1 + random.below(62)));
    const PValue p = EValue::from_units(units).p_value();
    const Float excess = log_of(p) + ldexp(Float(units), -32);
    EXPECT_GE(excess, 0) << units;
    EXPECT_LE(excess, 1e-11 + static_cast<double>(units) * 0x1p-90) << units;
  }
  EXPECT_EQ(EValue::from_units(1).p_value().to_string(), "1");
}

TEST(EValue, TiltedIsTheFormula) {
  RandomNumbers random(3);
  for (std::size_t tilt = 0; tilt < kTilts.size(); ++tilt) {
    const Float d = Float(kTilts[tilt]) / 64;
    for (const std::uint64_t n : {0ull, 1ull, 300ull, 1'000'000ull, (1ull << 29) - 1}) {
      const std::uint64_t statistic = n * (random.below(1 << 21));
      expect_just_below(tilted(n, statistic, tilt),
                        n * log(1 - d) + d * ldexp(Float(statistic), -20));
    }
  }
}

TEST(EValue, GreenBetIsTheFormula) {
  RandomNumbers random(7);
  for (const auto& [a, b] : {std::pair<std::uint64_t, std::uint64_t>{1, 4},
                             {12'800, 32'000},
                             {1, 2},
                             {1, (std::uint64_t{1} << 32) - 1},
                             {999, 1'000}})
    for (const std::uint64_t n : {0ull, 1ull, 300ull, 1'000'000ull, (1ull << 30) - 1}) {
      const std::uint64_t greens = n == 0 ? 0 : random.below(static_cast<std::uint32_t>(n) + 1);
      std::vector<Float> terms;
      Float size = 0;
      for (int k = 1; k <= 6; ++k) {
        const Float part = ldexp(Float(1), -k);
        const Float gain = greens * log(1 + part * Float(b - a) / a);
        const Float loss = (n - greens) * log(1 - part);
        terms.push_back(gain + loss);
        size = std::max(size, Float(gain - loss));
      }
      const Float largest = *std::max_element(terms.begin(), terms.end());
      if (largest > Float(1u << 30)) continue;  // more than can be held
      Float sum = 0;
      for (const Float& term : terms) sum += exp(term - largest);
      const Float exact = largest + log(sum / 6);
      const EValue e = green_bet(n, greens, a, b);
      EXPECT_LE(nats(e), exact);
      EXPECT_GE(nats(e), exact - ldexp(Float(2), -32) - size * ldexp(Float(1), -42)) << exact;
    }
}

TEST(EValueLaws, GreenBetHasMeanOne) {
  // All of the law is summed: 12 tokens.
  constexpr int kTokens = 12;
  for (const auto& [a, b] : {std::pair<std::uint64_t, std::uint64_t>{1, 4}, {1, 2}, {9, 10}}) {
    const double green = static_cast<double>(a) / static_cast<double>(b);
    double mean = 0, ways = 1;
    for (int g = 0; g <= kTokens; ++g) {
      mean += ways * std::pow(green, g) * std::pow(1 - green, kTokens - g) *
              std::pow(10.0, green_bet(kTokens, static_cast<std::uint64_t>(g), a, b).log10());
      ways = ways * (kTokens - g) / (g + 1);
    }
    EXPECT_NEAR(mean, 1, 1e-8);
    EXPECT_LE(mean, 1);
  }
}

std::uint64_t sum_of_scores(RandomNumbers& random, int n, int candidates = 1) {
  std::uint64_t sum = 0;
  for (int i = 0; i < n; ++i) {
    std::uint32_t word = 0;
    for (int j = 0; j < candidates; ++j)
      word = std::max(word, static_cast<std::uint32_t>(random.next() >> 32));
    sum += exponential_score(word);
  }
  return sum;
}

TEST(EValueLaws, MeansAreOneUnderTheNull) {
  // Of a calibrated uniform p, and of a tilted sum at rates where its variance is small.
  RandomNumbers random(4);
  constexpr int kRounds = 50'000;
  double sum = 0, squares = 0;
  for (int i = 0; i < kRounds; ++i) {
    // Its variance is infinite: small p are left out.
    const double p = random.unit() + 0x1p-54;
    const double e = std::pow(10.0, EValue::calibrated(PValue::from_double(p)).log10());
    if (p < 1e-3) continue;
    sum += e;
    squares += e * e;
  }
  // The integral over (p0, 1) is 1 - (1 - p0) / ln(1 / p0).
  const double exact = 1 - (1 - 1e-3) / std::log(1e3);
  const double mean = sum / kRounds;
  EXPECT_NEAR(mean, exact, 5 * std::sqrt(squares / kRounds / kRounds));

  for (const std::size_t tilt : {0u, 1u, 2u, 3u}) {
    sum = squares = 0;
    for (int i = 0; i < 20'000; ++i) {
      const double e = std::pow(10.0, tilted(20, sum_of_scores(random, 20), tilt).log10());
      sum += e;
      squares += e * e;
    }
    const double rounds = 20'000;
    EXPECT_NEAR(sum / rounds, 1, 5 * std::sqrt((squares / rounds - 1) / rounds)) << tilt;
  }
}

TEST(SlotEvidence, MergesInAnyOrderAndIgnoresTheEmpty) {
  RandomNumbers random(5);
  SlotEvidence whole, first, second;
  for (int d = 0; d < 200; ++d) {
    const int n = static_cast<int>(random.below(50));
    const std::vector<std::uint64_t> sums = {sum_of_scores(random, n), sum_of_scores(random, n, 2)};
    whole.add(static_cast<std::uint64_t>(n), sums);
    (d % 3 == 0 ? first : second).add(static_cast<std::uint64_t>(n), sums);
  }
  second += first;
  EXPECT_EQ(whole, second);
  EXPECT_EQ(SlotEvidence::from_products(whole.products()), whole);
  EXPECT_NE(whole, SlotEvidence());
  SlotEvidence empty;
  empty.add(0, std::vector<std::uint64_t>{0, 0});
  EXPECT_EQ(empty, SlotEvidence());
  EXPECT_LE(empty.value(), EValue());
  EXPECT_GE(empty.value().units(), -4);
}

// Documents of 40 tuples under four slots; each of the first `marked` is drawn in one of them.
SlotEvidence corpus(RandomNumbers& random, int documents, int marked, int candidates) {
  SlotEvidence evidence;
  for (int d = 0; d < documents; ++d) {
    std::array<std::uint64_t, 4> sums{};
    const std::uint32_t slot = random.below(4);
    for (std::uint32_t s = 0; s < sums.size(); ++s)
      sums[s] = sum_of_scores(random, 40, d < marked && s == slot ? candidates : 1);
    evidence.add(40, sums);
  }
  return evidence;
}

TEST(SlotEvidenceLaws, NullCorporaAreAccusedNoOftenerThanTheySay) {
  RandomNumbers random(6);
  constexpr int kCorpora = 4'000;
  constexpr std::array kLevels = {0.2, 1e-1, 1e-2, 1e-3};
  std::array<std::uint64_t, kLevels.size()> below{};
  double largest = 0;
  for (int i = 0; i < kCorpora; ++i) {
    const EValue e = corpus(random, 8, 0, 1).value();
    largest = std::max(largest, e.log10());
    for (std::size_t j = 0; j < kLevels.size(); ++j)
      below[j] += e.p_value().to_double() <= kLevels[j] ? 1U : 0U;
  }
  const StatTest test{1e-6, kLevels.size()};
  for (std::size_t j = 0; j < kLevels.size(); ++j)
    EXPECT_LE(static_cast<double>(below[j]), test.most(kCorpora, kLevels[j])) << kLevels[j];
  // Markov's inequality is not tight, but evidence does turn up by chance: nothing is stuck at 1.
  EXPECT_GT(below[0], 0u);
  EXPECT_GT(largest, 0.5);
}

TEST(SlotEvidenceLaws, FindsAMarkThatASumOverEachSlotDilutes) {
  // All marked weakly, and few marked well: the mean over rates and parts serves both.
  RandomNumbers random(7);
  EXPECT_GT(corpus(random, 400, 400, 2).value().log10(), 100);
  EXPECT_GT(corpus(random, 2'000, 20, 8).value().log10(), 100);
  EXPECT_GT(corpus(random, 1'000, 3, 8).value().log10(), 6);
}

}  // namespace
}  // namespace countermark::stats
