// SPDX-License-Identifier: Apache-2.0
// What an audit can ask of a suspect: the names that stand in plans and results.
#pragma once

#include <span>
#include <string_view>

namespace countermark::audit {

struct Plannable {
  std::string_view name;  // never another test's
  bool needs_key;         // that marks were drawn under, and so a profile
  // Marked text is read or shown, so that n must be fixed beforehand, or an e-process decide.
  bool fixes_tuples;
};

// The strongest first.
std::span<const Plannable> plannable_tests() noexcept;

// null where no test has the name.
const Plannable* find_plannable(std::string_view name) noexcept;

}  // namespace countermark::audit
