// SPDX-License-Identifier: Apache-2.0
// detect: texts, one verdict each
#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

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
  std::vector<std::string> keys{};
  std::vector<std::string> profiles{};
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
  bool as_published = false;
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

struct LoadedProfile {
  std::string path;
  AnyProfile profile;
  std::shared_ptr<const text::Tokenizer> tokenizer;
};

struct LoadedKey {
  std::string path;
  io::DetectionKey key;
};

// A pair of profile and key, if the profile's scheme takes keys of that kind.
using Pair = std::pair<const LoadedProfile*, const LoadedKey*>;

bool fits(const LoadedProfile& profile, const LoadedKey& key) {
  if (std::holds_alternative<Profile>(profile.profile))
    return std::holds_alternative<EpochKey>(key.key);
  const auto* foreign = std::get_if<ForeignKey>(&key.key);
  return foreign != nullptr &&
         ForeignMark::create(std::get<ForeignProfile>(profile.profile), *foreign).has_value();
}

Result<std::vector<LoadedProfile>> load_profiles(const Flags& flags) {
  std::vector<std::string> paths = flags.profiles;
  if (paths.empty()) paths.push_back(corpora::model_folder() + "/profile.json");
  std::vector<LoadedProfile> out;
  // Profiles of one tokenizer share it, and each text is tokenized once for them.
  std::map<std::string, std::shared_ptr<const text::Tokenizer>> tokenizers;
  for (const std::string& path : paths) {
    COUNTERMARK_TRY(AnyProfile profile, io::load_any_profile(path));
    const auto& reference = tokenizer_of(profile);
    const std::string digest = reference ? reference->sha256 : "";
    if (!tokenizers.contains(digest)) {
      COUNTERMARK_TRY(tokenizers[digest], io::load_tokenizer_of(reference, path, flags.tokenizer));
    }
    out.push_back({path, std::move(profile), tokenizers[digest]});
  }
  return out;
}

// Every key under every profile that takes it. None without a use: what was given would silently
// not be looked for.
Result<std::vector<Pair>> pair_up(const std::vector<LoadedProfile>& profiles,
                                  const std::vector<LoadedKey>& keys) {
  std::vector<Pair> out;
  for (const LoadedProfile& profile : profiles) {
    const std::size_t before = out.size();
    for (const LoadedKey& key : keys)
      if (fits(profile, key)) out.emplace_back(&profile, &key);
    if (out.size() > before) continue;
    // With one key the reason is the key's.
    if (keys.size() == 1) {
      const auto* foreign = std::get_if<ForeignKey>(&keys.front().key);
      const auto* scheme = std::get_if<ForeignProfile>(&profile.profile);
      Error error{ErrorCode::kKey, "is not a key of the scheme of " + profile.path};
      if (foreign != nullptr && scheme != nullptr)
        error = ForeignMark::create(*scheme, *foreign).error();
      return fail(std::move(error).in_file(keys.front().path));
    }
    return fail(Error{ErrorCode::kKey, "no key that was given is one of this profile's scheme",
                      profile.path});
  }
  for (const LoadedKey& key : keys)
    if (std::none_of(out.begin(), out.end(), [&](const Pair& pair) { return pair.second == &key; }))
      return fail(
          Error{ErrorCode::kKey, "no profile that was given has a scheme for this key", key.path});
  return out;
}

Result<detect::AnyDetector> make_detector(const Flags& flags, const Pair& pair,
                                          const detect::Policy& policy, const std::string& seed) {
  const auto& [loaded, key] = pair;
  if (const auto* foreign = std::get_if<ForeignProfile>(&loaded->profile)) {
    if (!flags.claim.account.empty() || !flags.claim.cohort.empty() || !flags.accounts.empty())
      return fail(Error{ErrorCode::kInvalidArgument,
                        std::string(foreign->scheme().id) +
                            " has no accounts: leave out --account, --accounts and --cohort",
                        loaded->path});
    COUNTERMARK_TRY(
        detect::ForeignDetector detector,
        detect::ForeignDetector::create(std::get<ForeignKey>(key->key), *foreign, policy,
                                        flags.decoys, seed, flags.as_published));
    return detect::AnyDetector(std::move(detector));
  }
  detect::Claim claim = flags.claim;
  if (!flags.accounts.empty()) {
    COUNTERMARK_TRY(claim.accounts, io::load_lines(flags.accounts));
  }
  COUNTERMARK_TRY(detect::Detector detector,
                  detect::Detector::create(
                      std::get<EpochKey>(key->key), std::get<Profile>(loaded->profile),
                      loaded->tokenizer.get(), std::move(claim), policy, flags.decoys, seed));
  return detect::AnyDetector(std::move(detector));
}

Result<detect::Panel> open_panel(const Flags& flags) {
  std::vector<LoadedKey> keys;
  for (const std::string& path : flags.keys) {
    COUNTERMARK_TRY(io::DetectionKey key, io::load_detection_key(path));
    keys.push_back({path, std::move(key)});
  }
  COUNTERMARK_TRY(const std::vector<LoadedProfile> profiles, load_profiles(flags));
  COUNTERMARK_TRY(const std::vector<Pair> pairs, pair_up(profiles, keys));
  COUNTERMARK_TRY(const std::string seed, from_hex("--decoy-seed", flags.decoy_seed));
  detect::Policy policy;
  policy.alpha = stats::PValue::from_decimal(flags.alpha);
  policy.tests = pairs.size();
  std::vector<detect::Panel::Test> tests;
  for (const Pair& pair : pairs) {
    COUNTERMARK_TRY(detect::AnyDetector detector, make_detector(flags, pair, policy, seed));
    tests.push_back({std::move(detector), pair.first->tokenizer});
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
Status judge_all(const Flags& flags, const detect::Panel& panel, std::string& out, Counts& counts) {
  Progress progress("documents", 0);
  Status status;
  const std::vector<detect::Subject> subjects = panel.subjects();
  bool hinted = false;
  for (const std::string& input : flags.inputs) {
    COUNTERMARK_TRY(const auto reader, text::open_documents(input, flags.reader));
    detect::detect_documents(*reader, panel, flags.threads, [&](const detect::Outcome& outcome) {
      progress.advance();
      if (!outcome.detections) {
        ++counts.bad;
        if (!flags.skip_bad) status = fail(outcome.detections.error());
        if (flags.skip_bad) say("countermark: skipped: " + outcome.detections.error().describe());
        return flags.skip_bad;
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

int run(const Flags& flags) {
  if (const Status ready = flags.output.check(); !ready) return report(ready.error());
  const auto panel = open_panel(flags);
  if (!panel) return report(panel.error());
  std::string out;
  Counts counts;
  const Status judged = judge_all(flags, *panel, out, counts);
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
  app.add_option("-k,--key", flags->keys, "Epoch key, or a key of another system; may be repeated")
      ->type_name("FILE")
      ->allow_extra_args(false)
      ->required();
  app.add_option("-p,--profile", flags->profiles,
                 "Profile; may be repeated; default: the embedded model's")
      ->type_name("FILE")
      ->allow_extra_args(false);
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
  app.add_flag("--as-published", flags->as_published,
               "Show what another system's own detector would print; never used by the verdict");
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
      "\nExamples:\n"
      "  countermark detect -k 2026-11.key -p profile.json --account alice answer.txt\n"
      "  countermark detect -k 2026-11.key -p profile.json --json --text-field output data.jsonl");
  return [flags] { return run(*flags); };
}

}  // namespace countermark::cli
