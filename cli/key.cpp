// SPDX-License-Identifier: Apache-2.0
// key new | show | check
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "verifier/io/load.h"

namespace countermark::cli {
namespace {

struct KeyFlags {
  std::string from{};
  std::string model{};
  std::string epoch{};
  Output output{};
};

Result<std::string> make(const KeyFlags& flags) {
  if (flags.from.empty() && flags.model.empty()) return io::key_file(MasterKey::generate());
  MasterKey master = MasterKey::generate();
  if (!flags.from.empty()) {
    COUNTERMARK_TRY(AnyKey loaded, io::load_key(flags.from));
    auto loaded_master = io::master_key(std::move(loaded));
    if (!loaded_master) return fail(std::move(loaded_master).error().in_file(flags.from));
    master = *loaded_master;
  }
  COUNTERMARK_TRY(const EpochKey epoch, master.epoch(flags.model, flags.epoch));
  return io::key_file(epoch);
}

int run_new_key(const KeyFlags& flags) {
  if (flags.output.path.empty())
    return report({ErrorCode::kInvalidArgument,
                   "key new writes a secret: name the file with -o FILE (-o - for a pipe)"});
  if (const Status ready = flags.output.check(); !ready) return report(ready.error());
  auto text = make(flags);
  if (!text) return report(text.error());
  const Status written = flags.output.write(*text, 0600);
  wipe(*text);
  if (!written) return report(written.error());
  if (flags.output.path != "-") say("wrote " + flags.output.path + ", readable by you alone");
  return kDone;
}

struct ShowFlags {
  std::string key{};
  bool json = false;
};

int run_show(const ShowFlags& flags, bool only_check) {
  const auto key = io::load_file_key(flags.key);
  if (!key) return report(key.error());
  nlohmann::ordered_json out = {{"schema", "countermark.key/1"}, {"kind", "master"}};
  std::string text = "master key\n";
  if (const auto* epoch = std::get_if<EpochKey>(&*key)) {
    out["kind"] = "epoch";
    out["model"] = epoch->model_id();
    out["epoch"] = epoch->epoch_id();
    out["keyId"] = epoch->key_id();
    text = "epoch key\n  model   " + epoch->model_id() + "\n  epoch   " + epoch->epoch_id() +
           "\n  key id  " + epoch->key_id() + "\n";
  }
  if (const auto* foreign = std::get_if<ForeignKey>(&*key)) {
    const std::string form = key_form_name(foreign->form());
    out["kind"] = "foreign";
    out["form"] = form;
    out["name"] = foreign->name();
    text = "foreign key\n  form    " + form + ":\n  name    " +
           (foreign->name().empty() ? "none: a line #id:NAME gives one" : foreign->name()) + "\n";
  }
  if (only_check && !flags.json) text = "ok: " + text.substr(0, text.find('\n') + 1);
  const Status written = Output{}.write(flags.json ? out.dump() + "\n" : text);
  return written ? kDone : report(written.error());
}

}  // namespace

Run add_key_command(CLI::App& app) {
  app.require_subcommand(1);
  app.footer(
      "\nA master key stays offline; servers and verifiers get epoch keys, one for a model and a\n"
      "period. A key file is text, mode 0600, and is refused when others can read it. At rest,\n"
      "protect it with age: countermark detect --key <(age -d epoch.age) ...\n"
      "Keys of other systems' marks are written by hand: int:42, ints:654,400, hex:0123 or "
      "text:...,\n"
      "with a line #id:NAME for what results call them (docs/formats.md).\n"
      "\nExamples:\n"
      "  countermark key new -o master.key\n"
      "  countermark key new --from master.key --model chat-3 --epoch 2026-11 -o 2026-11.key");

  auto made = std::make_shared<KeyFlags>();
  CLI::App* make_new = app.add_subcommand("new", "Make a master key, or an epoch key");
  make_new->add_option("--from", made->from, "Master key to derive from")->type_name("FILE");
  auto* model = make_new->add_option("--model", made->model, "Model id, 1 to 255 bytes");
  auto* epoch = make_new->add_option("--epoch", made->epoch, "Epoch id, 1 to 255 bytes: a period");
  model->type_name("ID")->needs(epoch);
  epoch->type_name("ID")->needs(model);
  make_new->get_option("--from")->needs(model);
  made->output.add_flags(*make_new);
  make_new->footer(
      "\nWithout --model and --epoch: a new master key. With them: an epoch key, derived from "
      "--from\n"
      "or, without it, from a master key that is forgotten at once.\n"
      "\nExamples:\n"
      "  countermark key new -o master.key\n"
      "  countermark key new --from master.key --model chat-3 --epoch 2026-11 -o 2026-11.key");

  auto shown = std::make_shared<ShowFlags>();
  const auto add_reader = [&](const char* name, const char* about, const char* example) {
    CLI::App* reader = app.add_subcommand(name, about);
    reader->add_option("-k,--key", shown->key, "Key file")->type_name("FILE")->required();
    reader->add_flag("--json", shown->json, "One line of JSON (countermark.key/1)");
    reader->footer(std::string("\nNever prints the secret.\n\nExamples:\n") + example);
    return reader;
  };
  CLI::App* show = add_reader("show", "Say what a key is for: model, epoch, public id or name",
                              "  countermark key show -k 2026-11.key\n"
                              "  countermark key show -k 2026-11.key --json");
  CLI::App* check =
      add_reader("check", "Check a key file's form, permission and, of our own, checksum",
                 "  countermark key check -k 2026-11.key\n"
                 "  age -d 2026-11.age | countermark key check -k -");
  return [=] {
    if (show->parsed()) return run_show(*shown, false);
    if (check->parsed()) return run_show(*shown, true);
    return run_new_key(*made);
  };
}

}  // namespace countermark::cli
