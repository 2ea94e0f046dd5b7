// SPDX-License-Identifier: Apache-2.0
// What a model whose weights are at hand predicts while it reads a text that is not marked: was it
// trained on text under this key?
//
// At each place of the text the suspect's most probable token is scored in the place of the one
// that stands there, at the context that the text gives. One tape over all of the text. Null law:
// that of the tape's tuples, for any number of them, where the suspect and the text are independent
// of the key: a suspect that copies from the text copies what has nothing to do with the key. So
// the text must not be marked, nor have been chosen by its scores: the text's own tuples are
// scored, too, and must look like chance.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "verifier/audit/predictions.h"
#include "verifier/audit/tuple_finding.h"
#include "verifier/scan/tests.h"

namespace countermark::audit {

struct OpenOptions {
  TupleOptions tuples{};
  std::function<void(std::uint64_t tokens)> progress{};
};

// The text is called marked, or chosen, at a p of its own scores of this: a false veto in a
// thousand audits.
inline constexpr double kReadingLevel = 1e-3;

// Whether the ids that were read are of the profile's tokenizer, and, where the suspect has
// another, how many of its predictions are. Reads the file once.
Result<std::vector<Check>> checks_of_ids(const scan::Tests& tests, const std::string& predictions);

// Whether the text itself looks like chance.
Result<Check> reading_check(const scan::Tests& tests, const std::string& predictions,
                            const OpenOptions& options, const AuditPolicy& policy);

// `tests` holds one test. Reads the file twice.
Result<TupleFinding> open_model(const scan::Tests& tests, const std::string& predictions,
                                const OpenOptions& options, const AuditPolicy& policy);

}  // namespace countermark::audit
