// SPDX-License-Identifier: Apache-2.0
// version: what this program is, and what it runs on
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "watermark/foreign_profile.h"
#include "watermark/kernels/dispatch.h"
#include "watermark/profile.h"
#include "watermark/version.h"

namespace countermark::cli {

Run add_version_command(CLI::App& app) {
  auto json = std::make_shared<bool>(false);
  app.add_flag("--json", *json, "One line of JSON (countermark.version/1)");
  app.footer(
      "\nCOUNTERMARK_KERNEL chooses the kernel; one that is not available is an error.\n"
      "\nExamples:\n"
      "  countermark version\n"
      "  COUNTERMARK_KERNEL=portable countermark version --json");
  return [json]() -> int {
    const auto kernel = active_kernel();
    if (!kernel) return report(kernel.error());
    nlohmann::ordered_json kernels = nlohmann::ordered_json::array();
    std::string names;
    for (const Kernel* other : all_kernels()) {
      if (other->supported() == 0) continue;
      kernels.push_back(other->name);
      names += (names.empty() ? "" : ", ") + std::string(other->name);
    }
    nlohmann::ordered_json schemes = {Profile::kScheme};
    for (const SchemeInfo* scheme : foreign_schemes()) schemes.push_back(scheme->id);
    const nlohmann::ordered_json out = {{"schema", "countermark.version/1"},
                                        {"version", kVersion},
                                        {"schemes", schemes},
                                        {"kernel", (*kernel)->name},
                                        {"kernels", kernels}};
    const std::string text = "countermark " + std::string(kVersion) + "\n  marks   " +
                             std::string(Profile::kScheme) + "; reads " +
                             std::to_string(schemes.size() - 1) +
                             " of other systems (profile schemes)\n  kernel  " + (*kernel)->name +
                             " (available: " + names + ")\n";
    const Status written = Output{}.write(*json ? out.dump() + "\n" : text);
    return written ? static_cast<int>(kDone) : report(written.error());
  };
}

}  // namespace countermark::cli
