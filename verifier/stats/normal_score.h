// SPDX-License-Identifier: Apache-2.0
// The quantile of the standard normal law at a p-value: how calibration checks look at many exact
// p-values at once. It never decides about a text.
#pragma once

#include "verifier/stats/p_value.h"

namespace countermark::stats {

// z with P(N > z) = p. Large for small p; p = 1 gives -38 instead of minus infinity, p below
// 1e-300 gives 38.
double normal_score(PValue p);

}  // namespace countermark::stats
