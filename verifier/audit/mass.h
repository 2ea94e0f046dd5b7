// SPDX-License-Identifier: Apache-2.0
// How much probability a model that reads an unmarked text gives to tokens of high score: finer
// than its most probable token alone.
//
// Each distinct tuple of a context of the text and one of the tokens that the file has for it
// counts with a weight, the largest of all its places (of a document the first of each context).
// Weights follow from the suspect's probabilities and the text alone, and tuples are distinct, so
// that the scores are independent, or, of one list of fixed size, negatively associated (each
// weight's factor grows with the score, and the mean of the product is at most the product of
// means). Null law: stats/weighted_sum.h, where suspect and text are independent of the key.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "verifier/audit/tuple_finding.h"
#include "verifier/scan/tests.h"
#include "verifier/stats/weighted_sum.h"

namespace countermark::audit {

// Of the tokens of one place, from the logarithms of their probabilities: p (1 - c) / sqrt(c), c
// the sum of the squares of all p, in units of 1 / 4096: where a model is sure of a token no mark
// moved it, and where it hesitates between many each weighs less against their noise. 0: does not
// count. The rule was chosen on students that no published table is of (docs/statistics.md).
void mass_weights(std::span<const float> log_probs, std::span<std::uint32_t> out);

struct MassFinding {
  stats::WeightedSum sum;
  double estimate_log10 = 0;  // of p: shown, and decides nothing
  stats::EValue e_value{};
  detect::Evidence evidence{};  // p is a bound; its tally has the scores and their sum
  std::optional<detect::LineUp> line_up{};
  double detectable = 0;  // mean score that would be found with the policy's power, nearly
  std::uint64_t texts = 0;
  std::uint64_t tokens = 0;
  std::vector<std::string> reasons{};
  std::vector<Check> checks{};
  detect::Verdict verdict = detect::Verdict::kInconclusive;

  // A failed check withholds the verdict.
  void add(Check check);
};

// `tests` holds one test. Memory: 24 k + 4 bytes a token of the text, and as much for each thread's
// decoys, of a million candidates at most; time as the scan of k texts, for each decoy again.
Result<MassFinding> mass_of(const scan::Tests& tests, const std::string& predictions,
                            const TupleOptions& options, const AuditPolicy& policy,
                            const std::function<void(std::uint64_t)>& read = {});

}  // namespace countermark::audit
