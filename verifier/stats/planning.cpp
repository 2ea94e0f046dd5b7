// SPDX-License-Identifier: Apache-2.0
#include "verifier/stats/planning.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "verifier/stats/normal_score.h"
#include "verifier/stats/tail.h"

namespace countermark::stats {
namespace {

double quantile(double upper_tail) { return normal_score(PValue::from_double(upper_tail)); }

// The value that Gamma(n, 1) exceeds with a probability: E. B. Wilson and M. M. Hilferty, "The
// distribution of chi-square", PNAS 17 (1931).
double gamma_quantile(std::uint64_t n, double upper_tail) {
  const double spread = 1 / (9 * static_cast<double>(n));
  const double root = 1 - spread + quantile(upper_tail) * std::sqrt(spread);
  return static_cast<double>(n) * std::max(root, 0.0) * root * root;
}

// The variance of a rank among n + 1, of its range.
double rank_variance(std::uint64_t others) {
  const double size = static_cast<double>(others);
  return (size + 2) / (12 * size);
}

bool is_power(double power) { return power > 0.5 && power < 1; }

}  // namespace

double detectable_share(std::uint64_t groups, std::uint64_t others, PValue level, double power) {
  assert(others > 0 && is_power(power));
  if (groups == 0) return 1;
  const double distance = normal_score(level) + quantile(1 - power);
  return std::clamp(0.5 + distance * std::sqrt(rank_variance(others) / static_cast<double>(groups)),
                    0.5, 1.0);
}

std::uint64_t groups_needed(double share, std::uint64_t others, PValue level, double power) {
  assert(share > 0.5 && share <= 1 && others > 0 && is_power(power));
  const double ratio = (normal_score(level) + quantile(1 - power)) / (share - 0.5);
  return static_cast<std::uint64_t>(std::ceil(ratio * ratio * rank_variance(others)));
}

double detectable_mean(std::uint64_t n, PValue level, double power) {
  assert(n > 0 && is_power(power));
  return std::max(
      1.0, static_cast<double>(gamma_critical(n, level)) * 0x1p-20 / gamma_quantile(n, power));
}

std::uint64_t tuples_needed(double mean, PValue level, double power) {
  assert(mean > 1 && is_power(power));
  // detectable_mean falls with n; doubles are good enough for its quantiles here.
  const auto found = [&](std::uint64_t n) {
    return gamma_quantile(n, level.to_double()) <= mean * gamma_quantile(n, power);
  };
  std::uint64_t high = 1;
  while (!found(high) && high < std::uint64_t{1} << 53) high *= 2;
  std::uint64_t low = high / 2;
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    (found(middle) ? high : low) = middle;
  }
  return high;
}

Range mean_range(std::uint64_t n, double mean, double confidence) {
  assert(n > 0 && confidence > 0 && confidence < 1);
  const double sum = mean * static_cast<double>(n);
  const double outside = (1 - confidence) / 2;
  const double most = gamma_quantile(n, 1 - outside);
  return {sum / gamma_quantile(n, outside), most > 0 ? sum / most : HUGE_VAL};
}

double detectable_green(std::uint64_t n, std::uint64_t numerator, std::uint64_t denominator,
                        PValue level, double power) {
  assert(numerator > 0 && numerator < denominator && is_power(power));
  // The smallest count that is enough lies in (few, many].
  std::uint64_t few = 0;
  std::uint64_t many = n + 1;
  while (many - few > 1) {
    const std::uint64_t middle = few + (many - few) / 2;
    (binomial_tail(n, middle, numerator, denominator) <= level ? many : few) = middle;
  }
  if (many > n) return 1;
  const double size = static_cast<double>(n);
  // Half a count below: the normal law is one of steps here.
  const double critical = (static_cast<double>(many) - 0.5) / size;
  const double z = quantile(1 - power);
  double low = critical;
  double high = 1;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    const bool is_found = middle - z * std::sqrt(middle * (1 - middle) / size) >= critical;
    (is_found ? high : low) = middle;
  }
  return high;
}

}  // namespace countermark::stats
