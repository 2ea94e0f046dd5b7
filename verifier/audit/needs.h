// SPDX-License-Identifier: Apache-2.0
// How much an audit needs before anything is collected, and what so much could find: for people.
//
// From effects that were measured elsewhere (measured_effect.h) and approximate power
// (stats/planning.h): to plan with, never for a verdict.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "verifier/audit/measured_effect.h"
#include "verifier/stats/p_value.h"

namespace countermark::audit {

struct Needs {
  struct Test {
    std::string name{};  // one of plannable_tests()
    double alpha = 1e-6;
  };
  std::vector<Test> tests{};
  double power = 0.9;
  std::vector<double> shares{};            // marked parts of the training text, 0 to 1
  std::optional<std::uint64_t> tuples{};   // that there will be
  std::optional<std::uint64_t> prompts{};  // with a served answer
  std::uint64_t regenerations = 4;         // of a prompt
  // What somebody measured himself: a mean score above 1, else a green share or how often a served
  // answer is above a regeneration, whichever there are tests for.
  std::optional<double> effect{};
  std::optional<Scale> green{};  // of the effect, where the profile has green tokens
};

// Whether there is a test that the effect can be of.
bool has_effect(const Needs& needs);

std::string to_text(const Needs& needs);

// What so many tuples of our own mark would show, by how much of what the suspect learned was
// marked: "1 % with a probability below .001 (11M tuples would do), ...". By our laboratory's
// students; empty where it has none of this test. by_bet: a bet decides, not the sum's law.
std::string share_text(const std::string& test, std::uint64_t tuples, bool by_bet,
                       stats::PValue level, double power);

}  // namespace countermark::audit
