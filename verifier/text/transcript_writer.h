// SPDX-License-Identifier: Apache-2.0
// Transcripts while a server runs: a step hands over a record, a thread of the writer's own does
// the rest. A slow or broken disk costs records, which are counted, and never a step.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "verifier/text/transcript.h"
#include "watermark/error.h"

namespace countermark::text {

struct TranscriptWriterOptions {
  // Of the records that wait, about: then further ones are dropped.
  std::size_t most_bytes = std::size_t{64} << 20;
  // How long close() waits for a disk that does not answer.
  std::chrono::milliseconds patience{5000};
};

// Each record handed over is in one of them, or still waits.
struct TranscriptCounters {
  std::uint64_t written = 0;  // handed to the operating system, whole
  std::uint64_t dropped = 0;  // there was no room, or close() ran out of patience
  std::uint64_t failed = 0;   // refused by the disk or too long to be read back

  bool operator==(const TranscriptCounters&) const = default;
};

// Appends to a file of transcripts. All functions may be called from many threads at once; records
// of one thread keep their order. A file that is put aside (renamed, removed) is followed by a new
// one. Survives the process's crash up to the records that waited, not the machine's: nothing is
// synced.
class TranscriptWriter {
 public:
  // Opens the file, which is made readable by its owner alone, or a pipe; kIo or kPermission when
  // that fails: the server must not start.
  static Result<TranscriptWriter> open(const std::string& path,
                                       TranscriptWriterOptions options = {});

  TranscriptWriter(TranscriptWriter&&) noexcept = default;
  TranscriptWriter& operator=(TranscriptWriter&&) = delete;
  ~TranscriptWriter() { close(); }

  // Queues the record; false when it was dropped. Never waits for the file: takes a lock for as
  // long as it takes to move the record. kInvalidArgument for one that breaks a rule of Transcript.
  Result<bool> write(Transcript transcript);

  // Writes what waits and ends the thread, or gives up after the patience of the options. Further
  // records are dropped. The destructor does it, too.
  void close();

  TranscriptCounters counters() const;

 private:
  struct Shared;

  TranscriptWriter(std::shared_ptr<Shared> shared, std::chrono::milliseconds patience);

  // Shared with the thread, which outlives the writer where the disk never answers.
  std::shared_ptr<Shared> shared_;
  std::chrono::milliseconds patience_;
  std::thread thread_;
};

}  // namespace countermark::text
