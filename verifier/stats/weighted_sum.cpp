// SPDX-License-Identifier: Apache-2.0
// Doubles by the portable series throughout; a margin stands for all that they may have lost.
#include "verifier/stats/weighted_sum.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "watermark/portable_math.h"

namespace countermark::stats {
namespace {

constexpr double kLn10 = 0x1.26bb1bbb55516p+1;

// P(Z > x) / density(x) of a standard normal Z.
double mills(double x) {
  if (x < 20)
    return std::erfc(x / std::numbers::sqrt2) / 2 * std::sqrt(2 * std::numbers::pi) *
           portable_exp(x * x / 2);
  const double q = 1 / (x * x);
  return (1 - q * (1 - q * (3 - q * 15))) / x;
}

double log_density(double x) { return -x * x / 2 - portable_log(2 * std::numbers::pi) / 2; }

}  // namespace

double WeightedSum::largest_weight() const {
  for (std::uint32_t weight = kMostWeight; weight > 0; --weight)
    if (counts_[weight] > 0) return weight;
  return 0;
}

double WeightedSum::total_weight() const {
  double out = 0;
  for (std::uint32_t weight = 1; weight <= kMostWeight; ++weight)
    out += static_cast<double>(counts_[weight]) * weight;
  return out;
}

double WeightedSum::observed() const { return static_cast<double>(sum_) * unit(); }

WeightedSum::Cumulants WeightedSum::at(double t) const {
  Cumulants out;
  const double chance = static_cast<double>(law_.numerator) / static_cast<double>(law_.denominator);
  for (std::uint32_t weight = 1; weight <= kMostWeight; ++weight) {
    if (counts_[weight] == 0) continue;
    const double w = weight;
    double count = static_cast<double>(counts_[weight]);
    double value = 0;
    if (law_.is_exponential) {
      const double rest = 1 - t * w;
      value = -count * portable_log(rest);
      out.first += count * w / rest;
      out.second += count * (w / rest) * (w / rest);
    } else {
      count *= static_cast<double>(law_.trials);
      // Of large t w the power is taken out, so that nothing overflows.
      const double power = t * w;
      const double out_of = std::max(power, 0.0);
      const double ones = chance * portable_exp(power - out_of);
      const double sum = ones + (1 - chance) * portable_exp(-out_of);
      const double share = ones / sum;
      value = count * (out_of + portable_log(sum));
      out.first += count * w * share;
      out.second += count * w * w * share * (1 - share);
    }
    out.value += value;
    out.size += std::abs(value);
  }
  return out;
}

double WeightedSum::best() const {
  const double largest = largest_weight();
  const double s = observed();
  double low = -64 / largest;
  // K is finite up to 1 / largest, and near to it doubles lose digits; of bits, beyond it nothing
  // is gained that a double can tell.
  double high = law_.is_exponential ? (1 - 0x1p-10) / largest : 64 / largest;
  // Newton's steps, each kept between what is known to be too small and too large.
  double t = 0;
  for (int i = 0; i < 48; ++i) {
    const Cumulants k = at(t);
    (k.first < s ? low : high) = t;
    double next = t - (k.first - s) / k.second;
    if (!(next > low && next < high)) next = (low + high) / 2;
    if (std::abs(next - t) <= 0x1p-40 * std::abs(next)) return next;
    t = next;
  }
  return t;
}

EValue WeightedSum::evidence(double t, double more) const {
  const Cumulants k = at(t);
  const double gain = t * observed();
  const double terms = static_cast<double>(n_) * static_cast<double>(law_.trials);
  const double margin = (std::abs(gain) + k.size + 1) * 0x1p-38 + terms * 0x1p-50;
  constexpr double kMost = 0x1p30;
  const double nats = std::clamp(gain - k.value + more - margin, -kMost, kMost);
  return EValue::from_units(static_cast<std::int64_t>(std::floor(nats * 0x1p32)));
}

PValue WeightedSum::tail() const {
  if (n_ == 0 || observed() <= at(0).first) return {};
  const double t = best();
  double more = 0;
  if (law_.is_exponential)
    more = std::max(0.0, portable_log(t * std::sqrt(at(t).second)) - 0x1p-38);
  return evidence(t, more).p_value();
}

EValue WeightedSum::bet() const {
  if (n_ == 0) return {};
  std::array<EValue, 7> each;
  for (std::size_t i = 0; i < each.size(); ++i)
    each[i] = evidence(std::ldexp(1 / largest_weight(), -static_cast<int>(i) - 1));
  return EValue::mean(each);
}

double WeightedSum::estimate_log10() const {
  if (n_ == 0) return 0;
  const Cumulants middle = at(0);
  const double away = (observed() - middle.first) / std::sqrt(middle.second);
  // At the mean both terms below are singular, and the normal law is good.
  if (std::abs(away) < 0.01) return portable_log(std::erfc(away / std::numbers::sqrt2) / 2) / kLn10;
  const double t = best();
  const Cumulants k = at(t);
  const double r = std::copysign(std::sqrt(std::max(0.0, 2 * (t * observed() - k.value))), t);
  const double u = t * std::sqrt(k.second);
  if (t < 0) {
    const double above =
        std::erfc(r / std::numbers::sqrt2) / 2 + portable_exp(log_density(r)) * (1 / u - 1 / r);
    return portable_log(std::clamp(above, 1e-300, 1.0)) / kLn10;
  }
  return std::min(0.0, (log_density(r) + portable_log(mills(r) + 1 / u - 1 / r)) / kLn10);
}

double WeightedSum::mean() const { return observed() / total_weight(); }

double WeightedSum::chance() const { return at(0).first / total_weight(); }

double WeightedSum::deviation() const { return std::sqrt(at(0).second) / total_weight(); }

}  // namespace countermark::stats
