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
#include <string>
#include <vector>

#include "verifier/audit/tuple_finding.h"
#include "verifier/scan/tests.h"
#include "verifier/text/reader.h"

namespace countermark::audit {

// What the suspect was shown.
struct Shown {
  std::vector<text::Document> prompts{};  // each once; no segment is scored
  std::uint64_t answers = 0;
  std::uint64_t without_prompt = 0;  // of the answers
  // Those that were given as ids: the first, of a million tokens together.
  std::vector<std::vector<TokenId>> ids{};
};

// The suspect answers with the last turn of its role; what stands before it was shown to it,
// whoever wrote it.
text::ReaderOptions of_audit(text::ReaderOptions reader);

// Reads the files for their prompts alone. Errors as those of the reader.
Result<Shown> read_prompts(const std::vector<std::string>& inputs,
                           const text::ReaderOptions& reader);

struct ClosedOptions {
  std::vector<std::string> inputs{};  // files of answers (text::expand_inputs)
  text::ReaderOptions reader{};
  TupleOptions tuples{};
  std::function<void(std::uint64_t documents)> progress{};
};

// Where most of what was answered repeats prompts, it is no evidence of anything.
inline constexpr double kMostEcho = 0.5;
Check echo_check(const detect::Dropped& dropped, std::uint64_t scored);

// Without what a suspect was shown nobody can tell what it repeats; and whether ids, where they
// were given, are of the profile's tokenizer.
void add_checks(const Shown& shown, const scan::Tests& tests, TupleFinding& finding);

// `tests` holds one test, whose shown material includes the prompts.
Result<TupleFinding> closed_model(const scan::Tests& tests, const Shown& shown,
                                  const ClosedOptions& options, const AuditPolicy& policy);

}  // namespace countermark::audit
