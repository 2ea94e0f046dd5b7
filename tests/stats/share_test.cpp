// SPDX-License-Identifier: Apache-2.0
// The lower bound against its definition, and how often it is above the truth: for marks of several
// laws, also such as leave nothing to see.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/multiprecision/cpp_int.hpp>
#include <cmath>
#include <functional>
#include <vector>

#include "tests/support/random_numbers.h"
#include "tests/support/stat_test.h"
#include "verifier/stats/share.h"
#include "verifier/stats/tail.h"
#include "watermark/marks/exponential_score.h"

namespace countermark::stats {
namespace {

using tests::RandomNumbers;
using tests::StatTest;

using Score = std::uint32_t;

Score draw(RandomNumbers& random, std::uint32_t candidates = 1) {
  std::uint32_t word = 0;
  for (std::uint32_t i = 0; i < candidates; ++i)
    word = std::max(word, static_cast<std::uint32_t>(random.next() >> 32));
  return exponential_score(word);
}

ShareCounts counts_of(const ShareFamily& family, const std::vector<Score>& scores) {
  ShareCounts counts;
  family.count(scores, counts);
  return counts;
}

TEST(ShareFamily, ThresholdsAreTheLeastWithTheirProbability) {
  const ShareFamily one = ShareFamily::exponential();
  ASSERT_EQ(one.thresholds().size(), kMostShareThresholds);
  for (const auto& [score, numerator, denominator] : one.thresholds()) {
    const double q = static_cast<double>(numerator) / static_cast<double>(denominator);
    EXPECT_LE(std::exp(-static_cast<double>(score) * 0x1p-20), q * (1 + 1e-15));
    EXPECT_GT(std::exp(-(static_cast<double>(score) - 1) * 0x1p-20), q);
  }
  // 9 E1 + E2 is above t with probability (9 e^(-t/9) - e^-t) / 8.
  const ShareFamily two = ShareFamily::two_exponentials(9, 1);
  for (const auto& [score, numerator, denominator] : two.thresholds()) {
    const double q = static_cast<double>(numerator) / static_cast<double>(denominator);
    const auto above = [](double t) { return (9 * std::exp(-t / 9) - std::exp(-t)) / 8; };
    EXPECT_LE(above(static_cast<double>(score) * 0x1p-20), q * (1 + 1e-14));
    EXPECT_GT(above((static_cast<double>(score) - 1) * 0x1p-20), q * (1 - 1e-14));
  }
  for (const std::uint64_t depth : {1u, 4u, 30u, 63u}) {
    std::uint64_t before = depth + 1;
    const ShareFamily bits = ShareFamily::bits(depth);
    for (const auto& [score, numerator, denominator] : bits.thresholds()) {
      const double q = static_cast<double>(numerator) / static_cast<double>(denominator);
      const double exact = binomial_tail(depth, score, 1, 2).to_double();
      EXPECT_GE(q, exact);
      EXPECT_LE(q, exact + 0x1p-31);
      EXPECT_LT(numerator, denominator);
      EXPECT_LT(score, before);
      before = score;
    }
  }
  const ShareFamily green = ShareFamily::green(1, 4);
  ASSERT_EQ(green.thresholds().size(), 1u);
  EXPECT_EQ(green.thresholds()[0].score, 1u);
}

TEST(ShareFamily, CountsWhatReachesEachThreshold) {
  RandomNumbers random(1);
  const ShareFamily family = ShareFamily::exponential();
  std::vector<Score> scores;
  for (int i = 0; i < 10'000; ++i) scores.push_back(draw(random));
  for (const auto& threshold : family.thresholds()) {
    scores.push_back(static_cast<Score>(threshold.score));
    scores.push_back(static_cast<Score>(threshold.score - 1));
  }
  ShareCounts expected;
  expected.tuples = scores.size();
  for (std::size_t j = 0; j < family.thresholds().size(); ++j)
    for (const Score score : scores)
      expected.reaching[j] += score >= family.thresholds()[j].score ? 1U : 0U;
  EXPECT_EQ(counts_of(family, scores), expected);
  ShareCounts wide;
  family.count(std::vector<std::uint64_t>(scores.begin(), scores.end()), wide);
  EXPECT_EQ(wide, expected);

  const std::span<const Score> all(scores);
  ShareCounts parts, rest;
  family.count(all.first(123), parts);
  family.count(all.subspan(123), rest);
  rest += parts;
  EXPECT_EQ(rest, expected);
}

// The definition, one m after the other.
std::uint64_t searched(const ShareFamily& family, const ShareCounts& counts, PValue alpha,
                       bool lists) {
  std::uint64_t best = 0;
  for (std::size_t j = 0; j < family.thresholds().size(); ++j) {
    const auto& [score, numerator, denominator] = family.thresholds()[j];
    for (std::uint64_t m = 0;; ++m) {
      const std::uint64_t left = counts.reaching[j] - m;
      const PValue tail = lists ? green_tail(counts.tuples - m, left, numerator, denominator)
                                : binomial_tail(counts.tuples - m, left, numerator, denominator);
      if (tail.times(family.thresholds().size()) <= alpha) continue;
      best = std::max(best, m);
      break;
    }
  }
  return best;
}

TEST(ShareFamily, LowerBoundIsTheDefinition) {
  RandomNumbers random(2);
  const std::vector<std::pair<ShareFamily, bool>> families = {
      {ShareFamily::exponential(), false},
      {ShareFamily::bits(30), false},
      {ShareFamily::green(1, 4), false},
      {ShareFamily::green_list(1, 4), true}};
  for (int round = 0; round < 25; ++round) {
    for (const auto& [family, lists] : families) {
      ShareCounts counts;
      counts.tuples = random.below(250);
      for (std::size_t j = 0; j < family.thresholds().size(); ++j)
        counts.reaching[j] = random.below(static_cast<std::uint32_t>(counts.tuples) + 1);
      const PValue alpha = PValue::from_parts(1, -1 - static_cast<int>(random.below(6)));
      const ShareBound bound = family.lower_bound(counts, alpha);
      EXPECT_EQ(bound.marked, searched(family, counts, alpha, lists));
      EXPECT_EQ(bound.tuples, counts.tuples);
    }
  }
}

TEST(ShareFamily, Ends) {
  const ShareFamily family = ShareFamily::exponential();
  const PValue alpha = PValue::from_parts(1, -2);
  EXPECT_EQ(family.lower_bound({}, alpha).marked, 0u);
  EXPECT_EQ(family.lower_bound({}, alpha).share(), 0);
  ShareCounts all;
  all.tuples = 1000;
  all.reaching.fill(1000);
  const ShareBound most = family.lower_bound(all, alpha);
  EXPECT_GE(most.marked, 998u);
  EXPECT_LE(most.marked, 1000u);
  EXPECT_LE(most.share() * 1000, static_cast<double>(most.marked));
  ShareCounts large;
  large.tuples = 1'000'000'000;
  large.reaching = {16'000'000,  63'000'000,  260'000'000, 510'000'000,
                    760'000'000, 940'000'000, 985'000'000};
  // (F - q) / (1 - q) is 4 % at q = 3/4 and at 63/64, less three standard errors.
  EXPECT_NEAR(family.lower_bound(large, alpha).share(), 0.04, 0.001);
}

// A corpus with some marked tuples: their scores, and those of the rest.
using Corpus = std::function<void(RandomNumbers&, std::vector<Score>&, std::size_t marked)>;

constexpr std::size_t kTuples = 1'000;

void add_unmarked(RandomNumbers& random, std::vector<Score>& scores, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) scores.push_back(draw(random));
}

struct Coverage {
  std::uint64_t above = 0;  // corpora whose bound is above the truth
  double mean = 0;          // of bound / truth
};

Coverage coverage(int corpora, std::size_t marked, PValue alpha, std::uint64_t seed,
                  const Corpus& make) {
  const ShareFamily family = ShareFamily::exponential();
  RandomNumbers random(seed);
  Coverage out;
  std::vector<Score> scores;
  for (int i = 0; i < corpora; ++i) {
    scores.clear();
    make(random, scores, marked);
    EXPECT_EQ(scores.size(), kTuples);
    const ShareBound bound = family.lower_bound(counts_of(family, scores), alpha);
    out.above += bound.marked > marked ? 1U : 0U;
    if (marked > 0)
      out.mean += static_cast<double>(bound.marked) / static_cast<double>(marked) / corpora;
  }
  return out;
}

TEST(ShareLaws, BoundIsAboveTheTruthNoOftenerThanItSays) {
  constexpr int kCorpora = 1'000;
  const PValue alpha = PValue::from_parts(5, -2);
  struct Law {
    const char* name;
    double least_at_half;  // what the mean bound must reach where half of the tuples are marked
    Corpus make;
  };
  const std::vector<Law> laws = {
      // Drawn among ten: every position shows it.
      {"ten candidates", 0.8,
       [](RandomNumbers& random, std::vector<Score>& scores, std::size_t marked) {
         for (std::size_t i = 0; i < marked; ++i) scores.push_back(draw(random, 10));
         add_unmarked(random, scores, kTuples - marked);
       }},
      // Three of four positions have one candidate and carry nothing.
      {"mostly decided", 0.05,
       [](RandomNumbers& random, std::vector<Score>& scores, std::size_t marked) {
         for (std::size_t i = 0; i < marked; ++i) scores.push_back(draw(random, i % 4 ? 1 : 5));
         add_unmarked(random, scores, kTuples - marked);
       }},
      // Nothing to see at all.
      {"one candidate", 0,
       [](RandomNumbers& random, std::vector<Score>& scores, std::size_t) {
         add_unmarked(random, scores, kTuples);
       }},
      // As high as can be: what the bound has to allow for.
      {"highest", 0.95,
       [](RandomNumbers& random, std::vector<Score>& scores, std::size_t marked) {
         scores.assign(marked, exponential_score(0xffffffff));
         add_unmarked(random, scores, kTuples - marked);
       }},
      // Drawn among two; the loser of every draw stands in the text as well, unmarked.
      // Nothing is left to see where all of both are there.
      {"with losers", 0, [](RandomNumbers& random, std::vector<Score>& scores, std::size_t marked) {
         for (std::size_t i = 0; i < marked; ++i) {
           const Score a = draw(random), b = draw(random);
           scores.push_back(std::max(a, b));
           if (scores.size() < kTuples) scores.push_back(std::min(a, b));
         }
         add_unmarked(random, scores, kTuples - scores.size());
       }}};
  const std::vector<std::size_t> marked = {0, 1, 10, 100, 500};
  const StatTest test{1e-6, laws.size() * marked.size()};
  std::uint64_t highest = 0;
  for (const Law& law : laws) {
    for (const std::size_t m : marked) {
      // With few marked tuples all laws are nearly the same.
      if (m < 100 && &law != laws.data()) continue;
      const Coverage got = coverage(kCorpora, m, alpha, 10 + m, law.make);
      EXPECT_LE(static_cast<double>(got.above), test.most(kCorpora, 0.05)) << law.name << " " << m;
      if (m == 500) {
        EXPECT_GE(got.mean, law.least_at_half) << law.name;
      }
      highest = std::max(highest, got.above);
    }
  }
  // Seven thresholds share alpha: where the mark is as high as can be the bound fails at a good
  // part of alpha. It is not kept by being useless.
  EXPECT_GE(highest, 15u);
}

TEST(ShareLaws, TextPickedByItsScoreBreaksIt) {
  // The positive control: of two unmarked corpora the one with more high scores.
  const Coverage got = coverage(300, 0, PValue::from_parts(5, -2), 3,
                                [](RandomNumbers& random, std::vector<Score>& scores, std::size_t) {
                                  std::vector<Score> best;
                                  std::uint64_t most = 0;
                                  for (int i = 0; i < 20; ++i) {
                                    std::vector<Score> one;
                                    add_unmarked(random, one, kTuples);
                                    std::uint64_t sum = 0;
                                    for (const Score score : one) sum += score;
                                    if (sum > most) {
                                      most = sum;
                                      best = one;
                                    }
                                  }
                                  scores = best;
                                });
  const StatTest test{1e-6, 1};
  EXPECT_GT(static_cast<double>(got.above), test.most(300, 0.05));
}

}  // namespace
}  // namespace countermark::stats
