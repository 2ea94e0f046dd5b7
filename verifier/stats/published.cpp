// SPDX-License-Identifier: Apache-2.0
// Boost.Math where the value is a double; below that a point mass in logarithms times the sum or
// the continued fraction that belongs to it.
#include "verifier/stats/published.h"

#include <boost/math/constants/constants.hpp>
#include <boost/math/special_functions/beta.hpp>
#include <boost/math/special_functions/gamma.hpp>
#include <cassert>
#include <cmath>

namespace countermark::stats {
namespace {

namespace policies = boost::math::policies;
namespace constants = boost::math::double_constants;

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

constexpr double kLeast = 1e-290;  // below it double precision runs out

double log_gamma(double a) { return boost::math::lgamma(a, Policy()); }

PublishedP from_p(double p) { return {p, std::log10(p)}; }
PublishedP from_log(double log_p) { return {std::exp(log_p), log_p / constants::ln_ten}; }

// Q(shape, x), any positive shape.
PublishedP upper_gamma(double shape, double x) {
  const double p = boost::math::gamma_q(shape, x, Policy());
  if (p > kLeast) return from_p(p);
  // DLMF 8.9.2, even part, by the modified method of Lentz; x lies far above the shape here.
  double b = x + 1 - shape;
  double c = 1e300;
  double d = 1 / b;
  double fraction = d;
  for (int i = 1; i < 1'000'000; ++i) {
    const double a = i * (shape - i);
    b += 2;
    d = 1 / (b + a * d);
    c = b + a / c;
    fraction *= c * d;
    if (std::abs(c * d - 1) < 1e-16) break;
  }
  return from_log(shape * std::log(x) - x - log_gamma(shape) + std::log(fraction));
}

// P(B > greens) + share P(B = greens), B ~ Binomial(n, gamma), greens >= 1.
PublishedP upper_binomial(std::uint64_t n, std::uint64_t greens, double gamma, double share) {
  const double trials = static_cast<double>(n);
  const double k = static_cast<double>(greens);
  const double p = boost::math::ibeta(k, trials - k + 1, gamma, Policy());
  if (p > kLeast) {
    const double mass =
        boost::math::ibeta_derivative(k + 1, trials - k + 1, gamma, Policy()) / (trials + 1);
    return from_p(p - (1 - share) * mass);
  }
  double sum = share;
  double term = 1;
  for (double j = k; j < trials && term > 1e-17; ++j) {
    term *= (trials - j) / (j + 1) * gamma / (1 - gamma);
    sum += term;
  }
  return from_log(log_gamma(trials + 1) - log_gamma(k + 1) - log_gamma(trials - k + 1) +
                  k * std::log(gamma) + (trials - k) * std::log1p(-gamma) + std::log(sum));
}

}  // namespace

double published_z(std::uint64_t n, std::uint64_t greens, double gamma) {
  assert(n >= 1 && gamma > 0 && gamma < 1);
  const double trials = static_cast<double>(n);
  return (static_cast<double>(greens) - gamma * trials) / std::sqrt(trials * gamma * (1 - gamma));
}

PublishedP lm_watermarking_p(double z) {
  if (z <= 0) return from_p(std::erfc(z * constants::one_div_root_two) / 2);
  const PublishedP both_sides = upper_gamma(0.5, z * z / 2);
  return {both_sides.p / 2, both_sides.log10_p - std::log10(2)};
}

PublishedP gumbel_p(std::uint64_t n, double sum) {
  assert(n >= 1 && sum >= 0);
  return upper_gamma(static_cast<double>(n), sum);
}

PublishedP dual_key_p(std::uint64_t n, double sum, double alpha) {
  assert(n >= 1 && sum >= 0 && alpha >= 0 && alpha <= 1);
  const double variance = (1 - alpha) * (1 - alpha) + alpha * alpha;
  return upper_gamma(static_cast<double>(n) / variance, sum / variance);
}

PublishedP three_bricks_greenlist_p(std::uint64_t n, std::uint64_t greens, double gamma) {
  assert(greens <= n && gamma > 0 && gamma < 1);
  return greens == 0 ? from_p(1) : upper_binomial(n, greens, gamma, 1);
}

PublishedP textseal_greenlist_p(std::uint64_t n, std::uint64_t greens, double gamma) {
  assert(greens <= n && gamma > 0 && gamma < 1);
  if (greens == 0) return from_p(1 - std::exp(static_cast<double>(n) * std::log1p(-gamma)) / 2);
  return upper_binomial(n, greens, gamma, 0.5);
}

}  // namespace countermark::stats
