// SPDX-License-Identifier: Apache-2.0
// scan: a dataset, one verdict for all of it
#include <atomic>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "cli/command.h"
#include "cli/progress.h"
#include "cli/reader_flags.h"
#include "cli/scan_result.h"
#include "verifier/scan/scanner.h"
#include "verifier/text/inputs.h"

namespace countermark::cli {
namespace {

struct ScanFlags {
  ScanTestFlags tests{};
  ScanResultFlags result{};
  scan::ScanOptions scan{};
  std::string shard{};
};

// Set by a first interrupt: the scan then ends at the next batch, behind a checkpoint.
std::atomic<bool> stop_asked{false};
extern "C" void ask_to_stop(int /*signal*/) {
  stop_asked = true;
  // A second one ends the process at once.
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

// "2/8": the second of eight.
Result<scan::Shard> parse_shard(const std::string& text) {
  if (text.empty()) return scan::Shard{};
  const auto bad = [&] {
    return fail(ErrorCode::kInvalidArgument, "--shard: expected I/N with 1 <= I <= N <= 65536");
  };
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos) return bad();
  std::uint32_t index = 0;
  std::uint32_t count = 0;
  if (!CLI::detail::lexical_cast(text.substr(0, slash), index) ||
      !CLI::detail::lexical_cast(text.substr(slash + 1), count) || index < 1 || index > count ||
      count > 65'536)
    return bad();
  return scan::Shard{index - 1, count};
}

std::uint64_t total_bytes(const std::vector<std::string>& inputs) {
  std::uint64_t total = 0;
  for (const std::string& input : inputs) {
    std::error_code error;
    const auto size = std::filesystem::file_size(input, error);
    if (error) return 0;
    total += size;
  }
  return total;
}

// Reads everything; nothing when it was interrupted.
Result<std::optional<scan::Scanned>> read_all(const ScanFlags& flags, const scan::Tests& tests) {
  constexpr std::uint64_t kMegabyte = 1'000'000;
  scan::ScanOptions options = flags.scan;
  Progress progress("MB", total_bytes(options.inputs) / kMegabyte);
  std::uint64_t shown = 0;
  options.progress = [&](std::uint64_t bytes, std::uint64_t /*documents*/) {
    progress.advance(bytes / kMegabyte - shown);
    shown = bytes / kMegabyte;
  };
  options.skipped = [](const Error& error) { say("countermark: skipped: " + error.describe()); };
  options.stop = &stop_asked;
  std::signal(SIGINT, ask_to_stop);
  std::signal(SIGTERM, ask_to_stop);
  auto scanned = scan::scan(tests, options);
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  return scanned;
}

int run(ScanFlags flags) {
  if (const Status ready = flags.result.check(); !ready) return report(ready.error());
  const auto shard = parse_shard(flags.shard);
  if (!shard) return report(shard.error());
  flags.scan.shard = *shard;
  if (shard->count > 1 && (flags.result.output.path.empty() || flags.result.output.path == "-"))
    return report({ErrorCode::kInvalidArgument, "--shard needs -o FILE for its fragment"});
  auto inputs = text::expand_inputs(flags.scan.inputs);
  if (!inputs) return report(inputs.error());
  flags.scan.inputs = std::move(*inputs);
  flags.scan.threads = flags.result.thread_count();
  if (flags.result.decoys == 0) flags.scan.sample_tokens = 0;
  const auto tests = flags.tests.load();
  if (!tests) return report(tests.error());

  auto scanned = read_all(flags, *tests);
  if (!scanned) return report(scanned.error());
  if (!*scanned) {
    say(flags.scan.state.empty() ? "countermark: interrupted; with --state it could go on later"
                                 : "countermark: interrupted; the same command goes on from here");
    return kInterrupted;
  }
  scan::CorpusTape& tape = (*scanned)->tape;
  const scan::Summary& summary = (*scanned)->summary;
  if (summary.bad_records > 0)
    say("countermark: skipped " + std::to_string(summary.bad_records) + " bad records");
  if (shard->count > 1) {
    if (flags.result.output.force) std::remove(flags.result.output.path.c_str());
    const Status written = tape.finish_shard(flags.result.output.path, summary.to_bytes());
    return written ? kDone : report(written.error());
  }
  scan::ShareCounter shares(*tests, channels_of(*tests), flags.scan.threads);
  const auto corpus = tape.finish(std::ref(shares));
  if (!corpus) return report(corpus.error());
  return finish_scan(flags.result, *tests, flags.scan.inputs, *corpus, summary, shares);
}

}  // namespace

Run add_scan_command(CLI::App& app) {
  auto flags = std::make_shared<ScanFlags>();
  app.add_option("input", flags->scan.inputs, "Files, folders, 'patterns*', '-'; .gz and .zst, too")
      ->type_name("INPUT")
      ->required();
  flags->tests.add_flags(app);
  add_reader_flags(app, flags->scan.reader);
  app.add_flag("--skip-bad", flags->scan.skip_bad, "Report records that cannot be read, and go on");
  app.add_option("--max-memory", flags->scan.max_memory,
                 "For the corpus' tuples, 500M or 4G; more are kept in files")
      ->transform(CLI::AsSizeValue(false))
      ->default_str("4G");
  app.add_option("--state", flags->scan.state,
                 "Folder for checkpoints: after a kill the same command goes on from there")
      ->type_name("DIR");
  app.add_option("--checkpoint-seconds", flags->scan.checkpoint_seconds, "Between two checkpoints")
      ->capture_default_str()
      ->type_name("N");
  app.add_option("--shard", flags->shard, "Read part I of N only, and write a fragment for merge")
      ->type_name("I/N");
  app.add_option("--decoy-tokens", flags->scan.sample_tokens,
                 "Tokens of the sample that the decoys are compared on")
      ->capture_default_str()
      ->type_name("N")
      ->check(CLI::Range(0, 5'000'000));
  flags->result.add_flags(app);
  app.footer(
      "\nOne verdict for all documents together: every tuple counts once, however often it is\n"
      "copied. Beside it: a lower bound of the marked share, a list of documents at a false\n"
      "discovery rate, and the key's rank among decoys over a sample.\n"
      "\nExamples:\n"
      "  countermark scan -k 2026-11.key -p profile.json --documents lines.jsonl crawl/\n"
      "  countermark scan -k 2026-11.key -p profile.json --state work --shard 1/8 -o 1.cmf "
      "crawl/");
  return [flags] { return run(*flags); };
}

}  // namespace countermark::cli
