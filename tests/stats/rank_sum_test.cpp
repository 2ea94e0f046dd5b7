// SPDX-License-Identifier: Apache-2.0
// Ranks against every order that chance could have made, and their laws under the null.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <vector>

#include "tests/stats/decimal.h"
#include "tests/support/random_numbers.h"
#include "verifier/stats/limits.h"
#include "verifier/stats/rank_sum.h"

namespace countermark::stats::testing {
namespace {

using tests::RandomNumbers;

using Group = std::vector<double>;  // the one value first

RankSum sum_of(const std::vector<Group>& groups) {
  RankSum out;
  for (const Group& group : groups) out.add(group[0], std::span(group).subspan(1));
  return out;
}

// Every choice of the one value in every group.
void for_every_choice(std::vector<Group> groups, std::size_t at,
                      const std::function<void(const RankSum&)>& call) {
  if (at == groups.size()) return call(sum_of(groups));
  for (std::size_t i = 0; i < groups[at].size(); ++i) {
    std::swap(groups[at][0], groups[at][i]);
    for_every_choice(groups, at + 1, call);
    std::swap(groups[at][0], groups[at][i]);
  }
}

TEST(RankSum, TailsCountEveryChoice) {
  const std::vector<std::vector<Group>> cases = {
      {{1, 0, 2}},
      {{5, 1, 2, 3, 4}, {2, 1, 3}, {0, 0, 0, 1}, {7, 7}, {1.5, -2, 1.5, 1.5}},
      {{-1, 1}, {1, -1}, {1, -1}, {-1, 1}, {1, -1}, {1, -1}, {1, -1}},
      {{0, 0, 0}, {1, 1, 1, 1}},
      {{HUGE_VAL, 1, -HUGE_VAL}, {3, 1, 2, 2, 4}, {3, 3, 2, 2, 3}},
  };
  for (const std::vector<Group>& groups : cases) {
    const RankSum here = sum_of(groups);
    std::uint64_t all = 0;
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    double mean_e = 0;
    for_every_choice(groups, 0, [&](const RankSum& chance) {
      ++all;
      high += chance.statistic() >= here.statistic() ? 1U : 0U;
      low += chance.statistic() <= here.statistic() ? 1U : 0U;
      mean_e += std::pow(10, chance.e_value().log10());
      EXPECT_EQ(chance.most(), here.most());
    });
    for (const auto& [p, count] :
         {std::pair(here.upper_tail(), high), std::pair(here.lower_tail(), low)}) {
      const cpp_rational exact(count, all);
      EXPECT_GE(p, smallest_at_least(decimal_above(exact)));
      EXPECT_NEAR(p.to_double(), static_cast<double>(exact), 1e-9);
    }
    EXPECT_NEAR(mean_e / static_cast<double>(all), 1, 1e-7);
    EXPECT_LE(mean_e / static_cast<double>(all), 1 + 1e-12);
  }
}

TEST(RankSum, CountsWhatIsThere) {
  const RankSum sum = sum_of({{5, 1, 2, 5, 9}, {1, 1, 1}, {3, 4}});
  EXPECT_EQ(sum.groups(), 3);
  EXPECT_EQ(sum.tied(), 1);
  EXPECT_EQ(sum.statistic(), 5 + 2 + 0);
  EXPECT_EQ(sum.most(), 8 + 4 + 2);
  EXPECT_EQ(sum.share(), 0.5);
  RankSum parts = sum_of({{3, 4}});
  parts += sum_of({{5, 1, 2, 5, 9}, {1, 1, 1}});
  EXPECT_EQ(parts, sum);
  EXPECT_EQ(RankSum().upper_tail(), PValue());
  EXPECT_EQ(RankSum().lower_tail(), PValue());
  EXPECT_NEAR(RankSum().e_value().log10(), 0, 1e-8);
  EXPECT_EQ(RankSum().share(), 0.5);
}

// A thousand prompts, each answer above all four others: 5^-1000.
TEST(RankSum, CertaintyIsTheProductOfChances) {
  RankSum sum;
  constexpr std::array<double, 4> kOthers = {1, 2, 3, 4};
  for (int i = 0; i < 1000; ++i) sum.add(5, kOthers);
  EXPECT_NEAR(sum.upper_tail().log10(), -1000 * std::log10(5), 1e-6);
  EXPECT_EQ(sum.lower_tail(), PValue());
  EXPECT_NEAR(sum.e_value().log10(), 1000 * std::log10(1.5) - std::log10(6), 1e-3);
  EXPECT_EQ(sum.share(), 1);
}

// Values of few and of many kinds, groups of any size: p at most u with probability at most u.
TEST(RankSum, NullLawOverRepetitions) {
  constexpr int kRepetitions = 20'000;
  constexpr std::array kLevels = {0.5, 0.1, 0.01, 0.001};
  RandomNumbers random(7);
  std::array<std::uint64_t, kLevels.size()> upper{};
  std::array<std::uint64_t, kLevels.size()> lower{};
  std::uint64_t large = 0;  // e-values of 100 and more
  std::uint64_t covered = 0;
  for (int repetition = 0; repetition < kRepetitions; ++repetition) {
    RankSum sum;
    for (int group = 0; group < 30; ++group) {
      Group values(2 + random.below(4));
      for (double& value : values) value = group % 2 == 0 ? random.unit() : random.below(3);
      sum.add(values[0], std::span(values).subspan(1));
    }
    const double high = sum.upper_tail().to_double();
    const double low = sum.lower_tail().to_double();
    for (std::size_t i = 0; i < kLevels.size(); ++i) {
      upper[i] += high <= kLevels[i] ? 1U : 0U;
      lower[i] += low <= kLevels[i] ? 1U : 0U;
    }
    large += sum.e_value().log10() >= 2 ? 1U : 0U;
    covered += std::abs(sum.share() - 0.5) <= sum.half_width(0.95) ? 1U : 0U;
  }
  for (std::size_t i = 0; i < kLevels.size(); ++i) {
    const std::uint64_t limit = poisson_upper_limit(kRepetitions * kLevels[i], 1e-5);
    EXPECT_LE(upper[i], limit) << kLevels[i];
    EXPECT_LE(lower[i], limit) << kLevels[i];
    EXPECT_GE(upper[i], kRepetitions * kLevels[i] * 0.5) << kLevels[i];  // and it is no vain bound
  }
  EXPECT_LE(large, kRepetitions / 100);
  EXPECT_GE(covered, kRepetitions * 95 / 100);
}

}  // namespace
}  // namespace countermark::stats::testing
