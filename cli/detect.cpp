// SPDX-License-Identifier: Apache-2.0
// detect: texts, one verdict each
#include <map>
#include <memory>

#include "cli/command.h"
#include "cli/progress.h"
#include "corpora/model_folder.h"
#include "verifier/detect/report.h"
#include "verifier/detect/run.h"
#include "verifier/io/load.h"

namespace countermark::cli {
namespace {

struct Flags {
  std::vector<std::string> inputs{};
  std::string key{};
  std::string profile{};
  std::string tokenizer{};
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
  Output output{};
};

// What --exit-status looks at.
struct Counts {
  std::uint64_t detected = 0;
  std::uint64_t no_verdict = 0;
  std::uint64_t bad = 0;
};

int status_of(const Counts& counts) {
  if (counts.detected > 0) return kDone;
  return counts.no_verdict > 0 ? kNoVerdict : kNotDetected;
}

// The detector and what it points to.
struct Session {
  std::unique_ptr<const text::Tokenizer> tokenizer;
  detect::Detector detector;
};

Result<Session> open_session(const Flags& flags) {
  const std::string profile_path =
      flags.profile.empty() ? corpora::model_folder() + "/profile.json" : flags.profile;
  COUNTERMARK_TRY(const EpochKey key, io::load_epoch_key(flags.key));
  COUNTERMARK_TRY(const Profile profile, io::load_profile(profile_path));
  COUNTERMARK_TRY(auto tokenizer,
                  io::load_tokenizer_of(profile.tokenizer(), profile_path, flags.tokenizer));
  detect::Claim claim = flags.claim;
  if (!flags.accounts.empty()) {
    COUNTERMARK_TRY(claim.accounts, io::load_lines(flags.accounts));
  }
  COUNTERMARK_TRY(const std::string seed, from_hex("--decoy-seed", flags.decoy_seed));
  detect::Policy policy;
  policy.alpha = stats::PValue::from_decimal(flags.alpha);
  COUNTERMARK_TRY(detect::Detector detector,
                  detect::Detector::create(key, profile, tokenizer.get(), std::move(claim), policy,
                                           flags.decoys, seed));
  return Session{std::move(tokenizer), std::move(detector)};
}

// Judges all inputs and adds the lines to `out`; an error ends it unless bad records are skipped.
Status judge_all(const Flags& flags, const detect::Detector& detector, std::string& out,
                 Counts& counts) {
  Progress progress("documents", 0);
  Status status;
  for (const std::string& input : flags.inputs) {
    COUNTERMARK_TRY(const auto reader, text::open_documents(input, flags.reader));
    detect::detect_documents(*reader, detector, flags.threads, [&](const detect::Outcome& outcome) {
      progress.advance();
      if (!outcome.detection) {
        ++counts.bad;
        if (!flags.skip_bad) status = fail(outcome.detection.error());
        if (flags.skip_bad) say("countermark: skipped: " + outcome.detection.error().describe());
        return flags.skip_bad;
      }
      const detect::Detection& detection = *outcome.detection;
      counts.detected += detection.verdict == detect::Verdict::kDetected ? 1 : 0;
      counts.no_verdict += detection.verdict == detect::Verdict::kInconclusive ||
                                   detection.verdict == detect::Verdict::kWithheld
                               ? 1
                               : 0;
      out += flags.json ? detect::to_json_line(detector, outcome.document, detection) + "\n"
                        : detect::to_text(detector, outcome.document, detection);
      return true;
    });
    if (!status) return status;
  }
  return status;
}

int run(const Flags& flags) {
  if (const Status ready = flags.output.check(); !ready) return report(ready.error());
  const auto session = open_session(flags);
  if (!session) return report(session.error());
  std::string out;
  Counts counts;
  const Status judged = judge_all(flags, session->detector, out, counts);
  if (!judged) return report(judged.error());
  if (const Status written = flags.output.write(out); !written) return report(written.error());
  if (counts.bad > 0) say("countermark: skipped " + std::to_string(counts.bad) + " bad records");
  return flags.exit_status ? status_of(counts) : kDone;
}

const std::map<std::string, text::Format> kFormats = {
    {"text", text::Format::kText}, {"jsonl", text::Format::kJsonl}, {"json", text::Format::kJson}};

}  // namespace

Run add_detect_command(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  app.add_option("input", flags->inputs, "Texts: .txt .jsonl .json, '-' for standard input")
      ->type_name("INPUT")
      ->required();
  app.add_option("-k,--key", flags->key, "Epoch key")->type_name("FILE")->required();
  app.add_option("-p,--profile", flags->profile, "Profile; default: the embedded model's")
      ->type_name("FILE");
  app.add_option("-t,--tokenizer", flags->tokenizer, "Tokenizer, if not where the profile says")
      ->type_name("FILE");
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
  app.add_option("--format", flags->reader.format, "text, jsonl or json; default: by the name")
      ->transform(CLI::CheckedTransformer(kFormats))
      ->type_name("NAME");
  app.add_option("--text-field", flags->reader.text_field, "Field of a record with the text, a.b.c")
      ->type_name("PATH");
  app.add_option("--ids-field", flags->reader.ids_field, "Field with token ids instead of text")
      ->type_name("NAME");
  app.add_option("--role", flags->reader.role, "Which turns of a conversation are judged")
      ->capture_default_str();
  app.add_option("--threads", flags->threads, "0: one a processor")->capture_default_str();
  app.add_flag("--skip-bad", flags->skip_bad, "Report records that cannot be read, and go on");
  app.add_flag("--json", flags->json, "One line of JSON a document (countermark.detect/1)");
  app.add_flag("--exit-status", flags->exit_status,
               "Exit 0 if any text is detected, else 5 (no verdict on some) or 10");
  flags->output.add_flags(app);
  app.footer(
      "\nThe first verdict says whether the text is the model's: by the shared layer or, with\n"
      "--account or --cohort, by one sum over all claimed layers. It names nobody: whether text\n"
      "was served to that account is said by the account's own layer, shown beside it.\n"
      "Not detected is not a proof of absence, and a text can be too short to tell.\n"
      "\nExamples:\n"
      "  countermark detect -k 2026-11.key -p profile.json --account alice answer.txt\n"
      "  countermark detect -k 2026-11.key -p profile.json --json --text-field output data.jsonl");
  return [flags] { return run(*flags); };
}

}  // namespace countermark::cli
