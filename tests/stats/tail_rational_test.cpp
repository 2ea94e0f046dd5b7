// SPDX-License-Identifier: Apache-2.0
// Tails against their defining finite sums in rational arithmetic: every count of small binomials,
// and Poisson sums for small n with an enclosure of e^x.
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "tests/stats/decimal.h"
#include "verifier/stats/tail.h"

namespace countermark::stats::testing {
namespace {

// The sums are exact, so the demand can be nearer to what the arithmetic gives than 25 digits.
constexpr double kTolerance = 1e-28;

void expect_bound(PValue p, const Decimal& exact) {
  EXPECT_GE(p, smallest_at_least(exact));
  EXPECT_LE(p, smallest_at_least(slightly_above(exact)));
}

void expect_binomial_sums(std::uint64_t trials, std::uint64_t numerator,
                          std::uint64_t denominator) {
  const cpp_rational p(numerator, denominator);
  cpp_rational mass = pow(boost::multiprecision::numerator(p), static_cast<unsigned>(trials));
  mass /= pow(boost::multiprecision::denominator(p), static_cast<unsigned>(trials));
  cpp_rational tail = 0;
  for (std::uint64_t k = trials; k > 0; --k) {
    SCOPED_TRACE(::testing::Message() << trials << " trials, " << k << " successes, p " << numerator
                                      << "/" << denominator);
    tail += mass;
    const Decimal exact = decimal_above(tail);
    const std::string digits = binomial_tail_digits(trials, k, numerator, denominator, kDigits);
    EXPECT_LT(relative_error(parse_decimal(digits), exact), kTolerance);
    expect_bound(binomial_tail(trials, k, numerator, denominator), exact);
    mass *= cpp_rational(k, trials - k + 1) * (1 - p) / p;
  }
}

TEST(TailRational, EveryCountOfSmallBinomials) {
  // The last share's products with a count exceed 64 bits.
  constexpr std::array<std::pair<std::uint64_t, std::uint64_t>, 5> kShares = {
      {{1, 2}, {1, 4}, {9, 10}, {12345, 50257}, {6148914691236517205, 18446744073709551615u - 4}}};
  for (const auto& [numerator, denominator] : kShares) {
    for (const std::uint64_t trials : {1u, 2u, 3u, 12u, 40u, 64u, 65u, 130u}) {
      expect_binomial_sums(trials, numerator, denominator);
    }
  }
}

TEST(TailRational, SharesNeedNotBeReduced) {
  for (std::uint64_t k = 0; k <= 20; ++k) {
    EXPECT_EQ(binomial_tail(20, k, 37984, 151936), binomial_tail(20, k, 1, 4));
  }
}

// floor(2^400 e^x) but for some hundred units, x = statistic / 2^20.
cpp_int scaled_exp(std::uint64_t statistic) {
  cpp_int term = cpp_int(1) << 400;
  cpp_int sum = 0;
  for (std::uint64_t i = 1; term != 0; ++i) {
    sum += term;
    term = term * statistic / (cpp_int(i) << 20);
  }
  return sum;
}

// sum over j < n of x^j / j!.
cpp_rational poisson_sum(std::uint64_t n, std::uint64_t statistic) {
  cpp_int sum = 1;
  cpp_int power = 1;
  cpp_int scale = 1;
  for (std::uint64_t j = 1; j < n; ++j) {
    power *= statistic;
    scale *= cpp_int(j) << 20;
    sum = sum * (cpp_int(j) << 20) + power;
  }
  return cpp_rational(sum, scale);
}

TEST(TailRational, PoissonSumsOfSmallGammas) {
  for (const std::uint64_t n : {1u, 2u, 3u, 5u, 17u, 63u, 64u, 65u, 66u, 128u}) {
    // From far below the mean to far above it, on odd statistics.
    for (std::uint64_t eighth = 1; eighth <= 24; ++eighth) {
      const std::uint64_t statistic = (n * eighth << 17) + 12345 * eighth + 1;
      SCOPED_TRACE(::testing::Message() << "n " << n << ", statistic " << statistic);
      const cpp_rational exact =
          poisson_sum(n, statistic) * cpp_rational(cpp_int(1) << 400, scaled_exp(statistic));
      const Decimal reference = decimal_above(exact);
      EXPECT_LT(relative_error(parse_decimal(gamma_tail_digits(n, statistic, kDigits)), reference),
                kTolerance);
      expect_bound(gamma_tail(n, statistic), reference);
    }
  }
}

// P(w Gamma(i, 1) + v Gamma(j, 1) >= x) for all i, j <= n, w != v, from
// 1 / ((1-wt)(1-vt)) = (v / (1-vt) - w / (1-wt)) / (v-w): exact but for e^-(x/w) and e^-(x/v).
cpp_rational two_gamma_recursion(std::uint64_t n, std::uint64_t statistic, std::uint64_t w,
                                 std::uint64_t v) {
  const auto tails = [n, statistic](std::uint64_t scale) {  // of scale Gamma(j, 1), j = 0 to n
    const std::uint64_t units = statistic / scale;
    std::vector<cpp_rational> found = {0};
    const cpp_rational unit(cpp_int(1) << 400, scaled_exp(units));
    for (std::uint64_t j = 1; j <= n; ++j) found.push_back(poisson_sum(j, units) * unit);
    return found;
  };
  std::vector<cpp_rational> row = tails(v);
  const std::vector<cpp_rational> column = tails(w);
  for (std::uint64_t i = 1; i <= n; ++i) {
    row[0] = column[i];
    for (std::uint64_t j = 1; j <= n; ++j) {
      row[j] = (v * row[j] - w * row[j - 1]) / (cpp_rational(v) - w);
    }
  }
  return row[n];
}

TEST(TailRational, TwoGammasByPartialFractions) {
  constexpr std::array<std::pair<std::uint64_t, std::uint64_t>, 4> kWeights = {
      {{1, 9}, {3, 1}, {4, 5}, {1, 99}}};
  for (const auto& [w, v] : kWeights) {
    for (const std::uint64_t n : {1u, 2u, 3u, 7u, 12u}) {
      for (const std::uint64_t eighth : {1u, 5u, 8u, 13u, 24u, 60u}) {
        // A multiple of both weights, so that both sums are of integers.
        const std::uint64_t statistic = ((n * eighth << 17) / v + 123) * w * v;
        SCOPED_TRACE(::testing::Message() << w << ":" << v << ", n " << n << ", " << statistic);
        const Decimal exact = decimal_above(two_gamma_recursion(n, statistic, w, v));
        const std::string digits = two_gamma_tail_digits(n, statistic, w, v, kDigits);
        EXPECT_LT(relative_error(parse_decimal(digits), exact), kTolerance);
        expect_bound(two_gamma_tail(n, statistic, w, v), exact);
      }
    }
  }
}

// The law of a sum of independent hypergeometric counts, one a list.
std::vector<cpp_rational> green_law(const std::vector<unsigned>& pairs, unsigned green,
                                    unsigned vocabulary) {
  const auto choose = [](unsigned n, unsigned k) {
    cpp_int value = k <= n ? 1 : 0;
    for (unsigned i = 0; i < k && k <= n; ++i) value = value * (n - i) / (i + 1);
    return value;
  };
  std::vector<cpp_rational> law = {1};
  for (const unsigned drawn : pairs) {
    std::vector<cpp_rational> next(law.size() + drawn);
    for (unsigned k = 0; k <= drawn; ++k) {
      const cpp_rational mass(choose(green, k) * choose(vocabulary - green, drawn - k),
                              choose(vocabulary, drawn));
      for (std::size_t i = 0; i < law.size(); ++i) next[i + k] += law[i] * mass;
    }
    law = std::move(next);
  }
  return law;
}

struct Compared {
  std::uint64_t counts = 0;
  std::uint64_t above_binomial = 0;  // no bound there
};

void expect_green_bound(const std::vector<unsigned>& pairs, unsigned green, unsigned vocabulary,
                        Compared& compared) {
  const std::vector<cpp_rational> law = green_law(pairs, green, vocabulary);
  const auto n = static_cast<unsigned>(law.size() - 1);
  cpp_rational tail = 0;
  for (unsigned k = n; k > 0; --k) {
    SCOPED_TRACE(::testing::Message() << "n " << n << ", " << k << " of " << green << "/"
                                      << vocabulary << ", first list " << pairs[0]);
    tail += law[k];
    if (tail == 0) continue;
    const PValue exact = smallest_at_least(decimal_above(tail));
    const PValue binomial = binomial_tail(n, k, green, vocabulary);
    const PValue bound = green_tail(n, k, green, vocabulary);
    EXPECT_GE(bound, exact);
    EXPECT_EQ(bound, k * vocabulary >= n * green + vocabulary ? binomial : PValue());
    ++compared.counts;
    if (exact > binomial) ++compared.above_binomial;
  }
}

TEST(TailRational, GreenTailBoundsEveryGroupingOfSmallLists) {
  Compared compared;
  for (unsigned vocabulary = 2; vocabulary <= 6; ++vocabulary)
    for (unsigned green = 1; green < vocabulary; ++green)
      for (unsigned a = 1; a <= vocabulary; ++a)
        for (unsigned b = 0; b <= a; ++b)
          for (unsigned c = 0; c <= b; ++c)
            expect_green_bound({a, b, c}, green, vocabulary, compared);
  EXPECT_GT(compared.counts, 4000u);
  EXPECT_GT(compared.above_binomial, 1000u);
}

}  // namespace
}  // namespace countermark::stats::testing
