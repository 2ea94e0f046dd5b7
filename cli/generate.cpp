// SPDX-License-Identifier: Apache-2.0
// generate: marked text from the embedded language model
#include <algorithm>
#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>
#include <variant>

#include "cli/command.h"
#include "cli/progress.h"
#include "corpora/answer.h"
#include "corpora/model_folder.h"
#include "verifier/io/load.h"
#include "watermark/utf8.h"
#include "watermark/version.h"

namespace countermark::cli {
namespace {

struct GenerateFlags {
  std::string key{};
  std::string profile{};
  std::string tokenizer{};
  std::string model{};
  std::string account{};
  std::string cohort{};
  std::string prompt{};
  std::string prompts{};
  std::string seed{};
  std::size_t tokens = 200;
  std::uint64_t count = 1;
  bool exact = false;
  bool unmarked = false;
  bool allow_table_aes = false;
  bool json = false;
  SamplingOptions sampling{};
  Output output{};
};

// The nonce and the plain key of answer number `index`: random, or from --seed.
struct Randomness {
  std::string nonce{};
  Secret<16> plain_key{};
};

Randomness randomness(const std::string& seed, std::uint64_t index) {
  std::array<std::uint8_t, 32> bytes{};
  if (seed.empty()) {
    random_bytes(bytes.data(), bytes.size());
  } else {
    bytes = expand_key(as_bytes(seed), {"countermark generate", std::to_string(index)});
  }
  Randomness out{to_hex(Bytes(bytes).first(16)), {}};
  std::array<std::uint8_t, 16> plain{};
  std::copy_n(bytes.begin() + 16, plain.size(), plain.begin());
  out.plain_key = Secret<16>(plain);
  wipe(plain.data(), plain.size());
  wipe(bytes.data(), bytes.size());
  return out;
}

// Our own mark or another system's, and what results call it.
struct Marking {
  std::variant<NativeMark, SharedForeignMark> mark;
  std::string scheme;
  std::string profile;  // its digest
  std::string key_id;   // of a foreign key its name, which may be empty
};

Result<Marking> native_marking(const GenerateFlags& flags, const EpochKey& key,
                               const Profile& profile) {
  COUNTERMARK_TRY(NativeMark mark, NativeMark::create(key, profile));
  if (mark.kernel().constant_time == 0 && !flags.allow_table_aes)
    return fail(ErrorCode::kUnsupported,
                std::string("the ") + mark.kernel().name +
                    " kernel may leak the key through the cache to others on this machine; "
                    "--allow-table-aes embeds with it all the same");
  std::string key_id = mark.key_id();
  return Marking{std::move(mark), std::string(NativeMark::kId), profile.digest(),
                 std::move(key_id)};
}

Result<Marking> foreign_marking(const GenerateFlags& flags, const ForeignKey& key,
                                const ForeignProfile& profile) {
  const std::string scheme(profile.scheme().id);
  if (!flags.account.empty() || !flags.cohort.empty())
    return fail(ErrorCode::kInvalidArgument, "--account and --cohort belong to " +
                                                 std::string(NativeMark::kId) + ": " + scheme +
                                                 " knows no identities");
  COUNTERMARK_TRY(SharedForeignMark mark, ForeignMark::create(profile, key));
  return Marking{std::move(mark), scheme, profile.digest(), key.name()};
}

// The mark of key and profile, which must be of one kind.
Result<Marking> marking_of(const GenerateFlags& flags, const io::DetectionKey& key,
                           const AnyProfile& profile) {
  const auto* epoch = std::get_if<EpochKey>(&key);
  const auto* native = std::get_if<Profile>(&profile);
  if (epoch != nullptr && native != nullptr) return native_marking(flags, *epoch, *native);
  if (native != nullptr)
    return fail(Error{ErrorCode::kMismatch,
                      "this is another system's key: give the profile of its scheme with -p "
                      "(countermark profile new --scheme ID)",
                      flags.key});
  const auto& foreign = std::get<ForeignProfile>(profile);
  if (epoch != nullptr)
    return fail(Error{ErrorCode::kMismatch,
                      "this is an epoch key of " + std::string(NativeMark::kId) + ", and " +
                          std::string(foreign.scheme().id) + " takes one written " +
                          key_form_name(foreign.scheme().key_form) + ":",
                      flags.key});
  auto marking = foreign_marking(flags, std::get<ForeignKey>(key), foreign);
  if (!marking && marking.error().code == ErrorCode::kKey)
    return fail(std::move(marking).error().in_file(flags.key));
  return marking;
}

// kMismatch when the model has tokens that the tokenizer or the lists of the mark do not know.
Status check_vocabulary(std::uint64_t model, const text::Tokenizer& tokenizer,
                        const AnyProfile& profile) {
  if (tokenizer.vocab_size() != model)
    return fail(ErrorCode::kMismatch, "the tokenizer has " +
                                          std::to_string(tokenizer.vocab_size()) +
                                          " ids and the model " + std::to_string(model));
  const auto* foreign = std::get_if<ForeignProfile>(&profile);
  const std::uint32_t lists = foreign == nullptr ? 0 : foreign->parameters().vocab_size;
  if (lists != 0 && lists < model)
    return fail(Error{ErrorCode::kMismatch,
                      "the profile's lists were drawn for " + std::to_string(lists) +
                          " tokens and the model has " + std::to_string(model),
                      "", "vocabSize"});
  return {};
}

std::string json_line(const GenerateFlags& flags, const Marking& marking, const std::string& id,
                      const std::string& prompt, const std::string& text,
                      const corpora::Answer& answer) {
  nlohmann::ordered_json out = {{"schema", "countermark.generate/1"},
                                {"version", kVersion},
                                {"id", id},
                                {"scheme", marking.scheme},
                                {"profile", marking.profile},
                                {"keyId", marking.key_id}};
  out["account"] = flags.account;
  out["cohort"] = flags.cohort;
  out["slots"] = answer.slots;
  out["prompt"] = prompt;
  out["text"] = text;
  out["ids"] = answer.ids;
  out["marked"] = answer.marked();
  out["finish"] = answer.ended ? "end" : "length";
  return out.dump() + "\n";
}

Result<std::string> run_all(const GenerateFlags& flags) {
  COUNTERMARK_CHECK(check_sampling_options(flags.sampling));
  COUNTERMARK_CHECK(flags.output.check());
  COUNTERMARK_TRY(const std::string seed, from_hex("--seed", flags.seed));
  const std::string folder = corpora::model_folder();
  const std::string profile_path = flags.profile.empty() ? folder + "/profile.json" : flags.profile;
  COUNTERMARK_TRY(const io::DetectionKey key, io::load_detection_key(flags.key));
  COUNTERMARK_TRY(const AnyProfile profile, io::load_any_profile(profile_path));
  COUNTERMARK_TRY(const Marking marking, marking_of(flags, key, profile));
  COUNTERMARK_TRY(const auto tokenizer,
                  io::load_tokenizer_of(tokenizer_of(profile), profile_path, flags.tokenizer));
  if (tokenizer == nullptr)
    return fail(ErrorCode::kInvalidArgument,
                "the profile names no tokenizer: give one with -t FILE");
  COUNTERMARK_TRY(const auto model,
                  corpora::LanguageModel::load(flags.model.empty() ? folder + "/weights.safetensors"
                                                                   : flags.model));
  if (Status status = check_vocabulary(model.shape().vocab_size, *tokenizer, profile); !status)
    return fail(std::move(status).error().in_file(profile_path));
  std::vector<std::string> prompts = {flags.prompt};
  if (!flags.prompts.empty()) {
    COUNTERMARK_TRY(prompts, io::load_lines(flags.prompts));
  }

  corpora::AnswerRequest request;
  request.identity = {flags.cohort, flags.account};
  request.sampling = flags.sampling;
  request.max_tokens = flags.tokens;
  request.may_end = !flags.exact;
  request.marked = !flags.unmarked;
  corpora::Generation generation(model);
  Progress progress("answers", prompts.size() * flags.count);
  std::string out;
  std::uint64_t number = 0;
  for (const std::string& prompt : prompts) {
    COUNTERMARK_TRY(request.prompt, tokenizer->encode(prompt));
    for (std::uint64_t i = 0; i < flags.count; ++i) {
      const Randomness random = randomness(seed, number++);
      request.nonce = random.nonce;
      request.plain_key = random.plain_key;
      COUNTERMARK_TRY(const corpora::Answer answer, std::visit(
                                                        [&](const auto& mark) {
                                                          return corpora::write_answer(
                                                              generation, model, mark, request);
                                                        },
                                                        marking.mark));
      COUNTERMARK_TRY(const std::string decoded, tokenizer->decode(answer.ids));
      const std::string text = replace_invalid_utf8(decoded);
      out += flags.json ? json_line(flags, marking, std::to_string(number), prompt, text, answer)
                        : text + "\n";
      progress.advance();
    }
  }
  return out;
}

}  // namespace

Run add_generate_command(CLI::App& app) {
  auto flags = std::make_shared<GenerateFlags>();
  app.add_option("-k,--key", flags->key, "Epoch key, or the key of another system's mark")
      ->type_name("FILE")
      ->required();
  app.add_option("-p,--profile", flags->profile,
                 "Profile, its scheme any of `profile schemes`; default: the embedded model's")
      ->type_name("FILE");
  app.add_option("-t,--tokenizer", flags->tokenizer, "Tokenizer, if not where the profile says")
      ->type_name("FILE");
  app.add_option("-m,--model", flags->model,
                 "Weights (safetensors, or a llama2.c .bin); default: the embedded model")
      ->type_name("FILE");
  app.add_option("--account", flags->account, "For whom the text is written (a pseudonym)")
      ->type_name("ID");
  app.add_option("--cohort", flags->cohort, "The account's cohort")->type_name("ID");
  auto* prompt = app.add_option("--prompt", flags->prompt, "What the model continues");
  app.add_option("--prompts", flags->prompts, "One prompt a line")
      ->type_name("FILE")
      ->excludes(prompt);
  app.add_option("-n,--tokens", flags->tokens, "Most tokens of an answer")
      ->type_name("N")
      ->capture_default_str();
  app.add_flag("--exact", flags->exact, "Exactly that many: the model may not end earlier");
  app.add_option("--count", flags->count, "Answers to each prompt")->capture_default_str();
  app.add_option("--temperature", flags->sampling.temperature, "0 takes the likeliest token")
      ->capture_default_str();
  app.add_option("--top-k", flags->sampling.top_k, "Keep the k likeliest; 0: all")
      ->capture_default_str();
  app.add_option("--top-p", flags->sampling.top_p, "Then the likeliest with this mass")
      ->capture_default_str();
  app.add_option("--min-p", flags->sampling.min_p, "Then those above this share of the top")
      ->capture_default_str();
  app.add_option("--seed", flags->seed, "Reproducible text, for tests only")->type_name("HEX");
  app.add_flag("--unmarked", flags->unmarked, "The same model without the mark, for comparison");
  app.add_flag("--allow-table-aes", flags->allow_table_aes,
               "Embed even with a kernel that is not constant-time");
  app.add_flag("--json", flags->json, "One line of JSON an answer (countermark.generate/1)");
  flags->output.add_flags(app);
  app.footer(
      "\nThe profile's scheme may be another system's, for tests and comparisons of detectors: "
      "its\n"
      "text is drawn as that system draws it. --account and --cohort are our own mark's alone.\n"
      "\nExamples:\n"
      "  countermark generate -k demo.key --account alice --prompt 'The server' -o alice.txt\n"
      "  countermark generate -k vllm.key -p vllm.json --prompts prompts.txt --json -o "
      "marked.jsonl");
  return [flags] {
    auto text = run_all(*flags);
    if (!text) return report(text.error());
    const Status written = flags->output.write(*text);
    return written ? static_cast<int>(kDone) : report(written.error());
  };
}

}  // namespace countermark::cli
