// SPDX-License-Identifier: Apache-2.0
// countermark.plan/1: an analysis that was fixed before anything was looked at (docs/formats.md).
//
// It says which tests there are, what each may spend of alpha, and what they look at. It holds no
// secret, and does not say when it was made: who needs that has its digest signed or stamped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "watermark/error.h"

namespace countermark::audit {

inline constexpr std::string_view kPlanSchema = "countermark.plan/1";

struct PlannedTest {
  std::string name{};  // one of plannable_tests()
  double alpha = 0;    // its part of the whole
  // Of tests that fix it: how many tuples count, in their order; nothing: an e-process decides.
  std::optional<std::uint64_t> tuples{};

  bool operator==(const PlannedTest&) const = default;
};

// SHA-256 of files, as `sha256sum` prints it.
struct PlannedInputs {
  std::optional<std::string> reading{};         // unmarked text
  std::optional<std::string> marked_reading{};  // fresh marked text
  std::optional<std::string> prompts{};
  std::optional<std::string> transcripts{};
  std::vector<std::string> quoted{};  // ascending

  bool operator==(const PlannedInputs&) const = default;
};

struct Plan {
  double alpha = 1e-6;  // over all tests
  double power = 0.9;   // at which "what could have been found" is said
  std::vector<PlannedTest> tests{};
  std::optional<std::string> profile{};  // digest
  std::optional<std::string> key_id{};
  std::optional<std::string> account{};  // claimed
  std::optional<std::string> cohort{};
  std::uint32_t decoys = 1000;
  std::string decoy_seed{};  // hexadecimal
  PlannedInputs inputs{};
  std::optional<std::string> suspect{};  // its name, for people
  std::optional<std::string> note{};

  bool operator==(const Plan&) const = default;
};

// Reads a plan. kInvalidInput, kUnsupported for a later schema; with field and offset. Refused is
// what would not fix the analysis: a test without its part of alpha, more parts than alpha has, a
// test under no key or profile, one that reads or asks what is not named by digest.
Result<Plan> parse_plan(std::string_view json);

// The same rules for a plan from its parts: kInvalidArgument with the field.
Status check_plan(const Plan& plan);

// One line of JSON without a line feed, keys sorted, no spaces: what a file holds and the digest
// covers, so that `sha256sum` of the file prints the digest. Of a plan that is checked.
std::string canonical_json(const Plan& plan);
std::string digest_of(const Plan& plan);

// The shortest decimal that reads as the number: "5e-7". 0 < value < 1.
std::string decimal(double value);

}  // namespace countermark::audit
