// SPDX-License-Identifier: Apache-2.0
// merge: the fragments of a sharded scan, one verdict for all of it
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/scan_result.h"
#include "verifier/scan/merge.h"
#include "verifier/scan/scanner.h"

namespace countermark::cli {
namespace {

struct MergeFlags {
  std::vector<std::string> fragments{};
  ScanTestFlags tests{};
  ScanResultFlags result{};
};

int run(const MergeFlags& flags) {
  if (const Status ready = flags.result.check(); !ready) return report(ready.error());
  const auto tests = flags.tests.load();
  if (!tests) return report(tests.error());
  const auto settings = scan::fragment_settings(flags.fragments.front());
  if (!settings) return report(settings.error());
  const auto inputs = scan::inputs_of(settings->json, *tests);
  if (!inputs) return report(Error(inputs.error()).in_file(flags.fragments.front()));

  scan::ShareCounter shares(*tests, channels_of(*tests), 1);
  const auto corpus = scan::merge(flags.fragments, std::ref(shares));
  if (!corpus) return report(corpus.error());
  scan::Summary summary;
  for (const std::string& fragment : flags.fragments) {
    const auto bytes = scan::fragment_summary(fragment);
    if (!bytes) return report(bytes.error());
    const auto part = scan::Summary::from_bytes(*bytes);
    if (!part) return report(Error(part.error()).in_file(fragment));
    summary += *part;
  }
  return finish_scan(flags.result, *tests, *inputs, *corpus, summary, shares);
}

}  // namespace

Run add_merge_command(CLI::App& app) {
  auto flags = std::make_shared<MergeFlags>();
  app.add_option("fragment", flags->fragments, "All that 'scan --shard' wrote, each once")
      ->type_name("FRAGMENT")
      ->required();
  flags->tests.add_flags(app);
  flags->result.add_flags(app);
  app.footer(
      "\nThe result is that of the scan without shards, byte for byte. Keys and profiles are "
      "those\n"
      "of the scan; what else it depends on is in the fragments.\n"
      "\nExamples:\n"
      "  countermark merge -k 2026-11.key -p profile.json 1.cmf 2.cmf\n"
      "  countermark merge -k 2026-11.key -p profile.json --json -o scan.json parts/*.cmf");
  return [flags] { return run(*flags); };
}

}  // namespace countermark::cli
