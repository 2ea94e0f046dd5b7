// SPDX-License-Identifier: Apache-2.0
// What the distinct tuples of all that a suspect wrote, or predicted, say together.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "verifier/audit/finding.h"
#include "verifier/scan/corpus_tape.h"
#include "verifier/scan/tests.h"
#include "verifier/scan/verdict.h"

namespace countermark::audit {

struct TupleOptions {
  stats::PValue share_alpha = stats::PValue::from_parts(1, -2);  // 1 - confidence
  std::uint32_t decoys = 1000;                                   // 0: none
  std::string decoy_seed{};                                      // bytes
  unsigned threads = 1;
  std::function<void()> decoy_done{};  // from several threads
};

// Tokens that decoys read: the whole of an audit of usual size, and of a larger one a part.
inline constexpr std::uint64_t kSampleTokens = 1'000'000;

// Of the mean score of a tuple.
struct Effect {
  double mean = 0;
  double chance = 0;
  // With the confidence .95, by a model of marked scores' law.
  double least = 0;
  double most = 0;
  double detectable = 0;  // would have been found with the policy's power
};

struct TupleFinding {
  scan::Summary summary{};
  scan::TestResult result{};
  std::optional<stats::EValue> e_value{};  // where the law has one
  // Of one sum under a law: nothing without a tuple, for the best of several slots, and where the
  // rank among decoys decides.
  std::optional<Effect> effect{};
  std::vector<Check> checks{};  // the decoys'; the caller adds his own
  detect::Verdict verdict = detect::Verdict::kInconclusive;

  // A failed check withholds the verdict, and those of all streams.
  void add(Check check);
};

// Everything from a tape that holds all documents to the finding. `tests` holds one test.
Result<TupleFinding> judge_tuples(const scan::Tests& tests, scan::CorpusTape& tape,
                                  scan::Summary summary, const TupleOptions& options,
                                  const AuditPolicy& policy);

}  // namespace countermark::audit
