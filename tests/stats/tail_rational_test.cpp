// SPDX-License-Identifier: Apache-2.0
// Tails against their defining finite sums in rational arithmetic: every count of small binomials,
// and Poisson sums for small n with an enclosure of e^x.
#include <gtest/gtest.h>

#include <array>
#include <utility>

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

}  // namespace
}  // namespace countermark::stats::testing
