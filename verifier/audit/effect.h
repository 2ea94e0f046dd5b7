// SPDX-License-Identifier: Apache-2.0
// How large an effect is, beside whether there is one.
#pragma once

#include "verifier/audit/finding.h"
#include "verifier/detect/tally.h"
#include "watermark/null_model.h"

namespace countermark::audit {

// Of the mean score of a tuple.
struct Effect {
  double mean = 0;
  double chance = 0;
  // With the confidence .95, by a model of marked scores' law.
  double least = 0;
  double most = 0;
  double detectable = 0;  // would have been found with the policy's power
};

// n > 0. by_bet: what is found is found by a bet, not by the sum's law.
Effect measure(const NullModel& model, const detect::Tally& tally, const AuditPolicy& policy,
               bool by_bet = false);

}  // namespace countermark::audit
