// SPDX-License-Identifier: Apache-2.0
// audit: was a model trained on the protected model's output?
#include <memory>
#include <optional>
#include <utility>

#include "cli/command.h"
#include "cli/progress.h"
#include "verifier/audit/report.h"
#include "verifier/audit/served_scores.h"
#include "verifier/text/transcript.h"

namespace countermark::cli {
namespace {

struct AuditFlags {
  std::string scores{};
  std::string transcripts{};
  std::string account{};
  double alpha = 1e-6;
  double power = 0.9;
  bool json = false;
  bool exit_status = false;
  Output output{};
};

// Calls `each` with every record of a file.
template <typename Reader, typename Each>
Status read_all(const std::string& path, const char* what, Each each) {
  COUNTERMARK_TRY(Reader reader, Reader::open(path));
  Progress progress(what, 0);
  for (;;) {
    COUNTERMARK_TRY(const auto record, reader.next());
    if (!record) return {};
    COUNTERMARK_CHECK(each(*record));
    progress.advance();
  }
}

Result<audit::Audit> audit_of(const AuditFlags& flags) {
  audit::Audit out;
  out.alpha = out.policy.alpha = stats::PValue::from_decimal(flags.alpha);
  out.policy.power = flags.power;
  if (!flags.account.empty()) out.account = flags.account;
  audit::ServedResponse test(out.account);
  std::uint64_t record = 0;
  COUNTERMARK_CHECK(read_all<audit::ServedScoreReader>(
      flags.scores, "scores", [&](const audit::ServedScore& score) -> Status {
        ++record;
        Status added = test.add(score);
        if (added) return {};
        Error error = std::move(added).error();
        error.field = "record " + std::to_string(record) + ", " + error.field;
        return fail(std::move(error).in_file(flags.scores));
      }));
  if (!flags.transcripts.empty())
    COUNTERMARK_CHECK(read_all<text::TranscriptReader>(
        flags.transcripts, "transcripts", [&](const text::Transcript& transcript) -> Status {
          test.add(transcript);
          return {};
        }));
  out.served = test.finish(out.policy);
  return out;
}

int status_of(detect::Verdict verdict) {
  switch (verdict) {
    case detect::Verdict::kDetected:
      return kDone;
    case detect::Verdict::kNotDetected:
      return kNotDetected;
    case detect::Verdict::kInconclusive:
    case detect::Verdict::kWithheld:
      break;
  }
  return kNoVerdict;
}

int run(const AuditFlags& flags) {
  if (const Status ready = flags.output.check(); !ready) return report(ready.error());
  const auto audit = audit_of(flags);
  if (!audit) return report(audit.error());
  const Status written =
      flags.output.write(flags.json ? to_json(*audit) + "\n" : to_text(*audit));
  if (!written) return report(written.error());
  return flags.exit_status ? status_of(verdict_of(*audit)) : kDone;
}

}  // namespace

Run add_audit_command(CLI::App& app) {
  auto flags = std::make_shared<AuditFlags>();
  app.add_option("--scores", flags->scores,
                 "How the suspect rates served answers and regenerations (countermark.scores/1)")
      ->type_name("FILE")
      ->required();
  app.add_option("--transcripts", flags->transcripts,
                 "What was served (countermark.transcript/1): checks how the answers came about")
      ->type_name("FILE");
  app.add_option("--account", flags->account, "Only answers that were served to it")
      ->type_name("ID");
  app.add_option("--alpha", flags->alpha, "Rate of false alarms, over all tests")
      ->capture_default_str()
      ->type_name("P")
      ->check(CLI::Range(1e-300, 0.5));
  app.add_option("--power", flags->power, "At which to say what could have been found")
      ->capture_default_str()
      ->type_name("P")
      ->check(CLI::Range(0.51, 0.999));
  app.add_flag("--json", flags->json, "One object of JSON (countermark.audit/1)");
  app.add_flag("--exit-status", flags->exit_status,
               "Exit 0 if detected, 10 if not, 5 if inconclusive or withheld");
  flags->output.add_flags(app);
  app.footer(
      "\nWhere the log keeps what was served, ask the suspect how likely it finds each answer, and\n"
      "how likely other answers of the same model to the same prompt, which nobody was given: a\n"
      "model that was trained on the served ones knows them. No mark is needed.\n"
      "\nExamples:\n"
      "  countermark audit --scores scores.jsonl --transcripts served.jsonl\n"
      "  countermark audit --scores scores.jsonl --account 7f3a --alpha 1e-4 --json");
  return [flags] { return run(*flags); };
}

}  // namespace countermark::cli
