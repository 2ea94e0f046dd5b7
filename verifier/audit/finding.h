// SPDX-License-Identifier: Apache-2.0
// What every test of an audit says of itself besides its numbers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "verifier/detect/policy.h"
#include "verifier/stats/p_value.h"

namespace countermark::audit {

// What must hold for a test to mean what it says, as far as the data show it.
struct Check {
  enum class State : std::uint8_t {
    kPassed,
    kFailed,  // the test's verdict is withheld
    kNotRun,  // what it needs was not given
  };

  std::string name{};  // a stable code, such as "negative-control"
  State state = State::kNotRun;
  std::string detail{};  // for people: what was looked at, or what it needs
};

const char* state_name(Check::State state) noexcept;

// Fixed before the data are looked at.
struct AuditPolicy {
  stats::PValue alpha = stats::PValue::from_parts(1, -6);  // of one test, its part of the whole
  double power = 0.9;  // at which "what could have been found" is said
};

// Withheld where a check failed, inconclusive where no result could have reached alpha.
detect::Verdict verdict_of(stats::PValue p, stats::PValue smallest, const AuditPolicy& policy,
                           const std::vector<Check>& checks) noexcept;

}  // namespace countermark::audit
