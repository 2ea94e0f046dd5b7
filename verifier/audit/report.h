// SPDX-License-Identifier: Apache-2.0
// An audit's result, for programs and for people.
#pragma once

#include <optional>
#include <string>

#include "verifier/audit/finding.h"
#include "verifier/audit/predictions.h"
#include "verifier/audit/served_response.h"
#include "verifier/audit/tuple_finding.h"

namespace countermark::audit {

// What one audit found: each test that its files allowed.
struct Audit {
  stats::PValue alpha{};  // of the whole
  AuditPolicy policy{};   // of each test
  std::optional<std::string> account{};
  std::optional<ServedFinding> served{};
  std::optional<TupleFinding> open{};
  std::optional<PredictionsHeader> predictions{};  // of `open`
  std::optional<TupleFinding> closed{};
  // Of `open` and `closed`: one test.
  const scan::Tests* tests = nullptr;
  stats::PValue share_alpha{};
};

// Of all tests together: detected where one is, withheld where none is and one was withheld,
// inconclusive where all are.
detect::Verdict verdict_of(const Audit& audit) noexcept;

// countermark.audit/1, one object without a line feed.
std::string to_json(const Audit& audit);
std::string to_text(const Audit& audit);

}  // namespace countermark::audit
