// SPDX-License-Identifier: Apache-2.0
// plan: how much an audit needs, and the analysis fixed beforehand.
#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <optional>
#include <utility>

#include "cli/command.h"
#include "corpora/model_folder.h"
#include "verifier/audit/needs.h"
#include "verifier/audit/plan.h"
#include "verifier/audit/plannable.h"
#include "verifier/detect/report_parts.h"
#include "verifier/io/digest.h"
#include "verifier/io/load.h"
#include "verifier/text/inputs.h"

namespace countermark::cli {
namespace {

struct PlanFlags {
  double alpha = 1e-6;
  double power = 0.9;
  std::vector<std::string> tests{};
  std::vector<double> shares = {0.1, 1, 5, 10, 50, 100};  // percent
  std::optional<double> effect{};
  std::optional<std::uint64_t> tuples{};
  std::optional<std::uint64_t> prompts{};
  std::uint64_t regenerations = 4;
  std::string profile{};
  std::string key{};
  std::string key_id{};
  std::string account{};
  std::string cohort{};
  std::uint32_t decoys = 1000;
  std::string decoy_seed{};
  std::string reading{};
  std::string marked_reading{};
  std::string prompts_file{};
  std::string transcripts{};
  std::vector<std::string> quoted{};
  std::string suspect{};
  std::string note{};
  Output output{};

  bool writes_plan() const { return !output.path.empty(); }
};

// Flags that say nothing without -o.
constexpr const char* kOfPlan[] = {
    "--key",        "--key-id",  "--account",        "--cohort",       "--decoys",
    "--decoy-seed", "--reading", "--marked-reading", "--prompts-file", "--transcripts",
    "--quoted",     "--suspect", "--note",           "--force"};

tl::unexpected<Error> refuse(std::string message) {
  return fail(ErrorCode::kInvalidArgument, std::move(message));
}

std::string known_tests() {
  std::vector<std::string> names;
  for (const audit::Plannable& kind : audit::plannable_tests()) names.emplace_back(kind.name);
  return detect::joined(names);
}

// "NAME[=ALPHA][:TUPLES]"; alpha 0: an equal part of what others leave.
Result<audit::PlannedTest> parse_test(const std::string& text) {
  const auto malformed = [&] {
    return refuse("--test takes NAME[=ALPHA][:TUPLES], as in supervised-closed=5e-7:200000, not '" +
                  text + "'; it knows " + known_tests());
  };
  const std::size_t colon = std::min(text.find(':'), text.size());
  const std::size_t equals = std::min(text.find('='), colon);
  audit::PlannedTest out;
  out.name = text.substr(0, equals);
  const audit::Plannable* const kind = audit::find_plannable(out.name);
  if (kind == nullptr) return malformed();
  const char* const begin = text.data();
  if (equals < colon) {
    const auto [end, error] = std::from_chars(begin + equals + 1, begin + colon, out.alpha);
    if (error != std::errc() || end != begin + colon || !(out.alpha > 0)) return malformed();
  }
  if (colon == text.size()) return out;
  if (!kind->fixes_tuples) return refuse("--test: " + out.name + " counts every tuple there is");
  std::uint64_t tuples = 0;
  const auto [end, error] = std::from_chars(begin + colon + 1, begin + text.size(), tuples);
  if (error != std::errc() || end != begin + text.size() || tuples == 0) return malformed();
  out.tuples = tuples;
  return out;
}

// An equal part, to six digits: the parts must not come to more than the whole.
double equal_part(double whole, std::size_t parts) {
  const auto size = static_cast<double>(parts);
  for (double part = whole / size;; part *= 1 - 2e-6) {
    std::array<char, 32> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), part,
                                   std::chars_format::scientific, 5);
    double shortened = 0;
    std::from_chars(digits.data(), end.ptr, shortened);
    if (shortened * size <= whole * (1 + 1e-12)) return shortened;
  }
}

Result<std::vector<audit::PlannedTest>> parse_tests(const PlanFlags& flags) {
  std::vector<audit::PlannedTest> out;
  double left = flags.alpha;
  std::size_t without = 0;
  for (const std::string& text : flags.tests) {
    COUNTERMARK_TRY(audit::PlannedTest test, parse_test(text));
    left -= test.alpha;
    without += test.alpha == 0 ? 1U : 0U;
    out.push_back(std::move(test));
  }
  if (without > 0 && !(left > 0)) return refuse("--test: the parts given leave nothing of --alpha");
  for (audit::PlannedTest& test : out)
    if (test.alpha == 0) test.alpha = equal_part(left, without);
  return out;
}

Result<std::optional<std::string>> digest_of_file(const std::string& path) {
  if (path.empty()) return std::nullopt;
  COUNTERMARK_TRY(std::string digest, io::sha256_of_file(path));
  return digest;
}

Result<std::vector<std::string>> digests_of_works(const std::vector<std::string>& quoted) {
  std::vector<std::string> out;
  if (quoted.empty()) return out;
  COUNTERMARK_TRY(const std::vector<std::string> inputs, text::expand_inputs(quoted));
  for (const std::string& input : inputs) {
    COUNTERMARK_TRY(std::string digest, io::sha256_of_file(input));
    out.push_back(std::move(digest));
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

Result<std::optional<std::string>> key_id_of(const PlanFlags& flags) {
  if (!flags.key_id.empty()) return flags.key_id;
  if (flags.key.empty()) return std::nullopt;
  COUNTERMARK_TRY(const io::DetectionKey key, io::load_detection_key(flags.key));
  if (const auto* epoch = std::get_if<EpochKey>(&key)) return epoch->key_id();
  const std::string name = std::get<ForeignKey>(key).name();
  if (name.empty())
    return fail(
        Error{ErrorCode::kKey, "has no name to plan with: a line #id:NAME gives one", flags.key});
  return name;
}

std::optional<std::string> if_given(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

bool needs_key(const std::vector<audit::PlannedTest>& tests) {
  return std::any_of(tests.begin(), tests.end(), [](const audit::PlannedTest& test) {
    return audit::find_plannable(test.name)->needs_key;
  });
}

Result<std::optional<AnyProfile>> profile_of(const PlanFlags& flags, bool is_needed) {
  if (flags.profile.empty() && !is_needed) return std::nullopt;
  const std::string path =
      flags.profile.empty() ? corpora::model_folder() + "/profile.json" : flags.profile;
  COUNTERMARK_TRY(AnyProfile profile, io::load_any_profile(path));
  return profile;
}

Result<audit::Plan> make_plan(const PlanFlags& flags, std::vector<audit::PlannedTest> tests,
                              const std::optional<AnyProfile>& profile) {
  audit::Plan out;
  out.alpha = flags.alpha;
  out.power = flags.power;
  out.tests = std::move(tests);
  if (profile) out.profile = countermark::digest_of(*profile);
  COUNTERMARK_TRY(out.key_id, key_id_of(flags));
  out.account = if_given(flags.account);
  out.cohort = if_given(flags.cohort);
  out.decoys = flags.decoys;
  COUNTERMARK_TRY(const std::string seed, from_hex("--decoy-seed", flags.decoy_seed));
  out.decoy_seed = to_hex(as_bytes(seed));
  COUNTERMARK_TRY(out.inputs.reading, digest_of_file(flags.reading));
  COUNTERMARK_TRY(out.inputs.marked_reading, digest_of_file(flags.marked_reading));
  COUNTERMARK_TRY(out.inputs.prompts, digest_of_file(flags.prompts_file));
  COUNTERMARK_TRY(out.inputs.transcripts, digest_of_file(flags.transcripts));
  COUNTERMARK_TRY(out.inputs.quoted, digests_of_works(flags.quoted));
  out.suspect = if_given(flags.suspect);
  out.note = if_given(flags.note);
  COUNTERMARK_CHECK(audit::check_plan(out));
  return out;
}

// Green tokens of a profile, where it has them.
std::optional<audit::Scale> green_of(const std::optional<AnyProfile>& profile) {
  if (!profile) return std::nullopt;
  const auto* const foreign = std::get_if<ForeignProfile>(&*profile);
  if (foreign == nullptr || !foreign->scheme().has(Field::kGamma)) return std::nullopt;
  return audit::Scale{foreign->parameters().gamma.numerator,
                      foreign->parameters().gamma.denominator};
}

Result<audit::Needs> needs_of(const PlanFlags& flags, const std::vector<audit::PlannedTest>& tests,
                              const std::optional<AnyProfile>& profile) {
  audit::Needs out;
  for (const audit::PlannedTest& test : tests) out.tests.push_back({test.name, test.alpha});
  if (tests.empty())
    for (const audit::Plannable& kind : audit::plannable_tests())
      out.tests.push_back({std::string(kind.name), flags.alpha});
  out.power = flags.power;
  for (const double share : flags.shares) out.shares.push_back(share / 100);
  out.tuples = flags.tuples;
  out.prompts = flags.prompts;
  out.regenerations = flags.regenerations;
  out.effect = flags.effect;
  out.green = green_of(profile);
  if (out.effect && !audit::has_effect(out))
    return refuse(
        "--effect takes a mean score above 1, how often a served answer is above a regeneration "
        "(.5 to 1), or a green share above the gamma of -p, of a test that is planned");
  return out;
}

int run(const PlanFlags& flags) {
  if (const Status ready = flags.output.check(); !ready) return report(ready.error());
  auto tests = parse_tests(flags);
  if (!tests) return report(tests.error());
  if (flags.writes_plan() && tests->empty())
    return report(refuse("a plan names its tests: --test NAME, of " + known_tests()).value());
  const auto profile = profile_of(flags, flags.writes_plan() && needs_key(*tests));
  if (!profile) return report(profile.error());
  const auto needs = needs_of(flags, *tests, *profile);
  if (!needs) return report(needs.error());
  std::string text = audit::to_text(*needs);
  if (flags.writes_plan()) {
    const auto plan = make_plan(flags, *std::move(tests), *profile);
    if (!plan) return report(plan.error());
    const Status written = flags.output.write(audit::canonical_json(*plan));
    if (!written) return report(written.error());
    if (flags.output.path == "-") return kDone;
    text += detect::row("plan", flags.output.path + ", SHA-256 " + audit::digest_of(*plan));
  }
  const Status written = Output{}.write(text);
  return written ? kDone : report(written.error());
}

void add_needs_flags(CLI::App& app, PlanFlags& flags) {
  app.add_option("--alpha", flags.alpha, "Rate of false alarms, over all tests")
      ->capture_default_str()
      ->type_name("P")
      ->check(CLI::Range(1e-300, 0.5));
  app.add_option("--power", flags.power, "Probability of finding what is there")
      ->capture_default_str()
      ->type_name("P")
      ->check(CLI::Range(0.51, 0.999));
  app.add_option("--test", flags.tests,
                 "NAME[=ALPHA][:TUPLES]: a test, its part, how many tuples count; may be repeated")
      ->type_name("TEST")
      ->allow_extra_args(false);
  app.add_option("--share", flags.shares, "Marked part of the training text; may be repeated")
      ->type_name("PERCENT")
      ->allow_extra_args(false)
      ->check(CLI::Range(1e-3, 100.0));
  app.add_option("--effect", flags.effect,
                 "That you measured: mean score, green share, or how often served is above")
      ->type_name("X")
      ->check(CLI::Range(1e-6, 100.0));
  app.add_option("--tuples", flags.tuples, "There will be so many: what would they find?")
      ->type_name("N")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 53));
  app.add_option("--prompts", flags.prompts, "The same of prompts with a served answer")
      ->type_name("N")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 53));
  app.add_option("--regenerations", flags.regenerations, "Of each prompt")
      ->capture_default_str()
      ->type_name("K")
      ->check(CLI::Range(1, 64));
}

void add_plan_flags(CLI::App& app, PlanFlags& flags) {
  app.add_option("-p,--profile", flags.profile, "Profile; default: the embedded model's")
      ->type_name("FILE");
  auto* const key = app.add_option("-k,--key", flags.key, "Key file, for its public id alone");
  auto* const key_id = app.add_option("--key-id", flags.key_id, "Or the id: the key stays closed");
  key->type_name("FILE");
  key_id->type_name("ID")->excludes(key);
  app.add_option("--account", flags.account, "Claimed account")->type_name("ID");
  app.add_option("--cohort", flags.cohort, "Claimed cohort")->type_name("ID");
  app.add_option("--decoys", flags.decoys, "Random keys for the line-up; 0: none")
      ->capture_default_str()
      ->type_name("N")
      ->check(CLI::Range(0, 1'000'000));
  app.add_option("--decoy-seed", flags.decoy_seed, "Seed of the decoys, chosen by the other side")
      ->type_name("HEX");
  app.add_option("--reading", flags.reading, "Unmarked text that the suspect will read")
      ->type_name("FILE");
  app.add_option("--marked-reading", flags.marked_reading, "Fresh marked text that it will read")
      ->type_name("FILE");
  app.add_option("--prompts-file", flags.prompts_file, "Prompts that it will be asked")
      ->type_name("FILE");
  app.add_option("--transcripts", flags.transcripts,
                 "What was served: regenerated, read, or asked for again")
      ->type_name("FILE");
  app.add_option("--quoted", flags.quoted, "Works that it may quote")->type_name("INPUT");
  app.add_option("--suspect", flags.suspect, "Its name, for people")->type_name("NAME");
  app.add_option("--note", flags.note, "For people")->type_name("TEXT");
  app.add_option("-o,--out", flags.output.path, "Write the plan here (countermark.plan/1)")
      ->type_name("FILE");
  app.add_flag("--force", flags.output.force, "Replace FILE if it exists");
}

}  // namespace

Run add_plan_command(CLI::App& app) {
  auto flags = std::make_shared<PlanFlags>();
  add_needs_flags(app, *flags);
  add_plan_flags(app, *flags);
  app.footer(
      "\nTests, the strongest first: served-response (prompts with a served answer), "
      "supervised-open\n"
      "(the suspect reads the transcripts), unsupervised-open and unsupervised-open-mass "
      "(unmarked\n"
      "text), marked-open (fresh marked text), supervised-closed (asked the prompts "
      "of\n"
      "the transcripts), unsupervised-closed. Where marked text is read or asked for, TUPLES "
      "fixes\n"
      "how many count; without it an e-process decides.\n"
      "How much has to be read or asked, before anything is: by test, and by how much of the\n"
      "training text was marked. Ten times less marked text takes a hundred times as many tuples,\n"
      "unless the suspect reads, or is asked for, the very text it learned from (supervised).\n"
      "With -o the analysis is fixed: which tests, what each may spend of alpha, under which key\n"
      "and profile, on which files, by digest. Have the plan's digest, which is what sha256sum\n"
      "prints of the file, signed or stamped before the key is opened; audit --plan keeps to it.\n"
      "\nExamples:\n"
      "  countermark plan --test unsupervised-closed --tuples 12400\n"
      "  countermark plan --test served-response --test unsupervised-closed \\\n"
      "      --transcripts served.jsonl --prompts-file prompts.txt --key-id 3f0e -o plan.json");
  return [flags, &app] {
    if (!flags->writes_plan())
      for (const char* const name : kOfPlan)
        if (app.count(name) > 0)
          return report(
              refuse(std::string(name) + " goes into a plan: give it a file, -o").value());
    return run(*flags);
  };
}

}  // namespace countermark::cli
