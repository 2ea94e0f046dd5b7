// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/analysis.h"

#include <algorithm>

#include "verifier/io/digest.h"
#include "verifier/text/inputs.h"
#include "watermark/prf/hash.h"

namespace countermark::audit {

Result<std::string> digest_of_analysis(const AuditOptions& options,
                                       const std::vector<TestKind>& kinds) {
  const Inputs& inputs = options.inputs;
  std::string out = "countermark ledger";
  const auto add = [&](const char* name, const std::string& part) {
    out += std::string("\n") + name + " " + part;
  };
  add("plan", options.plan ? digest_of(*options.plan) : "none");
  add("account", options.account);
  add("cohort", options.cohort);
  add("fields", inputs.reader.text_field + " " + inputs.reader.ids_field);
  add("decoys",
      std::to_string(options.tuples.decoys) + " " + to_hex(as_bytes(options.tuples.decoy_seed)));
  for (const TestKind kind : kinds) add("test", kind_name(kind));
  if (std::any_of(kinds.begin(), kinds.end(), has_tuples)) {
    COUNTERMARK_TRY(const scan::Tests tests, options.load(options.alpha, {}));
    for (const auto& test : tests.tests) {
      const detect::Subject& subject = test->subject();
      for (const std::string& part :
           {subject.scheme, subject.profile, subject.key_id, subject.model, subject.epoch})
        add("subject", part);
    }
  }
  std::vector<std::string> files = {inputs.scores, inputs.transcripts, inputs.predictions,
                                    inputs.marked_predictions, inputs.log_predictions};
  if (!inputs.answers.empty() && options.looks.empty()) {
    COUNTERMARK_TRY(const auto answers, text::expand_inputs(inputs.answers));
    files.insert(files.end(), answers.begin(), answers.end());
  }
  if (!options.quoted.empty()) {
    COUNTERMARK_TRY(const auto quoted, text::expand_inputs(options.quoted));
    files.insert(files.end(), quoted.begin(), quoted.end());
  }
  for (const std::string& file : files) {
    if (file == "-")
      return fail(ErrorCode::kInvalidArgument,
                  "what is entered in a ledger is read twice: give files, not '-'");
    std::string found;
    if (!file.empty()) {
      COUNTERMARK_TRY(found, io::sha256_of_file(file));
    }
    add("file", found);
  }
  return to_hex(sha256(out));
}

}  // namespace countermark::audit
