// SPDX-License-Identifier: Apache-2.0
// detect: texts, one verdict each
#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "cli/command.h"
#include "cli/pairs.h"
#include "cli/progress.h"
#include "cli/reader_flags.h"
#include "cli/scan_result.h"
#include "verifier/detect/report.h"
#include "verifier/detect/run.h"
#include "verifier/io/load.h"
#include "verifier/render/heat_map.h"
#include "verifier/scan/close_up.h"
#include "verifier/text/inputs.h"

namespace countermark::cli {
namespace {

struct DetectFlags {
  std::vector<std::string> inputs{};
  PairFlags pairs{};
  std::string accounts{};
  detect::Claim claim{};
  double alpha = 1e-6;
  std::uint32_t decoys = 0;
  std::string decoy_seed{};
  text::ReaderOptions reader{};
  unsigned threads = 0;
  bool json = false;
  bool exit_status = false;
  bool skip_bad = false;
  bool as_published = false;
  std::string html{};
  Output output{};
};

// What --exit-status looks at, and --html.
struct Counts {
  std::uint64_t documents = 0;
  text::Document last{};
  detect::Detection last_detection{};
  std::uint64_t detected = 0;
  std::uint64_t no_verdict = 0;
  std::uint64_t bad = 0;
};

int status_of(const Counts& counts) {
  if (counts.detected > 0) return kDone;
  return counts.no_verdict > 0 ? kNoVerdict : kNotDetected;
}

Result<detect::AnyDetector> make_detector(const DetectFlags& flags, const Pair& pair,
                                          const detect::Policy& policy, const std::string& seed) {
  if (const auto* foreign = std::get_if<ForeignProfile>(&pair.profile)) {
    if (!flags.claim.account.empty() || !flags.claim.cohort.empty() || !flags.accounts.empty())
      return fail(Error{ErrorCode::kInvalidArgument,
                        std::string(foreign->scheme().id) +
                            " has no accounts: leave out --account, --accounts and --cohort",
                        pair.profile_path});
    COUNTERMARK_TRY(
        detect::ForeignDetector detector,
        detect::ForeignDetector::create(std::get<ForeignKey>(pair.key), *foreign, policy,
                                        flags.decoys, seed, flags.as_published));
    return detect::AnyDetector(std::move(detector));
  }
  detect::Claim claim = flags.claim;
  if (!flags.accounts.empty()) {
    COUNTERMARK_TRY(claim.accounts, io::load_lines(flags.accounts));
  }
  COUNTERMARK_TRY(
      detect::Detector detector,
      detect::Detector::create(std::get<EpochKey>(pair.key), std::get<Profile>(pair.profile),
                               pair.tokenizer.get(), std::move(claim), policy, flags.decoys, seed));
  return detect::AnyDetector(std::move(detector));
}

Result<detect::Panel> open_panel(const DetectFlags& flags) {
  COUNTERMARK_TRY(const std::vector<Pair> pairs, load_pairs(flags.pairs));
  COUNTERMARK_TRY(const std::string seed, from_hex("--decoy-seed", flags.decoy_seed));
  detect::Policy policy;
  policy.alpha = stats::PValue::from_decimal(flags.alpha);
  policy.tests = pairs.size();
  std::vector<detect::Panel::Test> tests;
  for (const Pair& pair : pairs) {
    COUNTERMARK_TRY(detect::AnyDetector detector, make_detector(flags, pair, policy, seed));
    tests.push_back({std::move(detector), pair.tokenizer});
  }
  return detect::Panel(std::move(tests));
}

// What the verdicts of a model need, once.
void hint_at_decoys(const std::vector<detect::Detection>& detections, bool& said) {
  for (const detect::Detection& detection : detections)
    for (const std::string& reason : detection.reasons)
      if (reason == "too-few-decoys" && !said) {
        said = true;
        say("countermark: this scheme's law is only a model, so the key's rank among decoys "
            "decides: alpha needs at least 1 / alpha of them (--alpha 1e-3 --decoys 1000, or "
            "--decoys 1000000 for 1e-6)");
      }
}

// Judges all inputs and adds the lines to `out`; an error ends it unless bad records are skipped.
Status judge_all(const DetectFlags& flags, const detect::Panel& panel, std::string& out,
                 Counts& counts) {
  Progress progress("documents", 0);
  Status status;
  const std::vector<detect::Subject>& subjects = panel.subjects();
  bool hinted = false;
  COUNTERMARK_TRY(const std::vector<std::string> inputs, text::expand_inputs(flags.inputs));
  for (const std::string& input : inputs) {
    COUNTERMARK_TRY(const auto reader, text::open_documents(input, flags.reader));
    detect::detect_documents(*reader, panel, flags.threads, [&](const detect::Outcome& outcome) {
      progress.advance();
      if (!outcome.detections) {
        // A file that cannot be read on is more than a bad record.
        const bool skip = flags.skip_bad && !outcome.is_broken;
        counts.bad += skip ? 1 : 0;
        if (skip) {
          say("countermark: skipped: " + outcome.detections.error().describe());
        } else {
          status = fail(outcome.detections.error());
        }
        return skip;
      }
      if (!flags.html.empty()) {
        ++counts.documents;
        counts.last = outcome.document;
        counts.last_detection = outcome.detections->front();
      }
      for (std::size_t i = 0; i < subjects.size(); ++i) {
        const detect::Detection& detection = (*outcome.detections)[i];
        counts.detected += detection.verdict == detect::Verdict::kDetected ? 1 : 0;
        counts.no_verdict += detection.verdict == detect::Verdict::kInconclusive ||
                                     detection.verdict == detect::Verdict::kWithheld
                                 ? 1
                                 : 0;
        const detect::Entry entry{subjects, i, detection};
        out += flags.json ? detect::to_json_line(outcome.document, entry) + "\n"
                          : detect::to_text(outcome.document, entry);
      }
      hint_at_decoys(*outcome.detections, hinted);
      return true;
    });
    if (!status) return status;
  }
  return status;
}

Status check(const DetectFlags& flags) {
  COUNTERMARK_CHECK(flags.output.check());
  if (flags.html.empty()) return {};
  if (!flags.accounts.empty())
    return fail(ErrorCode::kInvalidArgument, "--html shows one claim: use --account");
  return Output{flags.html, flags.output.force}.check();
}

// The one document under the one test, token by token.
Result<std::string> heat_map(const DetectFlags& flags, const Counts& counts) {
  if (counts.documents != 1)
    return fail(ErrorCode::kInvalidArgument,
                "--html takes one document, and there are " + std::to_string(counts.documents));
  COUNTERMARK_TRY(
      const scan::Tests tests,
      (ScanTestFlags{flags.pairs, flags.claim.account, flags.claim.cohort, flags.alpha}.load()));
  if (tests.tests.size() != 1)
    return fail(ErrorCode::kInvalidArgument, "--html takes one key and one profile");
  if (tests.tokenizers.front() == nullptr)
    return fail(ErrorCode::kInvalidArgument,
                "--html needs a tokenizer, which the profile does not have");
  COUNTERMARK_TRY(const render::HeatMap map,
                  scan::close_up(counts.last, *tests.tokenizers.front(), *tests.tests.front(),
                                 counts.last_detection));
  return render::to_html(map);
}

int run(const DetectFlags& flags) {
  if (const Status ready = check(flags); !ready) return report(ready.error());
  const auto panel = open_panel(flags);
  if (!panel) return report(panel.error());
  std::string out;
  Counts counts;
  const Status judged = judge_all(flags, *panel, out, counts);
  if (!judged) return report(judged.error());
  if (!flags.html.empty()) {
    const auto html = heat_map(flags, counts);
    if (!html) return report(html.error());
    const Status drawn = Output{flags.html, flags.output.force}.write(*html);
    if (!drawn) return report(drawn.error());
  }
  if (const Status written = flags.output.write(out); !written) return report(written.error());
  if (counts.bad > 0) say("countermark: skipped " + std::to_string(counts.bad) + " bad records");
  return flags.exit_status ? status_of(counts) : kDone;
}

}  // namespace

Run add_detect_command(CLI::App& app) {
  auto flags = std::make_shared<DetectFlags>();
  app.add_option("input", flags->inputs,
                 "Texts: .txt .jsonl .json .csv .tsv .parquet, folders, \"*\" patterns, '-'")
      ->type_name("INPUT")
      ->required();
  flags->pairs.add_flags(app);
  auto* account = app.add_option("--account", flags->claim.account, "Claimed account");
  account->type_name("ID");
  app.add_option("--accounts", flags->accounts, "Search these accounts, one a line")
      ->type_name("FILE")
      ->excludes(account);
  app.add_option("--cohort", flags->claim.cohort, "Claimed cohort")->type_name("ID");
  app.add_option("--alpha", flags->alpha, "Largest p-value that counts as detected")
      ->capture_default_str()
      ->check(CLI::Range(1e-300, 0.5));
  app.add_option("--decoys", flags->decoys, "Show the key's rank among N random keys")
      ->capture_default_str()
      ->type_name("N")
      ->check(CLI::Range(0, 1'000'000));
  app.add_option("--decoy-seed", flags->decoy_seed, "Seed of the decoys, chosen by the other side")
      ->type_name("HEX");
  add_reader_flags(app, flags->reader);
  app.add_option("--threads", flags->threads, "0: one a processor")->capture_default_str();
  app.add_flag("--skip-bad", flags->skip_bad, "Report records that cannot be read, and go on");
  app.add_flag("--as-published", flags->as_published,
               "Show what another system's own detector would print; never used by the verdict");
  app.add_option("--html", flags->html, "Of one document: its tokens' scores and marked spans")
      ->type_name("FILE");
  app.add_flag("--json", flags->json, "One line of JSON a document (countermark.detect/1)");
  app.add_flag("--exit-status", flags->exit_status,
               "Exit 0 if any text is detected, else 5 (no verdict on some) or 10");
  flags->output.add_flags(app);
  app.footer(
      "\nThe first verdict says whether the text is the model's: by the shared layer or, with\n"
      "--account or --cohort, by one sum over all claimed layers. It names nobody: whether text\n"
      "was served to that account is said by the account's own layer, shown beside it.\n"
      "Not detected is not a proof of absence, and a text can be too short to tell.\n"
      "\nWith several -k and -p, every key is tried under every profile that takes it, a line for\n"
      "each, and all p-values are corrected for all of them. Of other systems' marks "
      "(docs/marks.md)\n"
      "many have a law that is only a model; there the rank among --decoys decides.\n"
      "\nInputs may end in .gz or .zst, too. '-' is standard input. Parquet takes python3 with "
      "the\n"
      "package: pip install 'countermark[parquet]'. Bad records: --skip-bad (docs/formats.md).\n"
      "\nExamples:\n"
      "  countermark detect -k 2026-11.key -p profile.json --account alice answer.txt\n"
      "  countermark detect -k 2026-11.key -p profile.json --json --text-field output data.jsonl");
  return [flags] { return run(*flags); };
}

}  // namespace countermark::cli
