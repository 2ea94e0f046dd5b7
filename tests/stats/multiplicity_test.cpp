// SPDX-License-Identifier: Apache-2.0
// Lists against their definition in rational numbers, and the share of false entries that they
// have under each kind of dependence.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/multiprecision/cpp_int.hpp>
#include <cmath>
#include <vector>

#include "tests/support/random_numbers.h"
#include "verifier/stats/e_value.h"
#include "verifier/stats/multiplicity.h"

namespace countermark::stats {
namespace {

using boost::multiprecision::cpp_int;
using boost::multiprecision::cpp_rational;
using tests::RandomNumbers;

cpp_rational exact(PValue p) {
  const auto units = static_cast<cpp_int>(std::ldexp(p.mantissa(), 52));
  return cpp_rational(units, (cpp_int(1) << 52) * pow(cpp_int(10), unsigned(-p.exponent())));
}

// How many of the sorted values the step-up rule lists, with N c for the number of hypotheses.
std::size_t listed(std::vector<PValue> values, PValue level, const cpp_rational& c) {
  std::sort(values.begin(), values.end());
  const cpp_rational limit = exact(level) / (c * values.size());
  for (std::size_t k = values.size(); k > 0; --k)
    if (exact(values[k - 1]) <= limit * k) return k;
  return 0;
}

cpp_rational harmonic(std::size_t n) {
  cpp_rational sum = 0;
  for (std::size_t i = 1; i <= n; ++i) sum += cpp_rational(1, i);
  return sum;
}

DiscoveryFamily family_of(const std::vector<PValue>& values, PValue level) {
  DiscoveryFamily family(level);
  for (std::size_t i = 0; i < values.size(); ++i) family.add(i, values[i]);
  return family;
}

TEST(Discoveries, FollowTheDefinition) {
  RandomNumbers random(1);
  for (int round = 0; round < 200; ++round) {
    const PValue level = PValue::from_parts(1 + static_cast<double>(random.below(9)), -2);
    std::vector<PValue> values;
    for (std::uint32_t i = 0, n = 1 + random.below(60); i < n; ++i) {
      const std::uint32_t kind = random.below(4);
      values.push_back(kind == 0   ? PValue::from_parts(1 + random.unit(), -400)
                       : kind == 1 ? PValue::from_double(0.05 * (random.unit() + 1e-9))
                       : kind == 2 ? PValue::from_double(random.unit() + 1e-9 - 1e-9 * 0.5)
                                   : PValue());
    }
    const DiscoveryFamily family = family_of(values, level);
    EXPECT_EQ(family.size(), values.size());
    EXPECT_EQ(family.list(Procedure::kBenjaminiHochberg).size(), listed(values, level, 1));
    EXPECT_EQ(family.list(Procedure::kBenjaminiYekutieli).size(),
              listed(values, level, harmonic(values.size())));
  }
}

TEST(Discoveries, MeetTheirBoundaryExactly) {
  // N p / k = level for every k, and one unit more.
  const PValue level = PValue::from_parts(1, -400);
  for (const std::uint64_t n : {8u, 1000u}) {
    std::vector<PValue> on, above;
    for (std::uint64_t k = 1; k <= n; ++k) {
      const PValue p = PValue::from_parts(1.25, -401).scaled(8 * k, n);
      on.push_back(p);
      above.push_back(PValue::from_parts(std::nextafter(p.mantissa(), 10.0), p.exponent()));
    }
    const auto some = family_of(on, level).list(Procedure::kBenjaminiHochberg);
    EXPECT_EQ(some.size(), listed(on, level, 1));
    EXPECT_FALSE(some.empty());
    EXPECT_EQ(family_of(above, level).list(Procedure::kBenjaminiHochberg).size(), 0u);
  }
}

TEST(Discoveries, AdjustedValuesAreTheLevelsAtWhichOneIsListed) {
  RandomNumbers random(2);
  std::vector<PValue> values;
  for (int i = 0; i < 40; ++i) values.push_back(PValue::from_double(0.2 * random.unit() + 1e-12));
  for (const Procedure procedure :
       {Procedure::kBenjaminiHochberg, Procedure::kBenjaminiYekutieli}) {
    const auto all = family_of(values, PValue()).list(procedure);
    ASSERT_EQ(all.size(), values.size());
    for (std::size_t i = 0; i + 1 < all.size(); ++i) {
      EXPECT_LE(all[i].p, all[i + 1].p);
      EXPECT_LE(all[i].adjusted, all[i + 1].adjusted);
    }
    for (const Discovery& one : all) {
      if (one.adjusted >= PValue::from_double(0.9)) continue;
      const auto at = family_of(values, one.adjusted).list(procedure);
      EXPECT_TRUE(std::any_of(at.begin(), at.end(), [&](const auto& d) { return d.id == one.id; }));
      const PValue less = PValue::from_double(one.adjusted.to_double() * (1 - 1e-9));
      const auto below = family_of(values, less).list(procedure);
      EXPECT_FALSE(
          std::any_of(below.begin(), below.end(), [&](const auto& d) { return d.id == one.id; }));
    }
  }
}

TEST(Discoveries, TheHarmonicSumIsAnUpperBoundAndClose) {
  // Of one small value among n the adjusted one is n c(n) p.
  const PValue p = PValue::from_parts(1, -30);
  const auto factor = [&](std::uint64_t n) {
    DiscoveryFamily family(PValue::from_parts(1, -2));
    family.add(0, p);
    family.add_above(n - 1);
    return family.list(Procedure::kBenjaminiYekutieli).at(0).adjusted.to_double() / 1e-30 /
           static_cast<double>(n);
  };
  double sum = 0;
  for (std::uint64_t n = 1; n <= 3000; ++n) {
    sum += 1.0 / static_cast<double>(n);
    EXPECT_GE(factor(n), sum * (1 - 1e-14)) << n;
    EXPECT_LE(factor(n), sum * (1 + 1e-6)) << n;
  }
  // ln n + .5772156649 + 1/(2n).
  EXPECT_NEAR(factor(100'000'000) / 18.997896413853898, 1, 1e-6);
  EXPECT_GE(factor(100'000'000), 18.997896413853);
  EXPECT_NEAR(factor(10'000'000'000) / 23.603066594891989, 1, 1e-6);
  EXPECT_GE(factor(10'000'000'000), 23.603066594891);
}

TEST(Discoveries, MergeInAnyOrder) {
  RandomNumbers random(3);
  const PValue level = PValue::from_parts(5, -2);
  DiscoveryFamily whole(level), even(level), odd(level);
  for (std::uint64_t i = 0; i < 2000; ++i) {
    // Ties in plenty.
    const PValue p = PValue::from_double(std::ldexp(1.0, -static_cast<int>(random.below(16))));
    whole.add(i, p);
    (i % 2 == 0 ? even : odd).add(i, p);
  }
  odd += even;
  odd.add_above(0);
  const auto a = whole.list(Procedure::kBenjaminiHochberg);
  const auto b = odd.list(Procedure::kBenjaminiHochberg);
  ASSERT_EQ(a.size(), b.size());
  ASSERT_FALSE(a.empty());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].id, b[i].id);
    EXPECT_EQ(a[i].adjusted, b[i].adjusted);
  }
}

TEST(Discoveries, NothingFromNothing) {
  const DiscoveryFamily none(PValue::from_parts(1, -2));
  EXPECT_TRUE(none.list(Procedure::kBenjaminiHochberg).empty());
  EXPECT_TRUE(none.list(Procedure::kBenjaminiYekutieli).empty());
}

struct Rates {
  double mean = 0;   // of the share of false entries
  double error = 0;  // standard error of it
  double found = 0;  // mean share of the planted that is listed
};

// `draw` gives the values of one corpus, of which the first `planted` are not null.
template <typename Draw>
Rates rates(int rounds, std::size_t planted, PValue level, Procedure procedure, Draw draw) {
  double sum = 0, squares = 0, found = 0;
  for (int round = 0; round < rounds; ++round) {
    const auto list = family_of(draw(), level).list(procedure);
    const auto wrong = static_cast<double>(std::count_if(
        list.begin(), list.end(), [&](const Discovery& one) { return one.id >= planted; }));
    const double share = list.empty() ? 0 : wrong / static_cast<double>(list.size());
    sum += share;
    squares += share * share;
    found += static_cast<double>(list.size()) - wrong;
  }
  const double n = rounds;
  const double mean = sum / n;
  return {mean, std::sqrt((squares / n - mean * mean) / n),
          planted == 0 ? 0 : found / (n * static_cast<double>(planted))};
}

// Above the level a value only counts.
PValue rounded(double p) { return p > 0.1 ? PValue() : PValue::from_double(p); }

TEST(DiscoveryLaws, RateOfBenjaminiHochbergUnderIndependence) {
  // Its rate is exactly level x (share of nulls) there: both sides are looked at.
  RandomNumbers random(4);
  const PValue level = PValue::from_parts(1, -1);
  for (const std::size_t planted : {std::size_t{0}, std::size_t{20}, std::size_t{100}}) {
    const Rates got = rates(2000, planted, level, Procedure::kBenjaminiHochberg, [&] {
      std::vector<PValue> values;
      for (std::size_t i = 0; i < 200; ++i)
        values.push_back(
            rounded(i < planted ? std::pow(random.unit() + 1e-9, 6.0) : random.unit() + 0x1p-54));
      return values;
    });
    const double exact = 0.1 * (200 - static_cast<double>(planted)) / 200;
    EXPECT_NEAR(got.mean, exact, 4.5 * got.error) << planted;
    if (planted > 0) {
      EXPECT_GT(got.found, 0.3);
    }
  }
}

// All null, N = 50: with probability level / k for each k, some k of them lie together just below
// their own limit k level / N, and the rest above the level. Each is uniform below the level, and
// Benjamini-Hochberg lists something with probability level x (1 + 1/2 + … + 1/N): the worst case.
std::vector<PValue> worst_case(RandomNumbers& random, double level) {
  constexpr std::size_t kHypotheses = 50;
  double at = random.unit() / level;
  std::size_t k = 0;
  for (std::size_t i = 1; i <= kHypotheses && k == 0; ++i) {
    const double part = 1.0 / static_cast<double>(i);
    if (at < part) k = i;
    at -= part;
  }
  std::vector<PValue> values(kHypotheses);
  for (std::size_t i = 0; i < k; ++i)
    values[i] = PValue::from_double((static_cast<double>(k) - 1 + random.unit()) * level /
                                    static_cast<double>(kHypotheses) * (1 - 1e-9));
  return values;
}

TEST(DiscoveryLaws, WorstDependenceBreaksBenjaminiHochbergAlone) {
  RandomNumbers random(5);
  const PValue level = PValue::from_parts(1, -1);
  const auto draw = [&] { return worst_case(random, 0.1); };
  const Rates plain = rates(4000, 0, level, Procedure::kBenjaminiHochberg, draw);
  EXPECT_NEAR(plain.mean, 0.4499, 4.5 * plain.error);
  const Rates harmonic = rates(4000, 0, level, Procedure::kBenjaminiYekutieli, draw);
  EXPECT_LE(harmonic.mean, 0.1 + 3 * harmonic.error);
  EXPECT_GT(harmonic.mean, 0.01);
  // e-BH: the same values calibrated.
  const Rates calibrated = rates(4000, 0, level, Procedure::kBenjaminiHochberg, [&] {
    std::vector<PValue> values = draw();
    for (PValue& value : values) value = EValue::calibrated(value).p_value();
    return values;
  });
  EXPECT_LE(calibrated.mean, 0.1 + 3 * calibrated.error);
}

TEST(DiscoveryLaws, RateUnderSharedNoise) {
  // Nulls that are copies of one another in blocks, as documents that share tuples are.
  RandomNumbers random(6);
  const PValue level = PValue::from_parts(5, -2);
  for (const Procedure procedure :
       {Procedure::kBenjaminiHochberg, Procedure::kBenjaminiYekutieli}) {
    const Rates got = rates(2000, 20, level, procedure, [&] {
      std::vector<PValue> values;
      double block = 0;
      for (std::size_t i = 0; i < 120; ++i) {
        if (i % 10 == 0) block = random.unit() + 0x1p-54;
        values.push_back(rounded(i < 20 ? std::pow(random.unit() + 1e-9, 8.0) : block));
      }
      return values;
    });
    EXPECT_LE(got.mean, 0.05 + 3 * got.error);
    EXPECT_GT(got.found, 0.3);
  }
}

}  // namespace
}  // namespace countermark::stats
