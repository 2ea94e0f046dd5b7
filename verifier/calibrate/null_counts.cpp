// SPDX-License-Identifier: Apache-2.0
#include "verifier/calibrate/null_counts.h"

#include <algorithm>
#include <cmath>

#include "verifier/detect/policy.h"
#include "verifier/stats/published.h"

namespace countermark::calibrate {
namespace {

using detect::Tally;

constexpr double kUnit = 0x1p-20;

double binomial(std::uint64_t trials, std::uint64_t successes, double probability) {
  if (successes == 0) return 1;
  if (successes > trials) return 0;
  return stats::three_bricks_greenlist_p(trials, successes, probability).p;
}

// P(sum >= tally.sum), also one above the largest sum.
double upper_tail(const NullModel& model, const Tally& tally) {
  switch (model.law) {
    case NullLaw::kExponentialBound:
      return stats::gumbel_p(tally.n, static_cast<double>(tally.sum) * kUnit).p;
    case NullLaw::kTwoExponentialBounds:
      return detect::tail(model, tally).to_double();
    case NullLaw::kGreenList:
    case NullLaw::kGreen:
      return binomial(tally.n, tally.sum,
                      static_cast<double>(model.a) / static_cast<double>(model.b));
    case NullLaw::kBits:
      return binomial(tally.n * model.a, tally.sum, 0.5);
  }
  return 1;
}

// Of one tuple's score.
struct Cumulants {
  double mean;
  double variance;
  double fourth;
};

Cumulants cumulants(const NullModel& model) {
  const auto a = static_cast<double>(model.a);
  const auto b = static_cast<double>(model.b);
  const auto coin = [](double p) {
    return Cumulants{p, p * (1 - p), p * (1 - p) * (1 - 6 * p * (1 - p))};
  };
  switch (model.law) {
    case NullLaw::kExponentialBound:
      break;
    case NullLaw::kTwoExponentialBounds:
      return {a + b, a * a + b * b, 6 * (std::pow(a, 4) + std::pow(b, 4))};
    case NullLaw::kGreenList:
    case NullLaw::kGreen:
      return coin(a / b);
    case NullLaw::kBits: {
      const Cumulants one = coin(0.5);
      return {a * one.mean, a * one.variance, a * one.fourth};
    }
  }
  return {1, 1, 6};
}

}  // namespace

double level(std::size_t index) noexcept {
  constexpr double kValues[kLevels] = {1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6};
  return kValues[index];
}

Tails tails(const NullModel& model, const Tally& tally) {
  if (tally.n == 0) return {};
  const double more = upper_tail(model, {tally.n, tally.sum + 1});
  return {std::clamp(upper_tail(model, tally), 0.0, 1.0), std::clamp(1 - more, 0.0, 1.0)};
}

bool is_continuous(const NullModel& model) noexcept {
  return model.law == NullLaw::kExponentialBound || model.law == NullLaw::kTwoExponentialBounds;
}

void NullCounts::add(const Tails& p) noexcept {
  ++judged;
  for (std::size_t i = 0; i < kLevels; ++i) {
    upper[i] += p.upper <= level(i) ? 1U : 0U;
    lower[i] += p.lower <= level(i) ? 1U : 0U;
  }
  ++bins[std::min(kBins - 1, static_cast<std::size_t>(p.upper * kBins))];
  for (std::size_t i = 0; i < kSteps && p.upper <= std::pow(10.0, -static_cast<double>(i) / 4); ++i)
    ++steps[i];
}

NullCounts& NullCounts::operator+=(const NullCounts& other) noexcept {
  const auto add_all = [](auto& to, const auto& from) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
  };
  judged += other.judged;
  add_all(upper, other.upper);
  add_all(lower, other.lower);
  add_all(bins, other.bins);
  add_all(steps, other.steps);
  return *this;
}

void ScoreSums::add(std::span<const std::uint32_t> scores) noexcept {
  n += scores.size();
  for (const std::uint64_t score : scores) {
    sum += score;
    squares += static_cast<WideSum>(score) * score;
  }
}

ScoreSums& ScoreSums::operator+=(const ScoreSums& other) noexcept {
  n += other.n;
  sum += other.sum;
  squares += other.squares;
  return *this;
}

ScoreMoments moments(const NullModel& model, const ScoreSums& sums) {
  const auto [mean, variance, fourth] = cumulants(model);
  ScoreMoments out{0, 0, mean, variance, 0, 0};
  if (sums.n == 0) return out;
  const double unit = is_continuous(model) ? kUnit : 1;
  const auto n = static_cast<double>(sums.n);
  // In integers up to the division: the two terms may be near.
  const WideSum spread = sums.squares * sums.n - static_cast<WideSum>(sums.sum) * sums.sum;
  out.mean = static_cast<double>(sums.sum) / n * unit;
  out.variance = static_cast<double>(spread) / n / std::max(1.0, n - 1) * unit * unit;
  out.mean_error = std::sqrt(variance / n);
  out.variance_error = std::sqrt((fourth + 2 * variance * variance) / n);
  return out;
}

}  // namespace countermark::calibrate
