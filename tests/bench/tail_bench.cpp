// SPDX-License-Identifier: Apache-2.0
// Exact tails beside Boost.Math's in the same 50 digits. The argument is n or the trials; the
// statistic lies at the named number of standard deviations above its expectation.
#include <benchmark/benchmark.h>

#include <boost/math/special_functions/beta.hpp>
#include <boost/math/special_functions/gamma.hpp>
#include <boost/multiprecision/cpp_bin_float.hpp>
#include <cmath>

#include "verifier/stats/tail.h"

namespace {

namespace stats = countermark::stats;
using Float = boost::multiprecision::cpp_bin_float_50;

constexpr double kDeviations = 6;  // p near 1e-9, the range of verdicts

std::uint64_t gamma_statistic(std::int64_t n) {
  const auto mean = static_cast<double>(n);
  return static_cast<std::uint64_t>((mean + kDeviations * std::sqrt(mean)) * 0x1p20);
}

std::uint64_t quarter_successes(std::int64_t trials) {
  const auto count = static_cast<double>(trials);
  return static_cast<std::uint64_t>(count / 4 + kDeviations * std::sqrt(count * 3 / 16));
}

void gamma_tail(benchmark::State& state) {
  const auto n = static_cast<std::uint64_t>(state.range(0));
  const std::uint64_t statistic = gamma_statistic(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(stats::gamma_tail(n, statistic));
}
BENCHMARK(gamma_tail)->RangeMultiplier(10)->Range(100, 10'000'000);

void boost_gamma_q(benchmark::State& state) {
  const Float n = state.range(0);
  const Float x = ldexp(Float(gamma_statistic(state.range(0))), -20);
  for (auto _ : state) benchmark::DoNotOptimize(Float(boost::math::gamma_q(n, x)));
}
BENCHMARK(boost_gamma_q)->RangeMultiplier(10)->Range(100, 10'000'000);

void gamma_critical(benchmark::State& state) {
  const auto n = static_cast<std::uint64_t>(state.range(0));
  const stats::PValue level = stats::PValue::from_parts(1, -9);
  for (auto _ : state) benchmark::DoNotOptimize(stats::gamma_critical(n, level));
}
BENCHMARK(gamma_critical)->RangeMultiplier(10)->Range(100, 1'000'000);

// The weights of alpha = .1, the statistic in tenths.
void two_gamma_tail(benchmark::State& state) {
  const auto n = static_cast<std::uint64_t>(state.range(0));
  const auto mean = static_cast<double>(n);
  const auto statistic =
      static_cast<std::uint64_t>((10 * mean + kDeviations * std::sqrt(82 * mean)) * 0x1p20);
  for (auto _ : state) benchmark::DoNotOptimize(stats::two_gamma_tail(n, statistic, 9, 1));
}
BENCHMARK(two_gamma_tail)->RangeMultiplier(10)->Range(100, 10'000'000);

void binomial_tail(benchmark::State& state) {
  const auto trials = static_cast<std::uint64_t>(state.range(0));
  const std::uint64_t successes = quarter_successes(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(stats::binomial_tail(trials, successes, 1, 4));
}
BENCHMARK(binomial_tail)->RangeMultiplier(100)->Range(1000, 1'000'000'000);

void boost_ibeta(benchmark::State& state) {
  const std::uint64_t successes = quarter_successes(state.range(0));
  const Float a = successes;
  const Float b = static_cast<std::uint64_t>(state.range(0)) - successes + 1;
  for (auto _ : state) benchmark::DoNotOptimize(Float(boost::math::ibeta(a, b, Float(0.25))));
}
BENCHMARK(boost_ibeta)->RangeMultiplier(100)->Range(1000, 1'000'000'000);

}  // namespace

BENCHMARK_MAIN();
