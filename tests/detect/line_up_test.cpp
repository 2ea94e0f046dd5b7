// SPDX-License-Identifier: Apache-2.0
// Ranking by tallies: the same rank as by the tails themselves, from very few of them.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "verifier/detect/line_up.h"
#include "verifier/stats/tail.h"

namespace countermark::detect {
namespace {

using stats::PValue;

PValue gamma(const Tally& tally) { return stats::gamma_tail(tally.n, tally.sum); }
PValue two_gamma(const Tally& tally) { return stats::two_gamma_tail(tally.n, tally.sum, 9, 1); }
PValue green(const Tally& tally) { return stats::green_tail(tally.n, tally.sum, 1, 4); }

// Statistics about their expectation `mean` for each tuple, under keys that give n to n + 3 tuples.
std::vector<Tally> decoys(std::size_t count, std::uint64_t n, double mean, double spread) {
  std::mt19937_64 words(count + n);
  std::vector<Tally> found(count);
  for (Tally& tally : found) {
    tally.n = n + words() % 4;
    double sum = 0;  // of 12 uniforms: nearly normal
    for (int i = 0; i < 12; ++i) sum += static_cast<double>(words() >> 11) * 0x1p-53;
    const double at = static_cast<double>(tally.n) * mean +
                      (sum - 6) * spread * std::sqrt(static_cast<double>(tally.n));
    tally.sum = static_cast<std::uint64_t>(at);
  }
  return found;
}

struct Case {
  const char* name;
  Ranking::Tail tail;
  double mean;
  double spread;
};

TEST(Ranking, AgreesWithTheTailsThemselves) {
  const std::vector<Case> cases = {{"gamma", gamma, 0x1p20, 0x1p20},
                                   {"two gammas", two_gamma, 10 * 0x1p20, 9 * 0x1p20},
                                   {"green", green, 0.25, 0.433}};
  for (const Case& item : cases) {
    const std::vector<Tally> tallies = decoys(1'000, 400, item.mean, item.spread);
    std::vector<PValue> tails;
    tails.reserve(tallies.size());
    for (const Tally& tally : tallies) tails.push_back(item.tail(tally));
    // Truths among the best, in the middle and among the worst.
    for (const std::size_t i : {0u, 1u, 2u, 3u, 4u, 5u, 500u, 998u}) {
      const LineUp by_tails = compare(tails[i], tails, {});
      const LineUp by_tallies = compare(tallies[i], tallies, item.tail, {});
      EXPECT_EQ(by_tallies.rank, by_tails.rank) << item.name << " " << i;
      EXPECT_EQ(by_tallies.decoys, by_tails.decoys);
      EXPECT_EQ(by_tallies.p, by_tails.p);
    }
  }
}

TEST(Ranking, ComputesFewTails) {
  const std::vector<Tally> tallies = decoys(200'000, 400, 0x1p20, 0x1p20);
  for (const double deviations : {0.0, 3.0, 20.0}) {
    int computed = 0;
    const auto counting = [&computed](const Tally& tally) {
      ++computed;
      return gamma(tally);
    };
    const Tally truth{400, static_cast<std::uint64_t>((400 + 20 * deviations) * 0x1p20)};
    const LineUp line_up = compare(truth, tallies, counting, {});
    // Four values of n, 2 ln 50,000 = 22 each.
    EXPECT_LT(computed, 200);
    if (deviations > 10) {
      EXPECT_EQ(line_up.rank, 1U);
    }
  }
}

TEST(Ranking, TiesAndTalliesWithoutATuple) {
  const Tally truth{100, 40};
  // A tie counts against the key; what cannot be compared by sums is by tails.
  const std::vector<Tally> tallies = {{100, 40}, {100, 39}, {101, 40}, {99, 40}, {0, 0}};
  const LineUp line_up = compare(truth, tallies, green, {});
  EXPECT_EQ(line_up.rank, 3U);
  EXPECT_DOUBLE_EQ(line_up.p, 3.0 / 6);
  // Below the expectation all bounds are 1, and everything ties.
  EXPECT_EQ(compare({100, 20}, tallies, green, {}).rank, 6U);
}

}  // namespace
}  // namespace countermark::detect
