// SPDX-License-Identifier: Apache-2.0
// Whether an audit is the one that its plan fixed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "verifier/audit/plan.h"
#include "verifier/detect/detector.h"
#include "watermark/error.h"

namespace countermark::audit {

struct Inputs;

// The planned test of that name, or null.
const PlannedTest* planned(const Plan& plan, std::string_view test) noexcept;

// `quoted` are works (files, folders, patterns). kMismatch, with both digests, where a file is not
// the plan's or does not say which it is; kInvalidArgument for a file that no planned test looks
// at, and where one is missing that the plan fixes. Reads each file once.
Status check_inputs(const Plan& plan, const Inputs& inputs, const std::vector<std::string>& quoted);

// Profile and key: kMismatch.
Status check_subject(const Plan& plan, const detect::Subject& subject);

}  // namespace countermark::audit
