// SPDX-License-Identifier: Apache-2.0
// Marked text as material: what was served to an account, a cohort or everyone, or any marked text,
// and what a suspect predicts while it reads it, or answers to the same prompts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "verifier/audit/finding.h"
#include "verifier/audit/walk.h"
#include "verifier/scan/tests.h"
#include "verifier/text/reader.h"

namespace countermark::audit {

// Which answers of a log belong to a claim.
struct LogFilter {
  std::string account{};  // "": of everyone
  std::string cohort{};   // "": of everyone
  // Under which they were marked; "": whatever the log says.
  std::string key_id{};
  std::string profile{};  // digest
};

// What a log was found to hold.
struct LogCounts {
  std::uint64_t used = 0;
  std::uint64_t other_identity = 0;
  std::uint64_t other_key = 0;  // or none
  std::uint64_t unread = 0;     // of the claim, but not in the predictions
  std::uint64_t late = 0;       // used, and behind one that was over later
};

struct Logged {
  Material material{};
  LogCounts counts{};
};

Check log_check(const LogCounts& counts);

// "log-order": answers that a suspect reads stand in the order in which they were served. Else it
// may depend on the key which of them came back in a prompt before they are scored.
Check order_check(const LogCounts& counts);

// "first-turns": what a suspect was asked (of kAsLogged) brings up no answer of the log. Which
// answers a conversation goes on from may depend on what the key chose.
Check turns_check(const Material& material);

// Whether the texts are marked at all: if not nothing will be found, and nobody accused.
Result<Check> marked_check(const scan::Tests& tests, const Material& material);

// All of the predictions' text: every token is scored. kUnsupported, here and below, for those of a
// suspect with another tokenizer.
Result<Material> read_marked(const std::string& predictions);

// Each document of the predictions ends with the ids of an answer of the log, in the log's order;
// what stands before them was shown to the suspect. Those that belong to others' answers are passed
// over. kMismatch for a document that no answer of the log, behind the one before, ends.
Result<Logged> read_transcripts(const std::string& predictions, const std::string& transcripts,
                                const LogFilter& filter);

// The suspect's answers, and as the log the answers that were served. `reader` as for closed_model.
Result<Logged> read_answers(const std::vector<std::string>& inputs,
                            const text::ReaderOptions& reader, const std::string& transcripts,
                            const LogFilter& filter, const text::Tokenizer* tokenizer);

// The suspect's answers alone, in the order in which they were given.
Result<Material> read_answers(const std::vector<std::string>& inputs,
                              const text::ReaderOptions& reader, const text::Tokenizer* tokenizer);

}  // namespace countermark::audit
