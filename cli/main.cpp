// SPDX-License-Identifier: Apache-2.0
// The command line: picks the command, and turns every way to fail into its exit code.
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "cli/command.h"

namespace {

using namespace countermark::cli;

// Flags with what they take and their default, and nothing of the machinery behind them.
class Formatter : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override {
    if (option->get_type_size() == 0) return "";
    const std::string type = option->get_type_name();
    std::string out = " " + type.substr(0, type.find(':'));
    if (!option->get_default_str().empty()) out += " [" + option->get_default_str() + "]";
    return out + (option->get_required() ? " (required)" : "");
  }
};

int run(int argc, char** argv) {
  CLI::App app{
      "Marks what a language model writes, and verifies, with exact error rates, what carries "
      "it."};
  app.name("countermark");
  app.require_subcommand(1);
  app.formatter(std::make_shared<Formatter>());
  app.failure_message([](const CLI::App* failed, const CLI::Error& error) {
    return "countermark: error: " + std::string(error.what()) + "\nTry: " +
           (failed->get_parent() != nullptr ? "countermark " + failed->get_name() : "countermark") +
           " --help\n";
  });
  app.footer(
      "A first run:\n"
      "  countermark key new --model demo --epoch 2026-11 -o demo.key\n"
      "  countermark generate -k demo.key --account alice --prompt 'The server' -o a.txt\n"
      "  countermark detect -k demo.key --account alice a.txt\n"
      "Exit codes (docs/cli.md): 0 done, 2 usage, 3 bad input, 4 key, 6 I/O, 70 internal.");

  struct Command {
    CLI::App* app;
    Run run;
  };
  std::vector<Command> commands;
  const auto add = [&](const char* name, const char* about, Run (*set_up)(CLI::App&)) {
    CLI::App* command = app.add_subcommand(name, about);
    commands.push_back({command, set_up(*command)});
  };
  add("key", "Make and inspect secret keys", add_key_command);
  add("profile", "Make and check profiles, the public parameters of a mark", add_profile_command);
  add("generate", "Write marked text with the embedded language model", add_generate_command);
  add("detect", "Judge texts: one verdict each", add_detect_command);
  add("scan", "Judge a dataset: one verdict for all of it, and lists", add_scan_command);
  add("merge", "Put the fragments of a sharded scan together", add_merge_command);
  add("plan", "Say how much an audit needs, and fix it beforehand", add_plan_command);
  add("audit", "Judge a model: was it trained on what was served?", add_audit_command);
  add("calibrate", "Try a key on text that is clean, or measure error rates",
      add_calibrate_command);
  add("selftest", "Check this installation against known answers", add_selftest_command);
  add("version", "Say what this program is and which kernel it runs", add_version_command);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kUsage;
  }
  for (const Command& command : commands)
    if (command.app->parsed()) return command.run();
  return kUsage;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::bad_alloc&) {
    say("countermark: error: out of memory");
  } catch (const std::exception& error) {
    say(std::string("countermark: internal error: ") + error.what());
  }
  return kInternal;
}
