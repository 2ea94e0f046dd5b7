// SPDX-License-Identifier: Apache-2.0
// What the answers of a model say whose weights nobody has: was it trained on text under this key?
//
// One tape over all answers. Null law: that of the tape's tuples (stats/tail.h), where the suspect
// is independent of the key and the prompts were fixed before it was opened. A suspect repeats what
// it is shown, so a tuple whose context stands in any prompt of any answer, or in other material
// that is given, is scored nowhere.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "verifier/audit/finding.h"
#include "verifier/scan/tests.h"
#include "verifier/scan/verdict.h"
#include "verifier/text/reader.h"

namespace countermark::audit {

// What the suspect was shown.
struct Shown {
  std::vector<text::Document> prompts{};  // each once; no segment is scored
  std::uint64_t answers = 0;
  std::uint64_t without_prompt = 0;  // of the answers
};

// Reads the files for their prompts alone. Errors as those of the reader.
Result<Shown> read_prompts(const std::vector<std::string>& inputs,
                           const text::ReaderOptions& reader);

struct ClosedOptions {
  std::vector<std::string> inputs{};  // files of answers (text::expand_inputs)
  text::ReaderOptions reader{};
  stats::PValue share_alpha = stats::PValue::from_parts(1, -2);  // 1 - confidence
  std::uint32_t decoys = 1000;                                   // 0: none
  std::string decoy_seed{};                                      // bytes
  unsigned threads = 1;
  std::function<void(std::uint64_t documents)> progress{};
  std::function<void()> decoy_done{};  // from several threads
};

// Where most of what was answered repeats prompts, it is no evidence of anything.
inline constexpr double kMostEcho = 0.5;

struct ClosedFinding {
  scan::Summary summary{};
  scan::TestResult result{};
  std::optional<stats::EValue> e_value{};  // where the law has one
  double mean = 0;                         // score of a tuple
  double chance = 0;
  // Of the mean, with the confidence .95, by a model of marked scores' law.
  double least = 0;
  double most = 0;
  double detectable = 0;  // mean that would have been found with the policy's power
  std::vector<Check> checks{};
  detect::Verdict verdict = detect::Verdict::kInconclusive;
};

// `tests` holds one test, whose shown material includes the prompts.
Result<ClosedFinding> closed_model(const scan::Tests& tests, const Shown& shown,
                                   const ClosedOptions& options, const AuditPolicy& policy);

}  // namespace countermark::audit
