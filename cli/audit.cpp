// SPDX-License-Identifier: Apache-2.0
// audit: was a model trained on the protected model's output?
#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "cli/command.h"
#include "cli/progress.h"
#include "cli/reader_flags.h"
#include "cli/scan_result.h"
#include "verifier/audit/report.h"
#include "verifier/audit/served_scores.h"
#include "verifier/text/inputs.h"
#include "verifier/text/transcript.h"

namespace countermark::cli {
namespace {

struct AuditFlags {
  std::string scores{};
  std::string transcripts{};
  std::vector<std::string> answers{};
  ScanTestFlags tests{};
  text::ReaderOptions reader{};
  double power = 0.9;
  double share_alpha = 0.01;
  std::uint32_t decoys = 1000;
  std::string decoy_seed{};
  unsigned threads = 0;
  bool json = false;
  bool exit_status = false;
  Output output{};

  bool served() const { return !scores.empty(); }
  bool closed() const { return !answers.empty(); }
};

Status check(const AuditFlags& flags) {
  COUNTERMARK_CHECK(flags.output.check());
  const auto refuse = [](const char* message) {
    return fail(ErrorCode::kInvalidArgument, message);
  };
  if (!flags.served() && !flags.closed())
    return refuse("give --scores or --answers: what is known of the suspect");
  if (!flags.transcripts.empty() && !flags.served())
    return refuse("--transcripts is looked at together with --scores");
  if (flags.closed() && flags.tests.pairs.keys.size() != 1)
    return refuse("--answers takes one key, -k FILE");
  if (!flags.closed() && !flags.tests.pairs.keys.empty())
    return refuse("-k is for --answers: served answers need no key");
  return {};
}

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

Result<audit::ServedFinding> judge_served(const AuditFlags& flags, const audit::Audit& audit) {
  audit::ServedResponse test(audit.account);
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
  return test.finish(audit.policy);
}

Result<audit::TupleFinding> judge_closed(const AuditFlags& flags, const scan::Tests& tests,
                                         const audit::Shown& shown, const audit::Audit& audit) {
  audit::ClosedOptions options;
  options.inputs = audit.inputs;
  options.reader = flags.reader;
  options.tuples.share_alpha = audit.share_alpha;
  options.tuples.decoys = flags.decoys;
  COUNTERMARK_TRY(options.tuples.decoy_seed, from_hex("--decoy-seed", flags.decoy_seed));
  options.tuples.threads =
      flags.threads == 0 ? std::max(1U, std::thread::hardware_concurrency()) : flags.threads;
  Progress answers("answers", shown.answers);
  std::uint64_t done = 0;
  options.progress = [&](std::uint64_t documents) {
    answers.advance(documents - done);
    done = documents;
  };
  std::mutex mutex;
  std::optional<Progress> decoys;
  options.tuples.decoy_done = [&] {
    const std::scoped_lock lock(mutex);
    if (!decoys) decoys.emplace("decoys", flags.decoys);
    decoys->advance();
  };
  return audit::closed_model(tests, shown, options, audit.policy);
}

int run(AuditFlags flags) {
  if (const Status ready = check(flags); !ready) return report(ready.error());
  audit::Audit out;
  // Equal parts: no plan says otherwise.
  const int parts = (flags.served() ? 1 : 0) + (flags.closed() ? 1 : 0);
  out.alpha = stats::PValue::from_decimal(flags.tests.alpha);
  flags.tests.alpha /= parts;
  out.policy.alpha = stats::PValue::from_decimal(flags.tests.alpha);
  out.policy.power = flags.power;
  out.share_alpha = stats::PValue::from_decimal(flags.share_alpha);
  if (!flags.tests.account.empty()) out.account = flags.tests.account;

  if (flags.served()) {
    auto found = judge_served(flags, out);
    if (!found) return report(found.error());
    out.served = *std::move(found);
  }
  scan::Tests tests;
  if (flags.closed()) {
    auto inputs = text::expand_inputs(flags.answers);
    if (!inputs) return report(inputs.error());
    out.inputs = *std::move(inputs);
    if (std::find(out.inputs.begin(), out.inputs.end(), "-") != out.inputs.end())
      return report({ErrorCode::kInvalidArgument,
                     "--answers are read twice, first for their prompts: give files, not '-'"});
    const auto shown = audit::read_prompts(out.inputs, flags.reader);
    if (!shown) return report(shown.error());
    auto loaded = flags.tests.load(shown->prompts);
    if (!loaded) return report(loaded.error());
    tests = *std::move(loaded);
    if (tests.tests.size() != 1)
      return report({ErrorCode::kInvalidArgument, "--answers takes one profile, -p FILE"});
    out.tests = &tests;
    auto found = judge_closed(flags, tests, *shown, out);
    if (!found) return report(found.error());
    out.closed = *std::move(found);
  }
  const Status written = flags.output.write(flags.json ? to_json(out) + "\n" : to_text(out));
  if (!written) return report(written.error());
  if (!flags.exit_status) return kDone;
  switch (verdict_of(out)) {
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

}  // namespace

Run add_audit_command(CLI::App& app) {
  auto flags = std::make_shared<AuditFlags>();
  app.add_option("--scores", flags->scores,
                 "How the suspect rates served answers and regenerations (countermark.scores/1)")
      ->type_name("FILE");
  app.add_option("--transcripts", flags->transcripts,
                 "What was served (countermark.transcript/1): checks how --scores came about")
      ->type_name("FILE");
  app.add_option("--answers", flags->answers,
                 "What the suspect answered, with its prompts (countermark.answers/1 and others)")
      ->type_name("INPUT");
  flags->tests.add_claim_flags(app, false);
  app.add_option("--quoted", flags->tests.quoted,
                 "Other works that the suspect may quote: contexts in them are not scored")
      ->type_name("INPUT");
  add_reader_flags(app, flags->reader);
  app.add_option("--alpha", flags->tests.alpha, "Rate of false alarms, over all tests")
      ->capture_default_str()
      ->type_name("P")
      ->check(CLI::Range(1e-300, 0.5));
  app.add_option("--power", flags->power, "At which to say what could have been found")
      ->capture_default_str()
      ->type_name("P")
      ->check(CLI::Range(0.51, 0.999));
  app.add_option("--decoys", flags->decoys, "Random keys for the line-up; 0: none")
      ->capture_default_str()
      ->type_name("N")
      ->check(CLI::Range(0, 1'000'000));
  app.add_option("--decoy-seed", flags->decoy_seed, "Seed of the decoys, chosen by the other side")
      ->type_name("HEX");
  app.add_option("--threads", flags->threads, "0: one a processor")->capture_default_str();
  app.add_flag("--json", flags->json, "One object of JSON (countermark.audit/1)");
  app.add_flag("--exit-status", flags->exit_status,
               "Exit 0 if detected, 10 if not, 5 if inconclusive or withheld");
  flags->output.add_flags(app);
  app.footer(
      "\nServed responses (--scores): the suspect rates what the log says was served, and other\n"
      "answers of the same model to the same prompts, which nobody was given. A model that was\n"
      "trained on the served ones knows them. No mark and no key are needed.\n"
      "Unsupervised, closed (--answers, -k, -p): whoever learned from marked text answers with\n"
      "tuples of high score. Contexts that stand in any prompt are not scored.\n"
      "\nExamples:\n"
      "  countermark audit --scores scores.jsonl --transcripts served.jsonl\n"
      "  countermark audit -k 2026-11.key -p profile.json --answers answers.jsonl --json");
  return [flags] { return run(*flags); };
}

}  // namespace countermark::cli
