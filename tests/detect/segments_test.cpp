// SPDX-License-Identifier: Apache-2.0
// Windows by their definition; what is found, where, and how often chance finds something.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "tests/support/random_numbers.h"
#include "tests/support/stat_test.h"
#include "verifier/detect/segments.h"
#include "verifier/stats/tail.h"
#include "watermark/marks/exponential_score.h"

namespace countermark::detect {
namespace {

using stats::PValue;
using tests::RandomNumbers;
using tests::StatTest;
using Scores = std::vector<std::uint32_t>;

const NullModel kNative{NullLaw::kExponentialBound};

std::uint32_t draw(RandomNumbers& random, std::uint32_t candidates = 1) {
  std::uint32_t word = 0;
  for (std::uint32_t i = 0; i < candidates; ++i)
    word = std::max(word, static_cast<std::uint32_t>(random.next() >> 32));
  return exponential_score(word);
}

// n scores, those from begin to end drawn among `candidates`.
Scores text(RandomNumbers& random, std::size_t n, std::size_t begin = 0, std::size_t end = 0,
            std::uint32_t candidates = 1) {
  Scores out;
  for (std::size_t i = 0; i < n; ++i)
    out.push_back(draw(random, i >= begin && i < end ? candidates : 1));
  return out;
}

// Tuple i stands at token 3 i + 5.
std::vector<std::uint64_t> positions_of(std::size_t n) {
  std::vector<std::uint64_t> out(n);
  for (std::size_t i = 0; i < n; ++i) out[i] = 3 * i + 5;
  return out;
}

SpanSearch search(const SpanFinder& finder, const Scores& scores) {
  SpanFinder::Scratch scratch;
  return finder.search(scores, positions_of(scores.size()), scratch);
}

// Begin and length of every window of n tuples.
std::vector<std::pair<std::size_t, std::size_t>> windows_of(std::size_t n) {
  std::vector<std::pair<std::size_t, std::size_t>> out;
  for (int k = 0; k < 39; ++k) {
    const auto length = static_cast<std::size_t>(std::floor(32 * std::pow(2.0, k / 2.0) + 1e-9));
    for (std::size_t begin = 0; begin + length <= n; begin += length / 4)
      out.emplace_back(begin, length);
  }
  return out;
}

TEST(Segments, TriesTheWindowsThatAreDocumented) {
  const SpanFinder finder(kNative, PValue::from_parts(1, -6));
  RandomNumbers random(1);
  for (const std::size_t n : {0u, 1u, 31u, 32u, 39u, 40u, 45u, 64u, 500u, 10'000u}) {
    EXPECT_EQ(search(finder, text(random, n)).windows, windows_of(n).size()) << n;
  }
  EXPECT_NEAR(static_cast<double>(windows_of(100'000).size()), 43'000, 100);
}

TEST(Segments, KeepsWhatReachesTheLevelAndNothingElse) {
  // A span is a candidate if and only if some window has a p-value of at most the level.
  RandomNumbers random(2);
  const PValue level = PValue::from_parts(1, -3);
  const SpanFinder finder(kNative, level);
  int with = 0;
  for (int round = 0; round < 60; ++round) {
    const Scores scores = text(random, 150, 40, 80, 1 + random.below(2));
    PValue least;
    for (const auto& [begin, length] : windows_of(scores.size())) {
      std::uint64_t sum = 0;
      for (std::size_t i = begin; i < begin + length; ++i) sum += scores[i];
      least = std::min(least, stats::gamma_tail(length, sum));
    }
    const SpanSearch found = search(finder, scores);
    EXPECT_EQ(!found.candidates.empty(), least <= level);
    with += found.candidates.empty() ? 0 : 1;
    std::uint64_t before = 0;
    for (const SpanCandidate& candidate : found.candidates) {
      EXPECT_LE(tail(kNative, candidate.window), level);
      EXPECT_GE(candidate.begin, before);
      EXPECT_LT(candidate.begin, candidate.end);
      before = candidate.end;
    }
  }
  EXPECT_GT(with, 10);
  EXPECT_LT(with, 50);
}

TEST(Segments, ReportsTokensAndSeparateSpans) {
  RandomNumbers random(3);
  Scores scores = text(random, 1000, 200, 300, 12);
  for (std::size_t i = 600; i < 800; ++i) scores[i] = draw(random, 8);
  const SpanFinder finder(kNative, PValue::from_parts(1, -6));
  const SpanSearch found = search(finder, scores);
  ASSERT_EQ(found.candidates.size(), 2u);
  const std::vector<std::uint64_t> positions = positions_of(1000);
  EXPECT_NEAR(static_cast<double>(found.candidates[0].begin), 605.0, 24);
  EXPECT_NEAR(static_cast<double>(found.candidates[0].end), 903.0, 24);
  EXPECT_NEAR(static_cast<double>(found.candidates[1].begin), 1805.0, 24);
  EXPECT_NEAR(static_cast<double>(found.candidates[1].end), 2403.0, 24);
  for (const SpanCandidate& candidate : found.candidates) {
    EXPECT_TRUE(std::binary_search(positions.begin(), positions.end(), candidate.begin));
    EXPECT_TRUE(std::binary_search(positions.begin(), positions.end(), candidate.end - 1));
  }

  // The scores of another width, and the second search in the same memory.
  SpanFinder::Scratch scratch;
  const std::vector<std::uint64_t> wide(scores.begin(), scores.end());
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(finder.search(wide, positions, scratch).candidates, found.candidates);
}

TEST(Segments, AWholeMarkedTextIsOneSpan) {
  RandomNumbers random(4);
  const SpanFinder finder(kNative, PValue::from_parts(1, -6));
  for (const std::size_t n : {60u, 500u, 5'000u}) {
    const SpanSearch found = search(finder, text(random, n, 0, n, 6));
    ASSERT_EQ(found.candidates.size(), 1u) << n;
    EXPECT_LE(found.candidates[0].begin, 5u + 3 * 4);
    EXPECT_GE(found.candidates[0].end, 3 * n - 3 * 4);
  }
}

TEST(Segments, EveryLawHasItsOwnCriticalSums) {
  // One window of 32 tuples at and just below the least sum that passes.
  const PValue level = PValue::from_parts(1, -4);
  for (const NullModel model :
       {kNative, NullModel{NullLaw::kTwoExponentialBounds, 9, 1}, NullModel{NullLaw::kGreen, 1, 4},
        NullModel{NullLaw::kGreenList, 1, 4}, NullModel{NullLaw::kBits, 30, 0}}) {
    const SpanFinder finder(model, level);
    const auto passes = [&](std::uint64_t sum) {
      std::vector<std::uint64_t> scores(32, sum / 32);
      scores[7] += sum % 32;
      SpanFinder::Scratch scratch;
      const SpanSearch found = finder.search(scores, positions_of(32), scratch);
      EXPECT_EQ(found.windows, 1u);
      return !found.candidates.empty();
    };
    std::uint64_t low = 0, high = std::uint64_t{1} << 32;
    if (model.law == NullLaw::kGreen || model.law == NullLaw::kGreenList) high = 32;
    if (model.law == NullLaw::kBits) high = 32 * 30;
    ASSERT_TRUE(passes(high));
    ASSERT_FALSE(passes(low));
    while (high - low > 1) {
      const std::uint64_t middle = low + (high - low) / 2;
      (passes(middle) ? high : low) = middle;
    }
    // Of weighted sums to 2^-24.
    const std::uint64_t slack = model.law == NullLaw::kTwoExponentialBounds ? 1 + (high >> 23) : 0;
    EXPECT_LE(tail(model, {32, high + slack}), level);
    EXPECT_GT(tail(model, {32, high - 1}), level);
  }
  // Three greens of four by chance: no count of 32 is rare enough.
  const SpanFinder never({NullLaw::kGreen, 3, 4}, PValue::from_parts(1, -6));
  SpanFinder::Scratch scratch;
  EXPECT_TRUE(never.search(Scores(32, 1), positions_of(32), scratch).candidates.empty());
}

TEST(Segments, BytesAreWholeCharacters) {
  const std::string_view text = "a\u00e9\u20acz";  // 1, 2, 3 and 1 bytes
  const std::vector<std::uint64_t> offsets = {0, 2, 4, 6, 7};
  EXPECT_EQ(bytes_of(text, offsets, 0, 4), (ByteRange{0, 7}));
  EXPECT_EQ(bytes_of(text, offsets, 0, 1), (ByteRange{0, 3}));
  EXPECT_EQ(bytes_of(text, offsets, 1, 2), (ByteRange{1, 6}));
  EXPECT_EQ(bytes_of(text, offsets, 2, 3), (ByteRange{3, 6}));
  EXPECT_EQ(bytes_of(text, offsets, 3, 4), (ByteRange{6, 7}));
  EXPECT_EQ(bytes_of(text, offsets, 4, 4), (ByteRange{7, 7}));
  // A text that is no UTF-8 stays within itself.
  EXPECT_EQ(bytes_of("\x80\x80", std::vector<std::uint64_t>{0, 1, 2}, 1, 1), (ByteRange{0, 2}));
}

TEST(SegmentLaws, ScansAreAccusedNoOftenerThanTheySay) {
  // Ten documents a scan, corrected for the windows of all of them.
  RandomNumbers random(5);
  constexpr std::uint64_t kScans = 1'000;
  constexpr std::array kLevels = {0.5, 1e-1, 1e-2};
  std::array<std::uint64_t, kLevels.size()> accused{};
  const SpanFinder finder(kNative, PValue::from_parts(5, -1));
  for (std::uint64_t scan = 0; scan < kScans; ++scan) {
    std::uint64_t windows = 0;
    std::vector<SpanCandidate> candidates;
    for (int d = 0; d < 10; ++d) {
      const SpanSearch found = search(finder, text(random, 200));
      windows += found.windows;
      candidates.insert(candidates.end(), found.candidates.begin(), found.candidates.end());
    }
    // The least p-value of a scan: candidates with a larger one than a tenth need no tail.
    double least = 1;
    for (const SpanCandidate& candidate : candidates) {
      const double mean = static_cast<double>(candidate.window.sum) * 0x1p-20 /
                          static_cast<double>(candidate.window.n);
      if (mean < 1.3) continue;
      least = std::min(least, weigh(kNative, candidate.window, windows).p.to_double());
    }
    for (std::size_t j = 0; j < kLevels.size(); ++j) accused[j] += least <= kLevels[j] ? 1U : 0U;
  }
  const StatTest test{1e-6, kLevels.size()};
  for (std::size_t j = 0; j < kLevels.size(); ++j)
    EXPECT_LE(static_cast<double>(accused[j]), test.most(kScans, kLevels[j])) << kLevels[j];
  // Overlapping windows make the correction too large, by no more than a small factor.
  EXPECT_GE(static_cast<double>(accused[0]), test.least(kScans, 0.5 / 4));
  EXPECT_GE(static_cast<double>(accused[1]), test.least(kScans, 1e-1 / 4));
}

TEST(SegmentLaws, PlantedSpansAreFoundWhereTheyAre) {
  // Corrected for a scan of a thousand million windows at 1e-6, at any offset.
  RandomNumbers random(6);
  const SpanFinder finder(kNative, PValue::from_parts(1, -6));
  struct Case {
    std::size_t length;
    std::uint32_t candidates;
    double found;    // least share of texts in which the planted span is
    double overlap;  // least mean of (common tuples) / (tuples of either)
  };
  for (const Case& planted : {Case{60, 8, 0.9, 0.85}, Case{100, 5, 0.9, 0.85},
                              Case{200, 3, 0.9, 0.85}, Case{600, 2, 0.9, 0.85}}) {
    constexpr int kTexts = 100;
    int found = 0;
    double overlap = 0;
    for (int i = 0; i < kTexts; ++i) {
      const std::size_t begin = 100 + random.below(1000);
      const std::size_t end = begin + planted.length;
      const SpanSearch result = search(finder, text(random, 2'000, begin, end, planted.candidates));
      double best = 0;
      for (const SpanCandidate& candidate : result.candidates) {
        if (weigh(kNative, candidate.window, 1'000'000'000).p > PValue::from_parts(1, -6)) continue;
        const auto first = static_cast<std::size_t>(candidate.begin - 5) / 3;
        const auto last = static_cast<std::size_t>(candidate.end - 1 - 5) / 3 + 1;
        const double common =
            static_cast<double>(std::min(last, end)) - static_cast<double>(std::max(first, begin));
        const double either =
            static_cast<double>(std::max(last, end)) - static_cast<double>(std::min(first, begin));
        best = std::max(best, common / either);
      }
      found += best > 0 ? 1 : 0;
      overlap += best;
    }
    EXPECT_GE(found, planted.found * kTexts) << planted.length;
    EXPECT_GE(overlap / found, planted.overlap) << planted.length;
  }
}

}  // namespace
}  // namespace countermark::detect
