// SPDX-License-Identifier: Apache-2.0
// Tails against tests/vectors/tails.json, which an independent program computed in two ways each:
// 25 digits of every value, from .5 to 1e-100000, and the PValue above it but hardly.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "tests/stats/decimal.h"
#include "verifier/stats/tail.h"

#ifndef COUNTERMARK_VECTORS_DIR
#define COUNTERMARK_VECTORS_DIR "tests/vectors"
#endif

namespace countermark::stats::testing {
namespace {

nlohmann::json read_vectors() {
  std::ifstream file(COUNTERMARK_VECTORS_DIR "/tails.json");
  return nlohmann::json::parse(file);
}

void expect_bound(PValue p, const Decimal& exact) {
  EXPECT_GE(p, smallest_at_least(exact));
  EXPECT_LE(p, smallest_at_least(slightly_above(exact)));
}

TEST(TailVectors, Gamma) {
  const nlohmann::json cases = read_vectors().at("gamma");
  ASSERT_GE(cases.size(), 150u);
  double worst = 0;
  std::int64_t deepest = 0;
  for (const auto& item : cases) {
    SCOPED_TRACE(item.dump());
    const auto n = item.at("n").get<std::uint64_t>();
    const std::uint64_t statistic = std::stoull(item.at("statistic").get<std::string>());
    const Decimal exact = parse_decimal(item.at("tail"));
    const double error =
        relative_error(parse_decimal(gamma_tail_digits(n, statistic, kDigits)), exact);
    EXPECT_LT(error, 1e-25);
    expect_bound(gamma_tail(n, statistic), exact);
    worst = std::max(worst, error);
    deepest = std::min(deepest, exact.exponent);
  }
  EXPECT_LE(deepest, -100000);
  std::cout << "worst relative error " << worst << " over " << cases.size() << " cases\n";
}

TEST(TailVectors, Binomial) {
  const nlohmann::json cases = read_vectors().at("binomial");
  ASSERT_GE(cases.size(), 150u);
  double worst = 0;
  std::int64_t deepest = 0;
  for (const auto& item : cases) {
    SCOPED_TRACE(item.dump());
    const auto trials = item.at("trials").get<std::uint64_t>();
    const auto successes = item.at("successes").get<std::uint64_t>();
    const auto numerator = item.at("numerator").get<std::uint64_t>();
    const auto denominator = item.at("denominator").get<std::uint64_t>();
    const Decimal exact = parse_decimal(item.at("tail"));
    const double error = relative_error(
        parse_decimal(binomial_tail_digits(trials, successes, numerator, denominator, kDigits)),
        exact);
    EXPECT_LT(error, 1e-25);
    expect_bound(binomial_tail(trials, successes, numerator, denominator), exact);
    worst = std::max(worst, error);
    deepest = std::min(deepest, exact.exponent);
  }
  EXPECT_LE(deepest, -100000);
  std::cout << "worst relative error " << worst << " over " << cases.size() << " cases\n";
}

TEST(TailVectors, TwoGamma) {
  const nlohmann::json cases = read_vectors().at("twoGamma");
  ASSERT_GE(cases.size(), 250u);
  double worst = 0;
  std::int64_t deepest = 0;
  for (const auto& item : cases) {
    SCOPED_TRACE(item.dump());
    const auto n = item.at("n").get<std::uint64_t>();
    const std::uint64_t statistic = std::stoull(item.at("statistic").get<std::string>());
    const auto a = item.at("weights").at(0).get<std::uint64_t>();
    const auto b = item.at("weights").at(1).get<std::uint64_t>();
    const Decimal exact = parse_decimal(item.at("tail"));
    const std::string digits = two_gamma_tail_digits(n, statistic, a, b, kDigits);
    const double error = relative_error(parse_decimal(digits), exact);
    EXPECT_LT(error, 1e-25);
    expect_bound(two_gamma_tail(n, statistic, a, b), exact);
    EXPECT_EQ(two_gamma_tail_digits(n, statistic, b, a, kDigits), digits);
    worst = std::max(worst, error);
    deepest = std::min(deepest, exact.exponent);
  }
  EXPECT_LE(deepest, -100000);
  std::cout << "worst relative error " << worst << " over " << cases.size() << " cases\n";
}

}  // namespace
}  // namespace countermark::stats::testing
