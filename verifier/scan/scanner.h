// SPDX-License-Identifier: Apache-2.0
// A dataset through all tests: from its inputs to a corpus of scored tuples.
//
// Threads take batches of records in turn, parse, tokenize and score them, and put them on the tape
// as they are done. Nothing that comes out depends on their number or order; bad records are told
// in the order of the inputs.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "verifier/io/temporary_folder.h"
#include "verifier/scan/corpus_tape.h"
#include "verifier/scan/summary.h"
#include "verifier/scan/tests.h"
#include "verifier/text/raw_records.h"
#include "verifier/text/tokenizer.h"

namespace countermark::scan {

struct ScanOptions {
  std::vector<std::string> inputs{};  // files, or "-" (text::expand_inputs)
  text::ReaderOptions reader{};
  Shard shard{};
  std::uint64_t sample_tokens = 50'000;
  bool skip_bad = false;
  std::uint64_t max_memory = std::uint64_t{4} << 30;
  unsigned threads = 1;
  // Where checkpoints are kept, and records that find no room in memory; "": none, and a folder of
  // the process's own below the system's for temporary files.
  std::string state{};
  unsigned checkpoint_seconds = 60;

  // Called now and then, from one thread at a time.
  std::function<void(std::uint64_t bytes_read, std::uint64_t documents)> progress{};
  // Of records that are skipped.
  std::function<void(const Error&)> skipped{};
  // Set from outside to stop at the next batch, after a checkpoint.
  const std::atomic<bool>* stop = nullptr;
};

// All that the result depends on, as canonical JSON without secrets: what fragments and checkpoints
// are compared by.
std::string settings_json(const Tests& tests, const ScanOptions& options);

// The names of the inputs in such settings. kMismatch when they are not of these tests.
Result<std::vector<std::string>> inputs_of(const std::string& settings, const Tests& tests);

// A scan whose documents have all been read.
struct Scanned {
  // What the tape spills to when no state folder is given: it goes after the tape.
  std::optional<io::TemporaryFolder> folder{};
  CorpusTape tape;
  Summary summary;
  bool resumed = false;
};

// Reads all inputs, or those of the shard. The first bad record, in the order of the inputs, ends
// it unless bad records are skipped. Errors name the file. With a state folder whose work has the
// same settings it goes on from there. Nothing when `stop` was set: what was read is then in the
// state folder.
Result<std::optional<Scanned>> scan(const Tests& tests, const ScanOptions& options);

}  // namespace countermark::scan
