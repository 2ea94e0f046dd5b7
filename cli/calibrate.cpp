// SPDX-License-Identifier: Apache-2.0
// calibrate: a key on a clean corpus, or the error rates of this version
#include <algorithm>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "cli/command.h"
#include "cli/progress.h"
#include "cli/reader_flags.h"
#include "cli/scan_result.h"
#include "verifier/calibrate/report.h"
#include "verifier/text/inputs.h"

namespace countermark::cli {
namespace {

struct CalibrateFlags {
  ScanTestFlags test{};
  scan::ScanOptions scan{};
  std::uint32_t decoys = 200;
  std::string seed{};
  std::string plot{};
  bool is_study = false;
  calibrate::StudyOptions study{};
  unsigned threads = 0;
  bool json = false;
  bool exit_status = false;
  Output output{};
};

Status check(const CalibrateFlags& flags) {
  COUNTERMARK_CHECK(flags.output.check());
  if (flags.plot.empty()) return {};
  if (flags.is_study)
    return fail(ErrorCode::kInvalidArgument, "--plot is of a calibration, not of a study");
  return Output{flags.plot, flags.output.force}.check();
}

int status_of(calibrate::Fitness fitness) {
  switch (fitness) {
    case calibrate::Fitness::kFit:
      return kDone;
    case calibrate::Fitness::kKeyUnfit:
    case calibrate::Fitness::kCorpusUnfit:
      return kVerificationFailed;
    case calibrate::Fitness::kInconclusive:
      break;
  }
  return kNoVerdict;
}

Result<calibrate::Calibration> measure(const CalibrateFlags& flags, const scan::Tests& tests) {
  scan::ScanOptions options = flags.scan;
  options.threads = flags.threads;
  COUNTERMARK_TRY(options.inputs, text::expand_inputs(options.inputs));
  if (flags.decoys == 0) options.sample_tokens = 0;
  options.skipped = [](const Error& error) { say("countermark: skipped: " + error.describe()); };
  std::uint64_t shown = 0;
  Progress progress("documents", 0);
  options.progress = [&](std::uint64_t /*bytes*/, std::uint64_t documents) {
    progress.advance(documents - shown);
    shown = documents;
  };
  COUNTERMARK_TRY(auto scanned, scan::scan(tests, options));
  COUNTERMARK_TRY(calibrate::Calibration out, calibrate::measure(tests, *scanned, flags.threads));
  if (scanned->summary.sample.tokens() > 0) {
    COUNTERMARK_TRY(const std::string seed, from_hex("--seed", flags.seed));
    Progress decoys("decoys", flags.decoys);
    std::mutex mutex;
    calibrate::measure_decoys(
        tests, scanned->summary.sample, flags.decoys, seed, flags.threads,
        [&] {
          const std::lock_guard lock(mutex);
          decoys.advance();
        },
        out);
  }
  calibrate::judge(tests.tests.front()->null_model(), out);
  return out;
}

int run_calibration(const CalibrateFlags& flags, const scan::Tests& tests) {
  const auto calibration = measure(flags, tests);
  if (!calibration) return report(calibration.error());
  const scan::Test& test = *tests.tests.front();
  if (!flags.plot.empty()) {
    const Status drawn = Output{flags.plot, flags.output.force}.write(to_svg(test, *calibration));
    if (!drawn) return report(drawn.error());
  }
  const Status written =
      flags.output.write(flags.json ? to_json(test, flags.scan.inputs, *calibration) + "\n"
                                    : to_text(test, *calibration));
  if (!written) return report(written.error());
  return flags.exit_status ? status_of(calibration->fitness) : kDone;
}

Result<std::vector<calibrate::Cell>> measure_rates(const CalibrateFlags& flags,
                                                   const scan::Tests& tests,
                                                   const calibrate::StudyOptions& options) {
  COUNTERMARK_TRY(const std::vector<std::string> inputs, text::expand_inputs(flags.scan.inputs));
  std::vector<calibrate::Domain> domains;
  for (const std::string& input : inputs) {
    COUNTERMARK_TRY(
        calibrate::Domain domain,
        calibrate::read_domain(input, flags.scan.reader, tests.tokenizers.front().get(), options));
    domains.push_back(std::move(domain));
  }
  const std::uint64_t pieces = calibrate::pieces_of(domains, options);
  if (pieces == 0)
    return fail(ErrorCode::kInvalidInput, "no input has as many tokens as the shortest piece, " +
                                              std::to_string(calibrate::kLengths.front()));
  Progress progress("pieces", pieces);
  std::mutex mutex;
  return calibrate::study(*tests.tests.front(), domains, options, [&] {
    const std::lock_guard lock(mutex);
    progress.advance();
  });
}

int run_study(const CalibrateFlags& flags, const scan::Tests& tests) {
  calibrate::StudyOptions options = flags.study;
  options.threads = flags.threads;
  const auto seed = from_hex("--seed", flags.seed);
  if (!seed) return report(seed.error());
  options.seed = *seed;
  const auto cells = measure_rates(flags, tests, options);
  if (!cells) return report(cells.error());
  const scan::Test& test = *tests.tests.front();
  const Status written = flags.output.write(flags.json ? to_json(test, options, *cells) + "\n"
                                                       : to_text(test, options, *cells));
  return written ? kDone : report(written.error());
}

int run(CalibrateFlags flags) {
  if (const Status ready = check(flags); !ready) return report(ready.error());
  if (const auto seed = from_hex("--seed", flags.seed); !seed) return report(seed.error());
  if (flags.threads == 0) flags.threads = std::max(1U, std::thread::hardware_concurrency());
  const auto tests = flags.test.load();
  if (!tests) return report(tests.error());
  if (tests->tests.size() != 1)
    return report({ErrorCode::kInvalidArgument, "calibrate takes one key and one profile"});
  return flags.is_study ? run_study(flags, *tests) : run_calibration(flags, *tests);
}

}  // namespace

Run add_calibrate_command(CLI::App& app) {
  auto flags = std::make_shared<CalibrateFlags>();
  app.add_option("input", flags->scan.inputs, "Text that is not marked; files, folders, patterns")
      ->type_name("INPUT")
      ->required();
  flags->test.add_claim_flags(app);
  add_reader_flags(app, flags->scan.reader);
  app.add_flag("--skip-bad", flags->scan.skip_bad, "Report records that cannot be read, and go on");
  app.add_option("--decoys", flags->decoys, "Random keys beside the key; 0: none")
      ->capture_default_str()
      ->type_name("N")
      ->check(CLI::Range(0, 100'000));
  app.add_option("--plot", flags->plot, "Draw the p-values")->type_name("FILE.svg");
  auto* study = app.add_flag("--study", flags->is_study,
                             "Measure error rates under random keys; each input is a domain");
  app.add_option("--keys", flags->study.keys, "Of a study: keys for each piece of text")
      ->capture_default_str()
      ->type_name("N")
      ->needs(study)
      ->check(CLI::Range(1, 100'000));
  app.add_option("--pieces", flags->study.pieces, "Of a study: pieces of each length, at most")
      ->capture_default_str()
      ->type_name("N")
      ->needs(study)
      ->check(CLI::Range(1, 10'000));
  app.add_option("--seed", flags->seed, "What decoys and keys are drawn from")->type_name("HEX");
  app.add_option("--threads", flags->threads, "0: one a processor")->capture_default_str();
  app.add_flag("--json", flags->json,
               "One object of JSON (countermark.calibrate/1, countermark.calibration-study/1)");
  app.add_flag("--exit-status", flags->exit_status,
               "Exit 0 if key and corpus are fit, 1 if not, 5 if there is too little text");
  flags->output.add_flags(app);
  app.footer(
      "\nOn text that is not marked p-values must follow their law: calibrate counts them, for\n"
      "the key and for random ones. What fails for both is the corpus' fault; what fails for the\n"
      "key alone is the key's, or the text is marked.\n"
      "\nExamples:\n"
      "  countermark calibrate -k 2026-11.key -p profile.json --plot null.svg clean.jsonl\n"
      "  countermark calibrate -k 2026-11.key --study --json -o rates.json news.jsonl code.jsonl");
  return [flags] { return run(*flags); };
}

}  // namespace countermark::cli
