// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/level.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace countermark::audit {
namespace {

using detect::Verdict;
using stats::PValue;

// min(1, p x alpha / part), to a part in a million above; of the ratio the last digits are rounded.
PValue of_audit(PValue p, double alpha, double part) {
  constexpr std::uint64_t kUnit = std::uint64_t{1} << 20;
  const double ratio = alpha / part;
  if (!(ratio < 0x1p40)) return {};
  return p.scaled(
      static_cast<std::uint64_t>(std::ceil(ratio * (1 - 1e-15) * static_cast<double>(kUnit))),
      kUnit);
}

Level level_of(PValue p) {
  if (p <= PValue::from_parts(1, -10)) return Level::kVeryStrong;
  if (p <= PValue::from_parts(1, -6)) return Level::kStrong;
  if (p <= PValue::from_parts(1, -4)) return Level::kIndication;
  return Level::kNone;
}

// What one test gives for the audit.
Strength strength_of(const PlannedResult& result, double alpha, bool is_withheld) {
  Strength out;
  out.p = of_audit(result.p, alpha, result.alpha);
  const Level by_p = level_of(*out.p);
  out.level = by_p;
  const auto cap = [&](Level most, bool applies, const char* reason) {
    if (!applies || by_p <= most) return;
    out.level = std::min(out.level, most);
    out.limits.emplace_back(reason);
  };
  cap(Level::kIndication, result.verdict != Verdict::kDetected, "not-detected");
  cap(Level::kIndication, result.is_model, "model-law");
  // Nothing that this version reads shows that the key is older than the exhibits.
  cap(Level::kStrong, true, "no-registration");
  cap(Level::kStrong, !result.has_decoys, "no-decoys");
  cap(Level::kStrong, is_withheld, "withheld-test");
  return out;
}

}  // namespace

const char* level_name(Level level) noexcept {
  switch (level) {
    case Level::kNone:
      return "none";
    case Level::kIndication:
      return "indication";
    case Level::kStrong:
      return "strong";
    case Level::kVeryStrong:
      return "very-strong";
  }
  return "none";
}

Strength strength_of(const std::vector<PlannedResult>& results, double alpha) {
  const bool is_withheld =
      std::any_of(results.begin(), results.end(),
                  [](const PlannedResult& result) { return result.verdict == Verdict::kWithheld; });
  Strength out;
  for (const PlannedResult& result : results) {
    assert(result.alpha > 0 && result.alpha <= alpha * (1 + 1e-9));
    if (result.verdict == Verdict::kWithheld || result.verdict == Verdict::kInconclusive) continue;
    Strength next = strength_of(result, alpha, is_withheld);
    if (!out.p || next.level > out.level || (next.level == out.level && *next.p < *out.p))
      out = std::move(next);
  }
  return out;
}

}  // namespace countermark::audit
