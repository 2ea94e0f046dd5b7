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
#include "verifier/audit/closed_model.h"
#include "verifier/audit/open_model.h"
#include "verifier/audit/report.h"
#include "verifier/audit/served_scores.h"
#include "verifier/text/inputs.h"
#include "verifier/text/transcript.h"

namespace countermark::cli {
namespace {

struct AuditFlags {
  std::string scores{};
  std::string transcripts{};
  std::string predictions{};
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
  bool open() const { return !predictions.empty(); }
  bool closed() const { return !answers.empty(); }
};

Status check(const AuditFlags& flags) {
  COUNTERMARK_CHECK(flags.output.check());
  const auto refuse = [](const char* message) {
    return fail(ErrorCode::kInvalidArgument, message);
  };
  if (!flags.served() && !flags.open() && !flags.closed())
    return refuse("give --scores, --predictions or --answers: what is known of the suspect");
  if (!flags.transcripts.empty() && !flags.served())
    return refuse("--transcripts is looked at together with --scores");
  if (flags.scores == "-" && flags.transcripts == "-")
    return refuse("--scores and --transcripts: standard input can be one of them");
  if (flags.closed() && flags.reader.role != "assistant")
    return refuse("--role: the assistant's turns are the suspect's answers");
  const bool has_tuples = flags.open() || flags.closed();
  if (has_tuples && flags.tests.pairs.keys.size() != 1)
    return refuse("--predictions and --answers take one key, -k FILE");
  if (!has_tuples && !flags.tests.pairs.keys.empty())
    return refuse("-k is for --predictions and --answers: served answers need no key");
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
  if (!flags.transcripts.empty()) test.expect_log();
  if (!flags.transcripts.empty())
    COUNTERMARK_CHECK(read_all<text::TranscriptReader>(
        flags.transcripts, "transcripts", [&](const text::Transcript& transcript) -> Status {
          test.add(transcript);
          return {};
        }));
  return test.finish(audit.policy);
}

// One key under one profile; `shown` is scored nowhere.
Result<scan::Tests> load_test(const AuditFlags& flags, const std::vector<text::Document>& shown) {
  COUNTERMARK_TRY(scan::Tests tests, flags.tests.load(shown));
  if (tests.tests.size() != 1)
    return fail(ErrorCode::kInvalidArgument, "audit takes one profile, -p FILE");
  return tests;
}

// Progress of decoys, which come from several threads.
class Decoys {
 public:
  explicit Decoys(std::uint32_t count) : count_(count) {}

  void advance() {
    const std::scoped_lock lock(mutex_);
    if (!progress_) progress_.emplace("decoys", count_);
    progress_->advance();
  }

 private:
  std::uint32_t count_;
  std::mutex mutex_{};
  std::optional<Progress> progress_{};
};

Result<audit::TupleOptions> tuple_options(const AuditFlags& flags, Decoys& decoys) {
  audit::TupleOptions out;
  out.share_alpha = stats::PValue::from_decimal(flags.share_alpha);
  out.decoys = flags.decoys;
  COUNTERMARK_TRY(out.decoy_seed, from_hex("--decoy-seed", flags.decoy_seed));
  out.threads =
      flags.threads == 0 ? std::max(1U, std::thread::hardware_concurrency()) : flags.threads;
  out.decoy_done = [&decoys] { decoys.advance(); };
  return out;
}

Result<audit::TupleFinding> judge_open(const AuditFlags& flags, const scan::Tests& tests,
                                       const audit::Audit& audit) {
  Decoys decoys(flags.decoys);
  audit::OpenOptions options;
  COUNTERMARK_TRY(options.tuples, tuple_options(flags, decoys));
  Progress tokens("tokens", 2 * audit.predictions->rows);
  options.progress = [&](std::uint64_t more) { tokens.advance(more); };
  return audit::open_model(tests, flags.predictions, options, audit.policy);
}

Result<audit::TupleFinding> judge_closed(const AuditFlags& flags,
                                         const std::vector<std::string>& inputs,
                                         const scan::Tests& tests, const audit::Shown& shown,
                                         const audit::Audit& audit) {
  Decoys decoys(flags.decoys);
  audit::ClosedOptions options;
  options.inputs = inputs;
  options.reader = flags.reader;
  COUNTERMARK_TRY(options.tuples, tuple_options(flags, decoys));
  Progress answers("answers", shown.answers);
  std::uint64_t done = 0;
  options.progress = [&](std::uint64_t documents) {
    answers.advance(documents - done);
    done = documents;
  };
  return audit::closed_model(tests, shown, options, audit.policy);
}

// Both name the same test; the prompts belong to the answers alone.
Status judge_tuples(const AuditFlags& flags, scan::Tests& tests, audit::Audit& out) {
  if (flags.open()) {
    COUNTERMARK_TRY(const auto reader, audit::PredictionsReader::open(flags.predictions));
    out.predictions = reader.header();
    COUNTERMARK_TRY(tests, load_test(flags, {}));
    COUNTERMARK_TRY(out.open, judge_open(flags, tests, out));
  }
  if (flags.closed()) {
    COUNTERMARK_TRY(const auto inputs, text::expand_inputs(flags.answers));
    if (std::find(inputs.begin(), inputs.end(), "-") != inputs.end())
      return fail(ErrorCode::kInvalidArgument,
                  "--answers are read twice, first for their prompts: give files, not '-'");
    COUNTERMARK_TRY(const audit::Shown shown, audit::read_prompts(inputs, flags.reader));
    COUNTERMARK_TRY(tests, load_test(flags, shown.prompts));
    COUNTERMARK_TRY(out.closed, judge_closed(flags, inputs, tests, shown, out));
  }
  out.tests = &tests;
  return {};
}

int run(AuditFlags flags) {
  if (const Status ready = check(flags); !ready) return report(ready.error());
  audit::Audit out;
  // Equal parts: no plan says otherwise.
  const int parts = (flags.served() ? 1 : 0) + (flags.open() ? 1 : 0) + (flags.closed() ? 1 : 0);
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
  if (flags.open() || flags.closed())
    if (const Status judged = judge_tuples(flags, tests, out); !judged)
      return report(judged.error());
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
  app.add_option("--predictions", flags->predictions,
                 "What the suspect predicts while it reads a text (countermark.predictions/1)")
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
      "Unsupervised (--predictions or --answers, with -k and -p): whoever learned from marked "
      "text\n"
      "expects, and answers with, tuples of high score. The text that a suspect reads must not be\n"
      "marked; of its answers contexts that stand in any prompt are not scored.\n"
      "\nExamples:\n"
      "  countermark audit --scores scores.jsonl --transcripts served.jsonl\n"
      "  countermark audit -k 2026-11.key -p profile.json --answers answers.jsonl --json");
  return [flags] { return run(*flags); };
}

}  // namespace countermark::cli
