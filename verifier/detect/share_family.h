// SPDX-License-Identifier: Apache-2.0
// How the share of marked tuples is bounded under each null law.
#pragma once

#include "verifier/stats/share.h"
#include "watermark/null_model.h"

namespace countermark::detect {

// Of the law's scores, in its unit. Where the law is a model (model_reasons, or kGreenList), so is
// the bound. Milliseconds; of two weighted scores a tenth of a second.
stats::ShareFamily share_family(const NullModel& model);

}  // namespace countermark::detect
