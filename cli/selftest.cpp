// SPDX-License-Identifier: Apache-2.0
// selftest: this installation against known answers
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "verifier/selftest.h"
#include "watermark/version.h"

namespace countermark::cli {

Run add_selftest_command(CLI::App& app) {
  auto json = std::make_shared<bool>(false);
  app.add_flag("--json", *json, "One line of JSON (countermark.selftest/1)");
  app.footer(
      "\nExamples:\n"
      "  countermark selftest\n"
      "  COUNTERMARK_KERNEL=portable countermark selftest --json");
  return [json]() -> int {
    const auto checks = self_test();
    if (!checks) return report(checks.error());
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    std::string text;
    bool passed = true;
    for (const SelfCheck& check : *checks) {
      passed = passed && check.passed;
      list.push_back({{"name", check.name}, {"passed", check.passed}});
      text += (check.passed ? "ok      " : "FAILED  ") + check.name + "\n";
    }
    text += passed ? "all checks passed\n" : "this installation must not be used\n";
    const nlohmann::ordered_json out = {{"schema", "countermark.selftest/1"},
                                        {"version", kVersion},
                                        {"passed", passed},
                                        {"checks", list}};
    const Status written = Output{}.write(*json ? out.dump() + "\n" : text);
    if (!written) return report(written.error());
    return passed ? kDone : kVerificationFailed;
  };
}

}  // namespace countermark::cli
