// SPDX-License-Identifier: Apache-2.0
// Each limit is found by bisection on the tail that defines it: the tail is monotone, so the result
// is right wherever the tail is, and no inverse function has to be trusted.
#include "verifier/stats/limits.h"

#include <bit>
#include <boost/math/special_functions/beta.hpp>
#include <boost/math/special_functions/gamma.hpp>
#include <cassert>

#include "verifier/stats/first_where.h"

namespace countermark::stats {
namespace {

namespace policies = boost::math::policies;

// No exceptions, and no long double: it differs from one machine to the next.
using Policy = policies::policy<policies::promote_double<false>, policies::promote_float<false>,
                                policies::domain_error<policies::ignore_error>,
                                policies::pole_error<policies::ignore_error>,
                                policies::overflow_error<policies::ignore_error>,
                                policies::underflow_error<policies::ignore_error>,
                                policies::denorm_error<policies::ignore_error>,
                                policies::rounding_error<policies::ignore_error>,
                                policies::evaluation_error<policies::ignore_error>,
                                policies::indeterminate_result_error<policies::ignore_error>>;

constexpr std::uint64_t kMostExact = std::uint64_t{1} << 53;

// P(X > c), X ~ Poisson(mean).
double poisson_above(std::uint64_t c, double mean) {
  return mean == 0 ? 0 : boost::math::gamma_p(static_cast<double>(c) + 1, mean, Policy());
}

// P(X >= k) and P(X <= k), X ~ Binomial(trials, p).
double binomial_from(std::uint64_t trials, std::uint64_t k, double p) {
  if (k == 0) return 1;
  if (k > trials) return 0;
  return boost::math::ibeta(static_cast<double>(k), static_cast<double>(trials - k) + 1, p,
                            Policy());
}
double binomial_to(std::uint64_t trials, std::uint64_t k, double p) {
  if (k >= trials) return 1;
  return boost::math::ibetac(static_cast<double>(k) + 1, static_cast<double>(trials - k), p,
                             Policy());
}

// The largest double p in [0, 1] with holds(p), which once false stays false and is true at 0: the
// doubles from 0 up are ordered as their bits are.
template <typename Predicate>
double last_share_where(Predicate holds) {
  const std::uint64_t end = std::bit_cast<std::uint64_t>(1.0) + 1;
  const std::uint64_t first_false = first_where(1, end, [&](std::uint64_t bits) {
    return bits == end || !holds(std::bit_cast<double>(bits));
  });
  return std::bit_cast<double>(first_false - 1);
}

}  // namespace

std::uint64_t poisson_upper_limit(double expected, double false_alarm) {
  assert(expected >= 0 && expected < static_cast<double>(kMostExact));
  assert(false_alarm > 0 && false_alarm < 1);
  const auto holds = [=](std::uint64_t c) { return poisson_above(c, expected) <= false_alarm; };
  std::uint64_t high = 1;
  while (high < kMostExact && !holds(high)) high *= 2;
  return first_where(0, high, holds);
}

CountInterval binomial_interval(std::uint64_t trials, double p, double coverage) {
  assert(trials < kMostExact);
  assert(p >= 0 && p <= 1);
  assert(coverage >= 0 && coverage < 1);
  const double tail = (1 - coverage) / 2;
  // P(X < least) <= tail: least is one below the first count whose tail is too large.
  const std::uint64_t too_high = first_where(1, trials + 1, [=](std::uint64_t c) {
    return c > trials || binomial_to(trials, c - 1, p) > tail;
  });
  const std::uint64_t most = first_where(
      0, trials, [=](std::uint64_t c) { return binomial_from(trials, c + 1, p) <= tail; });
  return {too_high - 1, most};
}

double share_lower_bound(std::uint64_t trials, std::uint64_t successes, double confidence) {
  assert(successes <= trials && trials < kMostExact);
  assert(confidence > 0 && confidence < 1);
  if (successes == 0) return 0;
  return last_share_where(
      [=](double share) { return binomial_from(trials, successes, share) <= 1 - confidence; });
}

double share_upper_bound(std::uint64_t trials, std::uint64_t successes, double confidence) {
  assert(successes <= trials && trials < kMostExact);
  assert(confidence > 0 && confidence < 1);
  if (successes == trials) return 1;
  // The smallest share whose lower tail is small enough: one double above the last that is not.
  const double last = last_share_where(
      [=](double share) { return binomial_to(trials, successes, share) > 1 - confidence; });
  return std::bit_cast<double>(std::bit_cast<std::uint64_t>(last) + 1);
}

}  // namespace countermark::stats
