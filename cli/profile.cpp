// SPDX-License-Identifier: Apache-2.0
// profile new | check | schemes
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <variant>

#include "cli/command.h"
#include "verifier/io/load.h"

namespace countermark::cli {
namespace {

struct ProfileFlags {
  std::string tokenizer{};
  std::string name{};
  std::vector<std::string> layers{};
  std::string scheme{};
  std::uint32_t vocab_size = 0;
  Output output{};
};

// "account:3:24576:8" is kind, width, share, slots.
Result<Layer> parse_layer(const std::string& text) {
  const auto malformed = [&] {
    return fail(
        ErrorCode::kInvalidArgument,
        "--layer takes NAME:WIDTH:SHARE:SLOTS, as in account:3:24576:8, not '" + text + "'");
  };
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ':') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  if (parts.size() != 4) return malformed();
  Layer layer;
  bool known = false;
  for (const LayerKind kind : {LayerKind::kShared, LayerKind::kCohort, LayerKind::kAccount}) {
    if (parts[0] != layer_name(kind)) continue;
    layer.kind = kind;
    known = true;
  }
  std::uint32_t numbers[3] = {};
  for (std::size_t i = 0; i < 3; ++i) {
    const std::string& part = parts[i + 1];
    if (part.empty() || part.size() > 6 || part.find_first_not_of("0123456789") != part.npos)
      return malformed();
    numbers[i] = static_cast<std::uint32_t>(std::stoul(part));
  }
  if (!known) return malformed();
  layer.width = numbers[0];
  layer.share = numbers[1];
  layer.slots = numbers[2];
  return layer;
}

// The tokenizer of -t, as a profile beside the output names it.
Result<std::optional<TokenizerReference>> reference_of(const ProfileFlags& flags) {
  if (flags.tokenizer.empty()) return std::optional<TokenizerReference>();
  COUNTERMARK_TRY(const auto tokenizer, text::load_tokenizer(flags.tokenizer, flags.name));
  const std::filesystem::path file = std::filesystem::absolute(flags.tokenizer);
  const std::filesystem::path beside = std::filesystem::absolute(
      flags.output.path.empty() || flags.output.path == "-" ? "profile.json" : flags.output.path);
  return TokenizerReference{
      flags.name.empty() ? file.stem().string() : flags.name, tokenizer->sha256(),
      file.lexically_normal().lexically_relative(beside.lexically_normal().parent_path()).string()};
}

Result<AnyProfile> make_native(const ProfileFlags& flags) {
  if (flags.vocab_size != 0)
    return fail(ErrorCode::kInvalidArgument,
                "--vocab-size is of lists, which " + std::string(Profile::kScheme) + " has not");
  std::vector<Layer> layers;
  for (const std::string& text : flags.layers) {
    COUNTERMARK_TRY(const Layer layer, parse_layer(text));
    layers.push_back(layer);
  }
  if (layers.empty()) layers = Profile::defaults().layers();
  COUNTERMARK_TRY(auto reference, reference_of(flags));
  COUNTERMARK_TRY(Profile profile, Profile::create(std::move(layers), std::move(reference)));
  return AnyProfile(std::move(profile));
}

// The source's defaults.
Result<AnyProfile> make_foreign(const ProfileFlags& flags) {
  const SchemeInfo* const scheme = find_foreign_scheme(flags.scheme);
  if (scheme == nullptr)
    return fail(ErrorCode::kInvalidArgument,
                "--scheme does not know '" + flags.scheme +
                    "'; countermark profile schemes lists what it knows");
  if (!flags.layers.empty())
    return fail(ErrorCode::kInvalidArgument, "--layer is of " + std::string(Profile::kScheme) +
                                                 ": " + flags.scheme + " has no layers");
  if (scheme->has(Field::kVocabSize) && flags.vocab_size == 0)
    return fail(ErrorCode::kInvalidArgument,
                flags.scheme +
                    " needs --vocab-size: the size that its lists were drawn for, as "
                    "the server that marks was told");
  nlohmann::json json = {{"scheme", flags.scheme}};
  if (flags.vocab_size != 0) json["vocabSize"] = flags.vocab_size;
  COUNTERMARK_TRY(const auto reference, reference_of(flags));
  COUNTERMARK_CHECK(check_tokenizer_reference(reference));
  if (reference) json["tokenizer"] = to_json(*reference);
  COUNTERMARK_TRY(ForeignProfile profile, ForeignProfile::parse(json.dump()));
  return AnyProfile(std::move(profile));
}

Result<AnyProfile> make_profile(const ProfileFlags& flags) {
  return flags.scheme.empty() || flags.scheme == Profile::kScheme ? make_native(flags)
                                                                  : make_foreign(flags);
}

int run_new_profile(const ProfileFlags& flags) {
  if (const Status ready = flags.output.check(); !ready) return report(ready.error());
  const auto profile = make_profile(flags);
  if (!profile) return report(profile.error());
  const Status written =
      flags.output.write(std::visit([](const auto& each) { return each.pretty_json(); }, *profile));
  return written ? kDone : report(written.error());
}

struct CheckFlags {
  std::string profile{};
  std::string tokenizer{};
  bool json = false;
};

std::string about(const Profile& profile) {
  std::string text;
  for (const Layer& layer : profile.layers()) {
    const std::string name = layer_name(layer.kind);
    text += "  " + name + std::string(11 - name.size(), ' ') + "width " +
            std::to_string(layer.width) + ", share " + std::to_string(layer.share) +
            "/65536, slots " + std::to_string(layer.slots) + "\n";
  }
  return text;
}

std::string about(const ForeignProfile& profile) {
  const SchemeInfo& scheme = profile.scheme();
  return "  source     " + std::string(scheme.owner) + "\n  key        " +
         key_form_name(scheme.key_form) + ":\n  context    width " +
         std::to_string(profile.parameters().context_width) + "\n";
}

int run_check(const CheckFlags& flags) {
  const auto profile = io::load_any_profile(flags.profile);
  if (!profile) return report(profile.error());
  const auto tokenizer =
      io::load_tokenizer_of(tokenizer_of(*profile), flags.profile, flags.tokenizer);
  if (!tokenizer) return report(tokenizer.error());
  const auto* foreign = std::get_if<ForeignProfile>(&*profile);
  const std::string scheme(foreign != nullptr ? foreign->scheme().id : Profile::kScheme);
  nlohmann::ordered_json json = {{"schema", "countermark.profile-check/1"},
                                 {"scheme", scheme},
                                 {"profile", digest_of(*profile)},
                                 {"tokenizer", *tokenizer != nullptr}};
  std::string text = "ok: " + scheme + "\n  profile    " + digest_of(*profile) + "\n" +
                     (foreign != nullptr ? about(*foreign) : about(std::get<Profile>(*profile)));
  text += *tokenizer != nullptr ? "  tokenizer  " + std::to_string((*tokenizer)->vocab_size()) +
                                      " ids, digest matches\n"
                                : "  tokenizer  none: only token ids can be read\n";
  const Status written = Output{}.write(flags.json ? json.dump() + "\n" : text);
  return written ? kDone : report(written.error());
}

int run_schemes() {
  std::string text = std::string(Profile::kScheme) + "\n";
  for (const SchemeInfo* scheme : foreign_schemes()) {
    text += scheme->id;
    text += std::string(36 - scheme->id.size(), ' ') + key_form_name(scheme->key_form) + ":";
    if (scheme->has(Field::kVocabSize)) text += "  --vocab-size";
    text += "\n";
  }
  const Status written = Output{}.write(text);
  return written ? kDone : report(written.error());
}

}  // namespace

Run add_profile_command(CLI::App& app) {
  app.require_subcommand(1);
  app.footer(
      "\nA profile holds no secret. Its digest names it in every result.\n"
      "\nExamples:\n"
      "  countermark profile new -t tokenizer.json -o profile.json\n"
      "  countermark profile check -p profile.json");
  auto made = std::make_shared<ProfileFlags>();
  CLI::App* make_new = app.add_subcommand("new", "Write a profile");
  make_new->add_option("-t,--tokenizer", made->tokenizer, "The model's tokenizer, pinned by digest")
      ->type_name("FILE");
  make_new->add_option("--name", made->name, "Name of the tokenizer; default: its file's name");
  make_new
      ->add_option("--layer", made->layers,
                   "NAME:WIDTH:SHARE:SLOTS, once a layer, ascending width; shares sum to 65536")
      ->type_name("LAYER");
  make_new->add_option("--scheme", made->scheme, "Another system's: one of `profile schemes`")
      ->type_name("ID");
  make_new
      ->add_option("--vocab-size", made->vocab_size, "Tokens that a scheme's lists were drawn for")
      ->type_name("N");
  made->output.add_flags(*make_new);
  make_new->footer(
      "\nWithout --layer: shared:2:32768:1 cohort:2:8192:1 account:3:24576:8.\n"
      "A tiktoken rank file, and GGUF without tokenizer.ggml.pre, do not say how text is cut; "
      "there\n"
      "--name does: llama3, cl100k_base, gpt-2, … (docs/formats.md).\n"
      "With --scheme: that source's own defaults, all of them written out, to be changed by hand.\n"
      "\nExamples:\n"
      "  countermark profile new -t tokenizer.json -o profile.json\n"
      "  countermark profile new --scheme hf-kgw/1 --vocab-size 50257 -t tokenizer.json -o "
      "hf.json");
  auto checked = std::make_shared<CheckFlags>();
  CLI::App* check = app.add_subcommand("check", "Check a profile and its tokenizer's digest");
  check->add_option("-p,--profile", checked->profile, "Profile")->type_name("FILE")->required();
  check
      ->add_option("-t,--tokenizer", checked->tokenizer, "Tokenizer, if not where the profile says")
      ->type_name("FILE");
  check->add_flag("--json", checked->json, "One line of JSON");
  check->footer(
      "\nExamples:\n"
      "  countermark profile check -p profile.json\n"
      "  countermark profile check -p profile.json -t /models/tokenizer.json --json");
  CLI::App* schemes = app.add_subcommand("schemes", "List the schemes that a profile can be of");
  schemes->footer(
      "\nOne a line, ours first; of the others how their keys are written and what a profile "
      "needs.\n"
      "\nExamples:\n"
      "  countermark profile schemes\n"
      "  countermark profile schemes | cut -d ' ' -f 1");
  return [=] {
    if (schemes->parsed()) return run_schemes();
    return check->parsed() ? run_check(*checked) : run_new_profile(*made);
  };
}

}  // namespace countermark::cli
