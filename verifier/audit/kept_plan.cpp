// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/kept_plan.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "verifier/audit/audit.h"
#include "verifier/audit/predictions.h"
#include "verifier/io/digest.h"
#include "verifier/text/inputs.h"
#include "verifier/text/reader.h"

namespace countermark::audit {
namespace {

// A file that an audit may be given, and the tests that look at it.
struct Given {
  const char* flag;
  bool is_given;
  std::initializer_list<std::string_view> tests;
};

bool is_looked_at(const Plan& plan, const Given& given) {
  return std::any_of(given.tests.begin(), given.tests.end(),
                     [&](std::string_view test) { return planned(plan, test) != nullptr; });
}

Status check_wanted(const Plan& plan, const Inputs& inputs) {
  const std::initializer_list<Given> all = {
      {"--scores", !inputs.scores.empty(), {"served-response"}},
      {"--transcripts",
       !inputs.transcripts.empty(),
       {"served-response", "supervised-open", "supervised-closed"}},
      {"--predictions",
       !inputs.predictions.empty(),
       {"unsupervised-open", "unsupervised-open-mass"}},
      {"--marked-predictions", !inputs.marked_predictions.empty(), {"marked-open"}},
      {"--log-predictions", !inputs.log_predictions.empty(), {"supervised-open"}},
      {"--answers", !inputs.answers.empty(), {"supervised-closed", "unsupervised-closed"}},
  };
  for (const Given& given : all)
    if (given.is_given && !is_looked_at(plan, given))
      return fail(ErrorCode::kInvalidArgument,
                  std::string(given.flag) + ": the plan has no test that looks at it");
  // Without the log nobody can tell which answers were taken.
  if (!inputs.scores.empty() && inputs.transcripts.empty())
    return fail(ErrorCode::kInvalidArgument,
                "--scores: the plan fixes the --transcripts that they belong to");
  return {};
}

tl::unexpected<Error> other(const std::string& file, const std::string& what,
                            const std::string& found, const std::optional<std::string>& plans) {
  return fail(
      Error{ErrorCode::kMismatch,
            what + (found.empty() ? "nothing" : found) + ", the plan has " + plans.value_or("none"),
            file});
}

Status check_predictions(const std::string& path, const std::optional<std::string>& plans) {
  if (path.empty()) return {};
  COUNTERMARK_TRY(const PredictionsReader reader, PredictionsReader::open(path));
  const std::string found = reader.header().input_sha256.value_or("");
  if (found.empty() || found != plans)
    return other(path, "says of the text that was read that its SHA-256 is ", found, plans);
  return {};
}

// Every answer says which prompts it was among.
Status check_answers(const Inputs& inputs, const std::optional<std::string>& plans) {
  if (inputs.answers.empty()) return {};
  COUNTERMARK_TRY(const auto files, text::expand_inputs(inputs.answers));
  text::ReaderOptions options;
  options.format = inputs.reader.format;
  options.text_field = "promptsSha256";
  for (const std::string& file : files) {
    COUNTERMARK_TRY(const auto answers, text::open_documents(file, options));
    for (;;) {
      COUNTERMARK_TRY(const std::optional<text::Document> answer, answers->next());
      if (!answer) break;
      // The prompt stands before it.
      const std::string found = answer->segments.empty() ? "" : answer->segments.back().text;
      if (found == plans) continue;
      Error error = other(file, "says of its prompts that their SHA-256 is ", found, plans).value();
      error.field = "record " + std::to_string(answer->record);
      return fail(std::move(error));
    }
  }
  return {};
}

Status check_works(const Plan& plan, const std::vector<std::string>& quoted) {
  std::vector<std::string> found;
  std::vector<std::string> files;
  if (!quoted.empty()) {
    COUNTERMARK_TRY(files, text::expand_inputs(quoted));
  }
  for (const std::string& file : files) {
    COUNTERMARK_TRY(std::string digest, io::sha256_of_file(file));
    if (!std::binary_search(plan.inputs.quoted.begin(), plan.inputs.quoted.end(), digest))
      return fail(Error{ErrorCode::kMismatch,
                        "has the SHA-256 " + digest + ", which is none of the plan's quoted works",
                        file});
    found.push_back(std::move(digest));
  }
  for (const std::string& digest : plan.inputs.quoted)
    if (std::find(found.begin(), found.end(), digest) == found.end())
      return fail(ErrorCode::kInvalidArgument,
                  "--quoted: the plan has a work of SHA-256 " + digest + ", which is not given");
  return {};
}

}  // namespace

const PlannedTest* planned(const Plan& plan, std::string_view test) noexcept {
  for (const PlannedTest& each : plan.tests)
    if (each.name == test) return &each;
  return nullptr;
}

Status check_inputs(const Plan& plan, const Inputs& inputs,
                    const std::vector<std::string>& quoted) {
  COUNTERMARK_CHECK(check_wanted(plan, inputs));
  if (!inputs.transcripts.empty()) {
    COUNTERMARK_TRY(const std::string found, io::sha256_of_file(inputs.transcripts));
    if (found != plan.inputs.transcripts)
      return other(inputs.transcripts, "has the SHA-256 ", found, plan.inputs.transcripts);
  }
  COUNTERMARK_CHECK(check_predictions(inputs.predictions, plan.inputs.reading));
  COUNTERMARK_CHECK(check_predictions(inputs.marked_predictions, plan.inputs.marked_reading));
  COUNTERMARK_CHECK(check_answers(inputs, plan.inputs.prompts));
  return check_works(plan, quoted);
}

Status check_subject(const Plan& plan, const detect::Subject& subject) {
  if (subject.profile != plan.profile)
    return other("", "the profile has the digest ", subject.profile, plan.profile);
  if (subject.key_id != plan.key_id)
    return other("", "the key's id is ", subject.key_id, plan.key_id);
  return {};
}

}  // namespace countermark::audit
