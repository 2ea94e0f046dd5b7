// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/plannable.h"

#include <algorithm>
#include <array>

namespace countermark::audit {
namespace {

constexpr std::array kTests = {
    Plannable{"served-response", false, false},
    Plannable{"supervised-open", true, true},  // reads what it may have been trained on
    Plannable{"unsupervised-open", true, false},
    Plannable{"unsupervised-open-mass", true, false},  // all that it predicts, not the top alone
    Plannable{"marked-open", true, true},              // reads fresh marked text
    Plannable{"supervised-closed", true, true},
    Plannable{"unsupervised-closed", true, false},
};

}  // namespace

std::span<const Plannable> plannable_tests() noexcept { return kTests; }

const Plannable* find_plannable(std::string_view name) noexcept {
  const auto* const found = std::find_if(kTests.begin(), kTests.end(),
                                         [&](const Plannable& kind) { return kind.name == name; });
  return found == kTests.end() ? nullptr : found;
}

}  // namespace countermark::audit
