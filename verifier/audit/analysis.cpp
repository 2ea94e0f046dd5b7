// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/analysis.h"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>

#include "verifier/io/digest.h"
#include "verifier/text/inputs.h"
#include "watermark/prf/hash.h"

namespace countermark::audit {
namespace {

// Parts of a message that no other parts give.
class Parts {
 public:
  explicit Parts(std::string name) : message_(std::move(name)) {}

  void add(std::string_view part) {
    message_ += '\n' + std::to_string(part.size()) + ' ';
    message_ += part;
  }
  void add(std::uint64_t number) { add(std::to_string(number)); }

  std::string digest() const { return to_hex(sha256(message_)); }

 private:
  std::string message_;
};

Status add_files(const std::vector<std::string>& files, Parts& out) {
  out.add(files.size());
  for (const std::string& file : files) {
    if (file == "-")
      return fail(ErrorCode::kInvalidArgument,
                  "what is entered in a ledger is read twice: give files, not '-'");
    std::string found;
    if (!file.empty()) {
      COUNTERMARK_TRY(found, io::sha256_of_file(file));
    }
    out.add(found);
  }
  return {};
}

Status add_inputs(const std::vector<std::string>& inputs, Parts& out) {
  std::vector<std::string> files;
  if (!inputs.empty()) {
    COUNTERMARK_TRY(files, text::expand_inputs(inputs));
  }
  return add_files(files, out);
}

}  // namespace

Result<std::string> behaviour_of(const scan::Test& test) {
  std::vector<TokenId> ids;
  for (std::uint32_t i = 0; i < 300; ++i) ids.push_back(i * i % 997);
  std::vector<scan::Sheet> sheets;
  COUNTERMARK_CHECK(test.scorer()->score({detect::TokenSegment{std::move(ids)}}, sheets));
  std::string scores;
  for (const scan::Sheet& sheet : sheets)
    for (const std::vector<std::uint32_t>& lane : sheet.scores)
      for (const std::uint32_t score : lane) append_le32(scores, score);
  return to_hex(sha256(scores));
}

Result<std::string> digest_of_analysis(const AuditOptions& options,
                                       const std::vector<TestKind>& kinds) {
  const Inputs& inputs = options.inputs;
  Parts out("countermark ledger");
  out.add(options.plan ? digest_of(*options.plan) : "");
  for (const std::string& part :
       {options.account, options.cohort, inputs.reader.text_field, inputs.reader.ids_field,
        inputs.reader.role, options.tuples.decoy_seed})
    out.add(part);
  out.add(static_cast<std::uint64_t>(inputs.reader.format));
  out.add(options.tuples.decoys);
  out.add(kinds.size());
  for (const TestKind kind : kinds) out.add(kind_name(kind));
  if (std::any_of(kinds.begin(), kinds.end(), has_tuples)) {
    COUNTERMARK_TRY(const scan::Tests tests, options.load(options.alpha, {}));
    for (const auto& test : tests.tests) {
      const detect::Subject& subject = test->subject();
      for (const std::string& part :
           {subject.scheme, subject.profile, subject.key_id, subject.model, subject.epoch})
        out.add(part);
      COUNTERMARK_TRY(const std::string behaviour, behaviour_of(*test));
      out.add(behaviour);
    }
    for (const auto& tokenizer : tests.tokenizers) out.add(tokenizer ? tokenizer->sha256() : "");
  }
  COUNTERMARK_CHECK(add_files({inputs.scores, inputs.transcripts, inputs.predictions,
                               inputs.marked_predictions, inputs.log_predictions},
                              out));
  COUNTERMARK_CHECK(add_inputs(inputs.answers, out));
  COUNTERMARK_CHECK(add_inputs(options.quoted, out));
  return out.digest();
}

}  // namespace countermark::audit
