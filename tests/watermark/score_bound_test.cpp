// SPDX-License-Identifier: Apache-2.0
// The score's proved side: never above the exponential of its word, and never far below.
//
// All 2^32 words: tests/studies/score_bound.cpp.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/support/random.h"
#include "watermark/marks/exponential_score.h"

namespace countermark::tests {
namespace {

// In units of a score (specification: docs/mark.md, "Stream, word, draw, score").
constexpr long double kMostBelow = 6.17L;

// 2^20 * -ln(1 - word / 2^32), to 1e-9 at least where long double is double.
long double exact_score(std::uint32_t word) {
  return 0x1p20L * -std::log1p(-static_cast<long double>(word) * 0x1p-32L);
}

// 0 <= exact - score <= kMostBelow.
bool within_bound(std::uint32_t word) {
  const long double below = exact_score(word) - exponential_score(word);
  return below >= 0 && below <= kMostBelow;
}

// The words at which a row of the table or an octave ends, and their neighbours.
std::vector<std::uint32_t> edges() {
  std::vector<std::uint32_t> out;
  for (int octave = 0; octave < 32; ++octave) {
    for (std::uint64_t row = 0; row <= 16; ++row) {
      // y = 2^32 - word, with (16 + row) as its leading five bits.
      const std::uint64_t y = ((16 + row) << 27) >> octave;
      for (int offset = -3; offset <= 3; ++offset) {
        const auto word = static_cast<std::int64_t>((std::uint64_t{1} << 32) - y) + offset;
        if (word >= 0 && word < std::int64_t{1} << 32)
          out.push_back(static_cast<std::uint32_t>(word));
      }
    }
  }
  return out;
}

TEST(ScoreBound, HoldsAtEveryEdgeOfTheTable) {
  const auto words = edges();
  EXPECT_GT(words.size(), 3000u);
  for (const std::uint32_t word : words) EXPECT_TRUE(within_bound(word)) << word;
}

TEST(ScoreBound, HoldsOnAMillionWords) {
  SplitMix64 random(1);
  std::uint32_t failures = 0;
  for (int i = 0; i < 500'000; ++i) {
    const auto word = static_cast<std::uint32_t>(random.next() >> 32);
    // Close to the top, where a midpoint would break it, as often as everywhere.
    const std::uint32_t top = ~static_cast<std::uint32_t>(random.next() >> 32 >> random.below(32));
    failures += !within_bound(word);
    failures += !within_bound(top);
  }
  EXPECT_EQ(failures, 0u);
  for (std::uint32_t word = 0; word < 10'000; ++word)
    EXPECT_TRUE(within_bound(word) && within_bound(~word)) << word;
}

TEST(ScoreBound, IsMonotoneNextToEdgesAndAtRandom) {
  SplitMix64 random(2);
  std::vector<std::uint32_t> words = edges();
  for (int i = 0; i < 1'000'000; ++i)
    words.push_back(static_cast<std::uint32_t>(random.next() >> 32));
  for (const std::uint32_t word : words) {
    if (word == std::numeric_limits<std::uint32_t>::max()) continue;
    ASSERT_LE(exponential_score(word), exponential_score(word + 1)) << word;
  }
}

TEST(ScoreBound, Extremes) {
  EXPECT_EQ(exponential_score(0), 0u);
  EXPECT_EQ(exponential_score(1), 0u);
  EXPECT_EQ(exponential_score(0x80000000), 726'812u);
  EXPECT_EQ(exponential_score(0xFFFFFFFF), 23'258'154u);
  // 32 ln 2, the exponential of the top word's lower edge.
  EXPECT_NEAR(exponential_score(0xFFFFFFFF) * 0x1p-20, 32 * std::log(2.0), 1e-5);
}

}  // namespace
}  // namespace countermark::tests
