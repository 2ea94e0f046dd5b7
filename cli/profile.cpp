// SPDX-License-Identifier: Apache-2.0
// profile new | check
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "verifier/io/load.h"

namespace countermark::cli {
namespace {

struct NewFlags {
  std::string tokenizer{};
  std::string name{};
  std::vector<std::string> layers{};
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

Result<Profile> make(const NewFlags& flags) {
  std::vector<Layer> layers;
  for (const std::string& text : flags.layers) {
    COUNTERMARK_TRY(const Layer layer, parse_layer(text));
    layers.push_back(layer);
  }
  if (layers.empty()) layers = Profile::defaults().layers();
  std::optional<TokenizerReference> reference;
  if (!flags.tokenizer.empty()) {
    COUNTERMARK_TRY(const auto tokenizer, text::load_tokenizer(flags.tokenizer, flags.name));
    const std::filesystem::path file = std::filesystem::absolute(flags.tokenizer);
    const std::filesystem::path beside = std::filesystem::absolute(
        flags.output.path.empty() || flags.output.path == "-" ? "profile.json" : flags.output.path);
    reference = TokenizerReference{flags.name.empty() ? file.stem().string() : flags.name,
                                   tokenizer->sha256(),
                                   file.lexically_normal()
                                       .lexically_relative(beside.lexically_normal().parent_path())
                                       .string()};
  }
  return Profile::create(std::move(layers), std::move(reference));
}

int run_new(const NewFlags& flags) {
  if (const Status ready = flags.output.check(); !ready) return report(ready.error());
  const auto profile = make(flags);
  if (!profile) return report(profile.error());
  const Status written = flags.output.write(profile->pretty_json());
  return written ? kDone : report(written.error());
}

struct CheckFlags {
  std::string profile{};
  std::string tokenizer{};
  bool json = false;
};

int run_check(const CheckFlags& flags) {
  const auto profile = io::load_profile(flags.profile);
  if (!profile) return report(profile.error());
  const auto tokenizer =
      io::load_tokenizer_of(profile->tokenizer(), flags.profile, flags.tokenizer);
  if (!tokenizer) return report(tokenizer.error());
  nlohmann::ordered_json json = {{"schema", "countermark.profile-check/1"},
                                 {"scheme", Profile::kScheme},
                                 {"profile", profile->digest()},
                                 {"tokenizer", *tokenizer != nullptr}};
  std::string text =
      "ok: " + std::string(Profile::kScheme) + "\n  profile    " + profile->digest() + "\n";
  for (const Layer& layer : profile->layers()) {
    const std::string name = layer_name(layer.kind);
    text += "  " + name + std::string(11 - name.size(), ' ') + "width " +
            std::to_string(layer.width) + ", share " + std::to_string(layer.share) +
            "/65536, slots " + std::to_string(layer.slots) + "\n";
  }
  text += *tokenizer != nullptr ? "  tokenizer  " + std::to_string((*tokenizer)->vocab_size()) +
                                      " ids, digest matches\n"
                                : "  tokenizer  none: only token ids can be read\n";
  const Status written = Output{}.write(flags.json ? json.dump() + "\n" : text);
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
  auto made = std::make_shared<NewFlags>();
  CLI::App* make_new = app.add_subcommand("new", "Write a profile");
  make_new->add_option("-t,--tokenizer", made->tokenizer, "The model's tokenizer, pinned by digest")
      ->type_name("FILE");
  make_new->add_option("--name", made->name, "Name of the tokenizer; default: its file's name");
  make_new
      ->add_option("--layer", made->layers,
                   "NAME:WIDTH:SHARE:SLOTS, once a layer, ascending width; shares sum to 65536")
      ->type_name("LAYER");
  made->output.add_flags(*make_new);
  make_new->footer(
      "\nWithout --layer: shared:2:32768:1 cohort:2:8192:1 account:3:24576:8.\n"
      "A tiktoken rank file, and GGUF without tokenizer.ggml.pre, do not say how text is cut; "
      "there\n"
      "--name does: llama3, cl100k_base, gpt-2, … (docs/formats.md).\n"
      "\nExamples:\n"
      "  countermark profile new -t tokenizer.json -o profile.json\n"
      "  countermark profile new --layer shared:2:32768:1 --layer account:3:32768:16");
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
  return [=] { return check->parsed() ? run_check(*checked) : run_new(*made); };
}

}  // namespace countermark::cli
