// SPDX-License-Identifier: Apache-2.0
// What a calibration says of counts that are known.
#include "verifier/calibrate/calibration.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace countermark::calibrate {
namespace {

const NullModel kGumbel{NullLaw::kExponentialBound, 0, 0};
const NullModel kCoin{NullLaw::kGreen, 1, 4};

// Counts of `judged` p-values that lie as evenly as they can.
NullCounts even(std::uint64_t judged) {
  NullCounts out;
  for (std::uint64_t i = 0; i < judged; ++i) {
    const double p = (static_cast<double>(i) + 0.5) / static_cast<double>(judged);
    out.add({p, 1 - p});
  }
  return out;
}

Calibration calibration_of(const NullCounts& key, const NullCounts& decoys) {
  Calibration out;
  out.key.assigned = out.key.own = key;
  out.whole = {0.5, 0.5};
  out.decoys = 10;
  out.decoy.assigned = out.decoy.own = decoys;
  return out;
}

TEST(NullCounts, TailsOfKnownLaws) {
  // One exponential score of ln 10: a tenth are as high.
  const auto score = static_cast<std::uint64_t>(std::llround(std::log(10.0) * (1 << 20)));
  EXPECT_NEAR(tails(kGumbel, {1, score}).upper, 0.1, 1e-6);
  EXPECT_NEAR(tails(kGumbel, {1, score}).lower, 0.9, 1e-6);
  // Two of three coins of 1/4: at least two 10/64, at most two 63/64.
  EXPECT_NEAR(tails(kCoin, {3, 2}).upper, 10.0 / 64, 1e-12);
  EXPECT_NEAR(tails(kCoin, {3, 2}).lower, 63.0 / 64, 1e-12);
  EXPECT_EQ(tails(kCoin, {3, 3}).lower, 1);
  EXPECT_EQ(tails(kGumbel, {0, 0}).upper, 1);
}

TEST(NullCounts, CountsEveryLevelOnce) {
  const NullCounts counts = even(1'000'000);
  EXPECT_EQ(counts.judged, 1'000'000U);
  for (std::size_t i = 0; i < kLevels; ++i) {
    EXPECT_EQ(counts.upper[i], static_cast<std::uint64_t>(std::llround(1e6 * level(i)))) << i;
    EXPECT_EQ(counts.lower[i], counts.upper[i]) << i;
  }
  for (const std::uint64_t bin : counts.bins) EXPECT_EQ(bin, 50'000U);
  EXPECT_EQ(counts.steps[0], 1'000'000U);
  EXPECT_EQ(counts.steps[8], 10'000U);
}

TEST(NullCounts, PartsAddUp) {
  NullCounts whole = even(10);
  NullCounts parts;
  parts += whole;
  parts += even(7);
  for (int i = 0; i < 7; ++i) {
    const double p = (i + 0.5) / 7;
    whole.add({p, 1 - p});
  }
  EXPECT_EQ(parts, whole);
}

TEST(ScoreSums, MomentsOfKnownScores) {
  ScoreSums sums;
  const std::vector<std::uint32_t> scores{0, 1U << 20U, 3U << 20U, 0};
  sums.add(scores);
  const ScoreMoments found = moments(kGumbel, sums);
  EXPECT_DOUBLE_EQ(found.mean, 1);
  EXPECT_DOUBLE_EQ(found.variance, 2);
  EXPECT_DOUBLE_EQ(found.expected_variance, 1);
  EXPECT_DOUBLE_EQ(found.mean_error, 0.5);
  // The variance of a squared deviation of an exponential is 8.
  EXPECT_DOUBLE_EQ(found.variance_error, std::sqrt(8.0 / 4));
}

TEST(Calibration, EvenPValuesAreFit) {
  Calibration out = calibration_of(even(10'000), even(100'000));
  judge(kGumbel, out);
  EXPECT_EQ(out.fitness, Fitness::kFit);
  EXPECT_TRUE(out.reasons.empty());
}

TEST(Calibration, AKeyThatAlarmsTooOftenIsUnfit) {
  NullCounts key = even(10'000);
  for (int i = 0; i < 20; ++i) key.add({1e-6, 1});
  Calibration out = calibration_of(key, even(100'000));
  judge(kGumbel, out);
  EXPECT_EQ(out.fitness, Fitness::kKeyUnfit);
  EXPECT_EQ(out.reasons, (std::vector<std::string>{"key-documents", "own-documents"}));
}

TEST(Calibration, TheOtherTailCountsToo) {
  NullCounts key = even(10'000);
  for (int i = 0; i < 20; ++i) key.add({1, 1e-6});
  Calibration out = calibration_of(key, even(100'000));
  judge(kGumbel, out);
  EXPECT_EQ(out.fitness, Fitness::kKeyUnfit);
}

TEST(Calibration, TooFewSmallPValuesAreAFaultOfAContinuousLawOnly) {
  NullCounts key;
  for (int i = 0; i < 10'000; ++i) key.add({0.5, 0.5});
  Calibration out = calibration_of(key, even(100'000));
  judge(kGumbel, out);
  EXPECT_EQ(out.fitness, Fitness::kKeyUnfit);
  judge(kCoin, out);
  EXPECT_EQ(out.fitness, Fitness::kFit);
}

TEST(Calibration, WhatDecoysShowIsTheCorpus) {
  NullCounts bad = even(10'000);
  for (int i = 0; i < 200; ++i) bad.add({1e-4, 1});
  Calibration out = calibration_of(bad, bad);
  judge(kGumbel, out);
  EXPECT_EQ(out.fitness, Fitness::kCorpusUnfit);
}

TEST(Calibration, TheWholeCounts) {
  Calibration out = calibration_of(even(10'000), even(100'000));
  out.whole = {1e-9, 1};
  judge(kGumbel, out);
  EXPECT_EQ(out.fitness, Fitness::kKeyUnfit);
  EXPECT_EQ(out.reasons, std::vector<std::string>{"key-whole"});
  out.whole = {1, 1e-9};
  judge(kGumbel, out);
  EXPECT_EQ(out.fitness, Fitness::kKeyUnfit);
}

TEST(Calibration, SharedTextIsSaidAndNoFault) {
  Calibration out = calibration_of(even(10'000), even(100'000));
  for (int i = 0; i < 20; ++i) out.key.own.add({1e-6, 1});
  judge(kGumbel, out);
  EXPECT_EQ(out.fitness, Fitness::kFit);
  EXPECT_EQ(out.reasons, std::vector<std::string>{"own-documents"});
}

TEST(Calibration, FewDocumentsSayNothing) {
  Calibration out = calibration_of(even(kFewestDocuments - 1), even(100));
  judge(kGumbel, out);
  EXPECT_EQ(out.fitness, Fitness::kInconclusive);
}

}  // namespace
}  // namespace countermark::calibrate
