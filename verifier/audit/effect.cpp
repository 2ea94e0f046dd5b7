// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/effect.h"

#include "verifier/stats/limits.h"
#include "verifier/stats/planning.h"

namespace countermark::audit {

Effect measure(const NullModel& model, const detect::Tally& tally, const AuditPolicy& policy,
               bool by_bet) {
  constexpr double kConfidence = 0.95;
  const auto a = static_cast<double>(model.a);
  const auto b = static_cast<double>(model.b);
  Effect out;
  double unit = 1;
  switch (model.law) {
    case NullLaw::kExponentialBound:
      unit = 0x1p-20;
      out.chance = 1;
      break;
    case NullLaw::kTwoExponentialBounds:
      unit = 0x1p-20;
      out.chance = a + b;
      break;
    case NullLaw::kGreenList:
    case NullLaw::kGreen:
      out.chance = a / b;
      break;
    case NullLaw::kBits:
      unit = 1 / a;
      out.chance = 0.5;
      break;
  }
  out.mean = static_cast<double>(tally.sum) * unit / static_cast<double>(tally.n);
  if (unit == 0x1p-20) {
    const stats::Range range = stats::mean_range(tally.n, out.mean / out.chance, kConfidence);
    out.least = range.least * out.chance;
    out.most = range.most * out.chance;
    const auto detectable = by_bet ? stats::detectable_mean_by_bet : stats::detectable_mean;
    out.detectable = detectable(tally.n, policy.alpha, policy.power) * out.chance;
    return out;
  }
  const bool is_bits = model.law == NullLaw::kBits;
  const std::uint64_t trials = is_bits ? tally.n * model.a : tally.n;
  const double one_sided = (1 + kConfidence) / 2;
  out.least = stats::share_lower_bound(trials, tally.sum, one_sided);
  out.most = stats::share_upper_bound(trials, tally.sum, one_sided);
  const auto detectable = by_bet ? stats::detectable_green_by_bet : stats::detectable_green;
  out.detectable =
      detectable(trials, is_bits ? 1 : model.a, is_bits ? 2 : model.b, policy.alpha, policy.power);
  return out;
}

}  // namespace countermark::audit
