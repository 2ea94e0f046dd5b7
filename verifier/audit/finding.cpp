// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/finding.h"

#include <algorithm>

namespace countermark::audit {

using detect::Verdict;

const char* state_name(Check::State state) noexcept {
  switch (state) {
    case Check::State::kPassed:
      return "passed";
    case Check::State::kFailed:
      return "failed";
    case Check::State::kNotRun:
      return "not-run";
  }
  return "not-run";
}

Verdict verdict_of(stats::PValue p, stats::PValue smallest, const AuditPolicy& policy,
                   const std::vector<Check>& checks) noexcept {
  const bool failed = std::any_of(checks.begin(), checks.end(), [](const Check& check) {
    return check.state == Check::State::kFailed;
  });
  if (failed) return Verdict::kWithheld;
  if (smallest > policy.alpha) return Verdict::kInconclusive;
  return p <= policy.alpha ? Verdict::kDetected : Verdict::kNotDetected;
}

}  // namespace countermark::audit
