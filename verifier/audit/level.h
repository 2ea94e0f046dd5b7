// SPDX-License-Identifier: Apache-2.0
// How strong the evidence of a whole audit is that kept to its plan.
//
// Null law: of tests whose parts w of alpha come to 1 at most, P(some p_i / w_i <= t) <= sum of
// P(p_i <= w_i t) <= t for every t, however the tests depend on each other, and whether or not each
// of them was run. So the thresholds hold for the audit, and not for each test.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "verifier/detect/policy.h"
#include "verifier/stats/p_value.h"

namespace countermark::audit {

enum class Level : std::uint8_t { kNone, kIndication, kStrong, kVeryStrong };

const char* level_name(Level level) noexcept;  // "very-strong"

// What a planned test gave.
struct PlannedResult {
  detect::Verdict verdict = detect::Verdict::kInconclusive;
  stats::PValue p{};       // asserted
  double alpha = 0;        // its part
  bool is_model = false;   // the law of p is a model
  bool has_decoys = true;  // calibrated, where its statistic has a key
};

struct Strength {
  Level level = Level::kNone;
  // Of the whole audit, by the test that the level is of; nothing where no test gave one.
  std::optional<stats::PValue> p{};
  // Why p alone would give a higher one: "not-detected", "model-law", "no-registration",
  // "no-decoys", "withheld-test".
  std::vector<std::string> limits{};
};

// `alpha` is the plan's. Withheld and inconclusive tests give nothing.
Strength strength_of(const std::vector<PlannedResult>& results, double alpha);

}  // namespace countermark::audit
