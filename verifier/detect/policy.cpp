// SPDX-License-Identifier: Apache-2.0
#include "verifier/detect/policy.h"

#include <algorithm>
#include <limits>

#include "verifier/stats/tail.h"

namespace countermark::detect {

using stats::PValue;

namespace {

// The convention of docs/mark.md: a key of 128 bits supports no smaller one.
const PValue& least_asserted() {
  static const PValue kLeast = PValue::from_power_of_two(64);
  return kLeast;
}

}  // namespace

const char* verdict_name(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::kDetected:
      return "detected";
    case Verdict::kNotDetected:
      return "not-detected";
    case Verdict::kInconclusive:
      return "inconclusive";
    case Verdict::kWithheld:
      return "withheld";
  }
  return "";
}

std::uint64_t hypotheses_of(std::uint64_t a, std::uint64_t b) noexcept {
  std::uint64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? std::numeric_limits<std::uint64_t>::max()
                                                : product;
}

double context_blocks(const std::vector<Layer>& layers, std::uint64_t tokens) noexcept {
  constexpr unsigned kTokensPerBlock = 4;
  double blocks = 0;
  unsigned before = 0;
  for (const Layer& layer : layers) {
    if (layer.width == before) continue;
    before = layer.width;
    const unsigned blocks_per_context = (layer.width + kTokensPerBlock - 1) / kTokensPerBlock;
    blocks += 1 + blocks_per_context * static_cast<double>(tokens);
  }
  return blocks * (1 + 0x1p-46);  // some forty roundings
}

Evidence weigh(const Tally& tally, std::uint64_t hypotheses, double context_blocks) {
  Evidence evidence;
  evidence.tally = tally;
  evidence.hypotheses = hypotheses;
  // More hypotheses than can be counted: the product with 2^64 - 1 would be no bound.
  const bool countless = hypotheses == std::numeric_limits<std::uint64_t>::max();
  const PValue tail = countless ? PValue() : stats::gamma_tail(tally.n, tally.sum);
  evidence.p = tail.times(hypotheses);
  // Correctly rounded operations: nudged up, so that it stays a bound.
  const double prf_term = std::min(1.0, context_blocks * context_blocks * 0x1p-127 * (1 + 0x1p-50));
  const PValue eps = PValue::from_double(prf_term);
  evidence.floor = std::max(least_asserted(), eps.times(hypotheses));
  evidence.asserted = std::max(evidence.floor, tail.plus(eps).times(hypotheses));
  return evidence;
}

PValue tail(const NullModel& model, const Tally& tally) {
  switch (model.law) {
    case NullLaw::kExponentialBound:
      return stats::gamma_tail(tally.n, tally.sum);
    case NullLaw::kTwoExponentialBounds:
      return stats::two_gamma_tail(tally.n, tally.sum, model.a, model.b);
    case NullLaw::kGreenList:
      return stats::green_tail(tally.n, tally.sum, model.a, model.b);
    case NullLaw::kGreen:
      return stats::binomial_tail(tally.n, tally.sum, model.a, model.b);
    case NullLaw::kBits:
      return stats::binomial_tail(tally.n * model.a, tally.sum, 1, 2);
  }
  return {};
}

Evidence weigh(const NullModel& model, const Tally& tally, std::uint64_t hypotheses) {
  Evidence evidence;
  evidence.tally = tally;
  evidence.null_model = model;
  evidence.hypotheses = hypotheses;
  evidence.p = tally.n == 0 ? PValue() : tail(model, tally).times(hypotheses);
  evidence.floor = least_asserted();
  evidence.asserted = std::max(evidence.floor, evidence.p);
  return evidence;
}

Verdict judge(const Evidence& evidence, const Policy& policy) noexcept {
  if (evidence.tally.n < policy.minimum_scored) return Verdict::kInconclusive;
  return evidence.asserted <= policy.alpha ? Verdict::kDetected : Verdict::kNotDetected;
}

}  // namespace countermark::detect
