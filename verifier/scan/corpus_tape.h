// SPDX-License-Identifier: Apache-2.0
// One tape for a whole corpus: which tuples it has, and which document owns each of them.
//
// Documents come from many threads and in any order. Records wait in memory, up to a limit; then
// they are sorted, each tuple is given to the first of its documents, and what is left is spilled
// as a fragment into a folder. The end unites the fragments. The same folder lets a scan go on
// after it was killed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "verifier/scan/corpus.h"
#include "verifier/scan/documents.h"
#include "verifier/scan/settings.h"
#include "watermark/error.h"

namespace countermark::scan {

struct CorpusTapeOptions {
  Settings settings{};
  // Bytes for the documents, their rows, and records. The documents' part grows with them; records
  // and rows get what it leaves, and a quarter of the limit at least.
  std::uint64_t max_memory = std::uint64_t{1} << 30;
  unsigned threads = 1;  // that finish() may use
  // Where fragments are spilled; made if it is not there. Without `keep` it must be the caller's
  // own: files are removed when the tape is gone. Empty: a full memory is an error (kIo).
  std::string folder{};
  // A folder with checkpoints: what is in it of the same settings is gone on with.
  bool keep = false;
};

// What has happened so far.
struct CorpusTapeCounters {
  std::uint64_t documents = 0;
  std::uint64_t records = 0;        // handed over, since the tape was opened
  std::uint64_t spilled_bytes = 0;  // in the folder
  std::uint64_t spills = 0;         // fragments in the folder
  std::uint64_t peak_memory = 0;    // bytes, of what max_memory limits
};

class TapeState;
struct WriterBuffers;

class CorpusTape {
 public:
  // kMismatch when the folder holds work under other settings, kIo when another process works in
  // it, kInvalidInput when a fragment is corrupt. kInvalidArgument for settings without a lane.
  static Result<CorpusTape> open(CorpusTapeOptions options);

  CorpusTape(CorpusTape&&) noexcept;
  CorpusTape& operator=(CorpusTape&&) noexcept;
  ~CorpusTape();

  // One thread's door to the tape. Goes before the tape does.
  class Writer {
   public:
    Writer(Writer&&) noexcept;
    Writer& operator=(Writer&&) = delete;
    ~Writer();

    // A document's number for append(). The row's own tallies are its records' sums by lane.
    // kInvalidArgument for a row that does not fit the settings or has more than it may.
    Result<std::uint32_t> add(const DocumentRow& row);

    // The tuples of one channel of a document: scores[lane * fingerprints.size() + i], `lane`
    // counted in the channel. In one document and channel a fingerprint comes once. May spill,
    // and then fail as the disk does.
    Status append(std::size_t channel, std::uint32_t document,
                  std::span<const std::uint64_t> fingerprints,
                  std::span<const std::uint32_t> scores);

   private:
    friend class CorpusTape;
    explicit Writer(TapeState& state);
    template <typename Lanes>
    Status append_lanes(std::size_t channel, std::uint32_t document,
                        std::span<const std::uint64_t> fingerprints,
                        std::span<const std::uint32_t> scores, Lanes lanes);
    std::unique_ptr<WriterBuffers> buffers_;
  };

  Writer writer();

  // The caller's words of the last checkpoint in the folder; none in a new one.
  const std::optional<std::string>& progress() const noexcept;

  // Makes what was added so far survive everything but the loss of the disk, together with
  // `progress`: where reading goes on. No writer is at work meanwhile, and each document has all
  // its records. Only with `keep`, else kInvalidArgument. After an error the last checkpoint
  // stands.
  Status checkpoint(std::string_view progress);

  CorpusTapeCounters counters() const;

  // Gives each tuple to its document. No writer is at work; nothing may be added afterwards. The
  // corpus reads the folder, so the tape stays until it is gone.
  Result<Corpus> finish(const WinnerScores& winners = {});

  // Instead of finish(): the shard's fragment for merge(), one file, put in place when it is whole.
  // Its bytes do not depend on threads and memory. `summary` is the caller's, at most 2^25 bytes,
  // and handed on by merge(). kExists when there is one.
  Status finish_shard(const std::string& path, std::string_view summary = {});

 private:
  explicit CorpusTape(std::unique_ptr<TapeState> state);
  std::unique_ptr<TapeState> state_;
};

}  // namespace countermark::scan
