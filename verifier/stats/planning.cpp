// SPDX-License-Identifier: Apache-2.0
#include "verifier/stats/planning.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "verifier/stats/e_value.h"
#include "verifier/stats/first_where.h"
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

[[maybe_unused]] bool is_power(double power) { return power > 0.5 && power < 1; }

// P(N >= z) of the standard normal law.
double above(double z) { return std::erfc(z / std::sqrt(2.0)) / 2; }

// P(Gamma(n, 1) >= sum), by the law of gamma_quantile.
double gamma_above(std::uint64_t n, double sum) {
  const double spread = 1 / (9 * static_cast<double>(n));
  return above((std::cbrt(sum / static_cast<double>(n)) - (1 - spread)) / std::sqrt(spread));
}

// A count of n, each with a probability, by the normal law and its first correction, for skewness
// (Cornish and Fisher, "Moments and cumulants in the specification of distributions", Review of
// the International Statistical Institute 5 (1938)).
struct Count {
  Count(std::uint64_t n, double probability)
      : mean(static_cast<double>(n) * probability),
        deviation(std::sqrt(mean * (1 - probability))),
        bend(deviation > 0 ? (1 - 2 * probability) / (6 * deviation) : 0) {}

  double quantile(double z) const { return mean + deviation * (z + bend * (z * z - 1)); }

  // P(count >= least).
  double above_or_at(double least) const {
    if (deviation <= 0) return mean >= least ? 1 : 0;
    const double x = (least - 0.5 - mean) / deviation;
    return above(x - bend * (x * x - 1));
  }

  double mean;
  double deviation;
  double bend;
};

// The count that a test at `level` asks for, where n are enough.
double green_critical(std::uint64_t n, double chance, PValue level) {
  return std::min(std::ceil(Count(n, chance).quantile(normal_score(level)) + 0.5),
                  static_cast<double>(n));
}

// The smallest number from 1 on that is enough, at most 2^53: more are enough as well.
template <typename Enough>
std::uint64_t smallest(Enough enough) {
  std::uint64_t high = 1;
  while (!enough(high) && high < std::uint64_t{1} << 53) high *= 2;
  std::uint64_t low = high / 2;
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    (enough(middle) ? high : low) = middle;
  }
  return high;
}

// The sum of n exponential scores at which a bet on them finds something.
double bet_critical(std::uint64_t n, PValue level) {
  const std::uint64_t critical =
      first_where(0, (std::uint64_t{1} << 50) - 1,
                  [&](std::uint64_t sum) { return tilted(n, sum).p_value() <= level; });
  return static_cast<double>(critical) * 0x1p-20;
}

// The share at which n tokens are `many` green ones with the power; 1 where none is enough.
double green_share(std::uint64_t n, std::uint64_t many, double power) {
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

double share_power(std::uint64_t groups, std::uint64_t others, double share, PValue level) {
  assert(share >= 0.5 && share <= 1 && others > 0);
  const double size = static_cast<double>(groups);
  // All ranks the highest.
  if (-size * std::log10(static_cast<double>(others) + 1) > level.log10()) return 0;
  return above(normal_score(level) - (share - 0.5) / std::sqrt(rank_variance(others) / size));
}

double detectable_mean(std::uint64_t n, PValue level, double power) {
  assert(n > 0 && is_power(power));
  return std::max(
      1.0, static_cast<double>(gamma_critical(n, level)) * 0x1p-20 / gamma_quantile(n, power));
}

double detectable_mean_by_bet(std::uint64_t n, PValue level, double power) {
  assert(n > 0 && is_power(power));
  return std::max(1.0, bet_critical(n, level) / gamma_quantile(n, power));
}

std::uint64_t tuples_needed(double mean, PValue level, double power) {
  assert(mean > 1 && is_power(power));
  // detectable_mean falls with n; doubles are good enough for its quantiles here.
  return smallest([&](std::uint64_t n) {
    return gamma_quantile(n, level.to_double()) <= mean * gamma_quantile(n, power);
  });
}

double mean_power(std::uint64_t n, double mean, PValue level) {
  assert(mean >= 1);
  return n == 0 ? 0 : gamma_above(n, gamma_quantile(n, level.to_double()) / mean);
}

std::uint64_t tuples_needed_by_bet(double mean, PValue level, double power) {
  assert(mean > 1 && is_power(power));
  return smallest([&](std::uint64_t n) {
    return n >= kMostOfBet || bet_critical(n, level) <= mean * gamma_quantile(n, power);
  });
}

double mean_power_by_bet(std::uint64_t n, double mean, PValue level) {
  assert(mean >= 1);
  return n == 0 ? 0 : gamma_above(n, bet_critical(n, level) / mean);
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
  const auto is_enough = [&](std::uint64_t greens) {
    return binomial_tail(n, greens, numerator, denominator) <= level;
  };
  return green_share(n, first_where(0, n + 1, is_enough), power);
}

double detectable_green_by_bet(std::uint64_t n, std::uint64_t numerator, std::uint64_t denominator,
                               PValue level, double power) {
  assert(numerator > 0 && numerator < denominator && is_power(power));
  const auto is_enough = [&](std::uint64_t greens) {
    return green_bet(n, greens, numerator, denominator).p_value() <= level;
  };
  return green_share(n, first_where(0, n + 1, is_enough), power);
}

std::uint64_t green_needed(double green, std::uint64_t numerator, std::uint64_t denominator,
                           PValue level, double power) {
  const double chance = static_cast<double>(numerator) / static_cast<double>(denominator);
  assert(numerator > 0 && green > chance && green <= 1 && is_power(power));
  // Without the steps of counts, so that more are always enough as well.
  return smallest([&](std::uint64_t n) {
    return Count(n, chance).quantile(normal_score(level)) + 0.5 <=
           std::min(Count(n, green).quantile(quantile(power)), static_cast<double>(n));
  });
}

double green_power(std::uint64_t n, double green, std::uint64_t numerator,
                   std::uint64_t denominator, PValue level) {
  const double chance = static_cast<double>(numerator) / static_cast<double>(denominator);
  assert(numerator > 0 && green >= chance && green <= 1);
  // All of them green.
  if (static_cast<double>(n) * std::log10(chance) > level.log10()) return 0;
  return Count(n, green).above_or_at(green_critical(n, chance, level));
}

}  // namespace countermark::stats
