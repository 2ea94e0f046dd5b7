// SPDX-License-Identifier: Apache-2.0
// A quick proof that this build, on this machine, computes what it should: known answers for
// every kernel, exact tails, and a mark that is embedded and found.
#pragma once

#include <string>
#include <vector>

#include "watermark/error.h"

namespace countermark {

struct SelfCheck {
  std::string name{};
  bool passed = false;
};

// Runs in well under a second. An error only when no kernel can be chosen.
Result<std::vector<SelfCheck>> self_test();

}  // namespace countermark
