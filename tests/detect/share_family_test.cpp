// SPDX-License-Identifier: Apache-2.0
// Every law's share of marked tuples: none where there is none, and some where there is much.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/support/random_numbers.h"
#include "verifier/detect/share_family.h"
#include "watermark/marks/exponential_score.h"

namespace countermark::detect {
namespace {

TEST(ShareFamilyOfALaw, FindsMarkedTuplesAndNothingElse) {
  tests::RandomNumbers random(1);
  // One tuple's score under each law; marked ones are the best of six.
  const auto word = [&] { return static_cast<std::uint32_t>(random.next() >> 32); };
  const auto draw = [&](const NullModel& model) -> std::uint64_t {
    switch (model.law) {
      case NullLaw::kExponentialBound:
        return exponential_score(word());
      case NullLaw::kTwoExponentialBounds:
        return model.a * exponential_score(word()) + model.b * exponential_score(word());
      case NullLaw::kGreenList:
      case NullLaw::kGreen:
        return random.below(static_cast<std::uint32_t>(model.b)) < model.a ? 1 : 0;
      case NullLaw::kBits:
        return static_cast<std::uint64_t>(
            __builtin_popcount(word() & ((std::uint32_t{1} << model.a) - 1)));
    }
    return 0;
  };
  for (const NullModel model :
       {NullModel{NullLaw::kExponentialBound}, NullModel{NullLaw::kTwoExponentialBounds, 9, 1},
        NullModel{NullLaw::kGreenList, 1, 4}, NullModel{NullLaw::kGreen, 1, 4},
        NullModel{NullLaw::kBits, 30, 0}}) {
    const stats::ShareFamily family = share_family(model);
    constexpr std::size_t kTuples = 4'000;
    for (const std::size_t marked : {std::size_t{0}, kTuples / 2}) {
      std::vector<std::uint64_t> scores;
      for (std::size_t i = 0; i < kTuples; ++i) {
        std::uint64_t score = draw(model);
        for (int other = 1; i < marked && other < 6; ++other) score = std::max(score, draw(model));
        scores.push_back(score);
      }
      stats::ShareCounts counts;
      family.count(scores, counts);
      const std::uint64_t bound =
          family.lower_bound(counts, stats::PValue::from_parts(1, -6)).marked;
      EXPECT_LE(bound, marked);
      EXPECT_GE(bound, marked / 2);
    }
  }
}

}  // namespace
}  // namespace countermark::detect
