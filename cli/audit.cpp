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
#include "verifier/audit/plan.h"
#include "verifier/audit/report.h"
#include "verifier/io/file.h"
#include "watermark/prf/hash.h"

namespace countermark::cli {
namespace {

// Far beyond any plan.
constexpr std::uint64_t kLongestPlan = std::uint64_t{1} << 24;

struct AuditFlags {
  std::string plan{};
  audit::Inputs inputs{};
  ScanTestFlags tests{};
  std::string looks{};
  std::string ledger{};
  std::string plot{};
  double power = 0.9;
  double share_alpha = 0.01;
  std::uint32_t decoys = 1000;
  std::string decoy_seed{};
  unsigned threads = 0;
  bool json = false;
  bool exit_status = false;
  Output output{};
};

Status check(const AuditFlags& flags) {
  COUNTERMARK_CHECK(flags.output.check());
  if (!flags.plot.empty()) COUNTERMARK_CHECK((Output{flags.plot, flags.output.force}.check()));
  const auto refuse = [](const char* message) {
    return fail(ErrorCode::kInvalidArgument, message);
  };
  const audit::Inputs& inputs = flags.inputs;
  const auto allowed = [&](auto of) {
    return std::any_of(audit::kTestKinds.begin(), audit::kTestKinds.end(),
                       [&](audit::TestKind kind) { return of(kind) && inputs.allow(kind); });
  };
  if (!inputs.log_predictions.empty() && inputs.transcripts.empty())
    return refuse("--log-predictions need --transcripts: which answers were read");
  if (!allowed([](audit::TestKind /*kind*/) { return true; }))
    return refuse(
        "give --scores, --predictions, --marked-predictions, --log-predictions or --answers: what "
        "is known of the suspect");
  if (!inputs.transcripts.empty() && inputs.scores.empty() && inputs.log_predictions.empty() &&
      inputs.answers.empty())
    return refuse("--transcripts are looked at with --scores, --log-predictions or --answers");
  if (inputs.transcripts == "-")
    return refuse("--transcripts are read by several tests: give a file, not '-'");
  if (!flags.looks.empty() && inputs.answers.empty())
    return refuse("--looks keeps looks at --answers");
  if (!inputs.answers.empty() && inputs.reader.role != "assistant")
    return refuse("--role: the assistant's turns are the suspect's answers");
  const bool needs_key = allowed(audit::has_tuples);
  if (needs_key && flags.tests.pairs.keys.size() != 1)
    return refuse("predictions and answers take one key, -k FILE");
  if (!needs_key && !flags.tests.pairs.keys.empty())
    return refuse("-k is for predictions and answers: served answers need no key");
  return {};
}

// Progress of one stage after the other, advanced from several threads.
audit::AuditOptions::Advance stage(const char* unit, std::uint64_t total) {
  struct Stage {
    std::mutex mutex{};
    Progress progress;
    Stage(const char* of, std::uint64_t count) : progress(of, count) {}
  };
  return [shared = std::make_shared<Stage>(unit, total)](std::uint64_t more) {
    const std::scoped_lock lock(shared->mutex);
    shared->progress.advance(more);
  };
}

// What was given twice must be the same.
template <typename T>
Status settle(const CLI::App& app, const char* flag, const T& plans, T& given) {
  if (app.count(flag) > 0 && given != plans)
    return fail(ErrorCode::kInvalidArgument, std::string(flag) + " is not what the plan says");
  given = plans;
  return {};
}

// Reads the plan and takes from it what it fixes.
Result<std::optional<audit::Plan>> load_plan(const CLI::App& app, AuditFlags& flags) {
  if (flags.plan.empty()) return std::nullopt;
  COUNTERMARK_TRY(const std::string bytes, io::read_file(flags.plan, kLongestPlan));
  auto plan = audit::parse_plan(bytes);
  if (!plan) return fail(std::move(plan).error().in_file(flags.plan));
  COUNTERMARK_TRY(const std::string seed, from_hex("--decoy-seed", flags.decoy_seed));
  std::string given_seed = to_hex(as_bytes(seed));
  COUNTERMARK_CHECK(settle(app, "--alpha", plan->alpha, flags.tests.alpha));
  COUNTERMARK_CHECK(settle(app, "--power", plan->power, flags.power));
  COUNTERMARK_CHECK(settle(app, "--account", plan->account.value_or(""), flags.tests.account));
  COUNTERMARK_CHECK(settle(app, "--cohort", plan->cohort.value_or(""), flags.tests.cohort));
  COUNTERMARK_CHECK(settle(app, "--decoys", plan->decoys, flags.decoys));
  COUNTERMARK_CHECK(settle(app, "--decoy-seed", plan->decoy_seed, given_seed));
  flags.decoy_seed = plan->decoy_seed;
  return *std::move(plan);
}

Result<audit::AuditOptions> options_of(const AuditFlags& flags, std::optional<audit::Plan> plan) {
  audit::AuditOptions out;
  out.plan = std::move(plan);
  out.quoted = flags.tests.quoted;
  out.inputs = flags.inputs;
  out.alpha = stats::PValue::from_decimal(flags.tests.alpha);
  out.power = flags.power;
  out.account = flags.tests.account;
  out.cohort = flags.tests.cohort;
  out.looks = flags.looks;
  out.ledger = flags.ledger;
  out.tuples.share_alpha = stats::PValue::from_decimal(flags.share_alpha);
  out.tuples.decoys = flags.decoys;
  COUNTERMARK_TRY(out.tuples.decoy_seed, from_hex("--decoy-seed", flags.decoy_seed));
  out.tuples.threads =
      flags.threads == 0 ? std::max(1U, std::thread::hardware_concurrency()) : flags.threads;
  out.load = [&flags](stats::PValue alpha, const std::vector<text::Document>& shown) {
    return flags.tests.load(shown, alpha);
  };
  out.stage = stage;
  return out;
}

int run(const CLI::App& app, AuditFlags flags) {
  if (const Status ready = check(flags); !ready) return report(ready.error());
  auto plan = load_plan(app, flags);
  if (!plan) return report(plan.error());
  const auto options = options_of(flags, *std::move(plan));
  if (!options) return report(options.error());
  const auto found = audit::audit(*options);
  if (!found) return report(found.error());
  const Status written = flags.output.write(flags.json ? to_json(*found) + "\n" : to_text(*found));
  if (!written) return report(written.error());
  // Behind the result, so that it is not lost where there is nothing to draw.
  if (!flags.plot.empty()) {
    const std::string drawn = to_svg(*found);
    if (drawn.empty())
      return report(Error{ErrorCode::kInvalidArgument,
                          "--plot: no decoys, no bet and no ranks are there to be drawn"});
    if (const Status kept = Output{flags.plot, flags.output.force}.write(drawn); !kept)
      return report(kept.error());
  }
  if (!flags.exit_status) return kDone;
  switch (verdict_of(*found)) {
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
  app.add_option("--plan", flags->plan, "Analysis fixed beforehand (countermark.plan/1)")
      ->type_name("FILE");
  app.add_option("--scores", flags->inputs.scores,
                 "How the suspect rates served answers and regenerations (countermark.scores/1)")
      ->type_name("FILE");
  app.add_option("--transcripts", flags->inputs.transcripts,
                 "What was served (countermark.transcript/1)")
      ->type_name("FILE");
  app.add_option("--predictions", flags->inputs.predictions,
                 "What it predicts while it reads unmarked text (countermark.predictions/1)")
      ->type_name("FILE");
  app.add_option("--marked-predictions", flags->inputs.marked_predictions,
                 "What it predicts while it reads text that is marked under the key")
      ->type_name("FILE");
  app.add_option("--log-predictions", flags->inputs.log_predictions,
                 "What it predicts while it reads answers of --transcripts")
      ->type_name("FILE");
  app.add_option("--answers", flags->inputs.answers,
                 "What the suspect answered, with its prompts (countermark.answers/1 and others)")
      ->type_name("INPUT");
  app.add_option("--looks", flags->looks,
                 "Answers keep coming: judge them alone, by a bet, and keep this look here")
      ->type_name("FILE");
  app.add_option("--ledger", flags->ledger,
                 "All analyses of this suspect: enter this one, and let it pay for those before")
      ->type_name("FILE");
  flags->tests.add_claim_flags(app, false);
  app.get_option("--key")->description("Epoch key, or a key of another system");
  app.get_option("--profile")->description("Profile; default: the embedded model's");
  app.add_option("--quoted", flags->tests.quoted,
                 "Other works that the suspect may quote: contexts in them are not scored")
      ->type_name("INPUT");
  add_reader_flags(app, flags->inputs.reader);
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
  app.add_option("--plot", flags->plot, "Draw ranks, bets, and keys among decoys")
      ->type_name("FILE.svg");
  flags->output.add_flags(app);
  app.footer(
      "\nServed responses (--scores): the suspect rates what the log says was served, and other\n"
      "answers of the same model to the same prompts, which nobody was given. A model that was\n"
      "trained on the served ones knows them. No mark and no key are needed.\n"
      "Unsupervised (--predictions or --answers, with -k and -p): whoever learned from marked "
      "text\n"
      "expects, and answers with, tuples of high score. Text behind --predictions must not be\n"
      "marked; of its answers contexts that stand in any prompt are not scored.\n"
      "Marked text (--marked-predictions, or --log-predictions and --answers with --transcripts):\n"
      "each context counts once, in a fixed order, so that a suspect that copies is not accused.\n"
      "With --plan (countermark plan -o) nothing is done but what it fixed, and the result has a "
      "level.\n"
      "\nExamples:\n"
      "  countermark audit --scores scores.jsonl --transcripts served.jsonl\n"
      "  countermark audit -k 2026-11.key -p profile.json --answers answers.jsonl --json");
  return [flags, &app] { return run(app, *flags); };
}

}  // namespace countermark::cli
