// SPDX-License-Identifier: Apache-2.0
// What the writers of a corpus tape share. For corpus_tape.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "verifier/scan/assign.h"
#include "verifier/scan/corpus_tape.h"
#include "verifier/scan/recent_tuples.h"
#include "verifier/scan/record_memory.h"
#include "verifier/scan/rows.h"
#include "verifier/scan/state_folder.h"

namespace countermark::scan {

class TapeState;

// What one writer has not handed over.
struct WriterBuffers {
  struct Open {
    std::uint32_t* at = nullptr;
    std::uint32_t* end = nullptr;
    std::uint32_t* block = nullptr;
  };

  TapeState* state = nullptr;
  std::vector<Open> open{};                // [channel * partitions + partition]
  std::vector<RecentTuples> recent{};      // by channel
  std::vector<std::uint64_t> lost_sums{};  // by lane of one channel, reused
  std::string row{};                       // reused
};

class TapeState {
 public:
  // Distinct records of a channel, from one thread for each worker.
  using Owned = std::function<Status(unsigned worker, std::size_t channel,
                                     std::span<const std::uint32_t> records)>;

  TapeState(CorpusTapeOptions options, std::optional<StateFolder> folder);

  // Of the fragments that are in the folder.
  Status load();

  const CorpusTapeOptions& options() const noexcept { return options_; }
  const Settings& settings() const noexcept { return options_.settings; }
  const MemoryPlan& plan() const noexcept { return plan_; }
  const std::optional<std::string>& progress() const noexcept { return progress_; }
  const std::shared_ptr<Documents>& documents() const noexcept { return documents_; }

  void enter(WriterBuffers& writer);
  void leave(WriterBuffers& writer);

  Result<std::uint32_t> add(const DocumentRow& row, std::string& bytes);
  // Takes the block that a writer filled, if there is one, and gives it an empty one. May spill.
  Status renew_block(WriterBuffers::Open& open, std::size_t list);

  Status checkpoint(std::string_view progress);
  CorpusTapeCounters counters() const;

  // Calls `owned` with all distinct records, from one thread or, where all is in memory, from as
  // many as the options say and `in_order` allows. Returns the rows.
  Result<std::unique_ptr<Rows>> end(const Owned& owned, bool in_order);

 private:
  bool is_full() const;
  // `more`: bytes besides what waits.
  void note_peak(std::uint64_t more = 0);
  void hand_over(WriterBuffers& writer);
  void take(WriterBuffers::Open& open, std::size_t list);
  void renew_generation();
  Status spill(std::unique_lock<std::mutex>& lock);
  Status write_current(std::unique_lock<std::mutex>& lock);
  Status write(Generation& generation, const std::string& path, std::uint64_t& scratch_bytes);
  Result<std::vector<Part>> open_parts() const;
  Status assign_list(const Generation& generation, std::size_t list, Assigner& assigner,
                     unsigned worker, const Owned& owned) const;
  Status assign_in_memory(const Owned& owned, unsigned workers) const;

  CorpusTapeOptions options_;
  std::shared_ptr<Documents> documents_;
  MemoryPlan plan_;
  std::optional<StateFolder> folder_;
  std::optional<std::string> progress_{};

  // Of the folder. One spill at a time, while the others fill the next generation; taken before
  // `mutex_`.
  std::mutex spilling_;
  mutable std::mutex mutex_;  // of what follows
  BlockPool pool_;
  Generation current_{};
  std::optional<Error> failed_{};
  std::vector<WriterBuffers*> writers_{};
  CorpusTapeCounters counters_{};
};

}  // namespace countermark::scan
