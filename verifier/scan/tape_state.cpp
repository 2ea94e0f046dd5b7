// SPDX-License-Identifier: Apache-2.0
#include "verifier/scan/tape_state.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "verifier/scan/unite.h"

namespace countermark::scan {

TapeState::TapeState(CorpusTapeOptions options, std::optional<StateFolder> folder)
    : options_(std::move(options)),
      documents_(std::make_shared<Documents>(options_.settings)),
      plan_(MemoryPlan::make(options_.settings, options_.threads, options_.max_memory)),
      folder_(std::move(folder)),
      pool_(plan_.block_bytes, options_.max_memory) {
  if (folder_) progress_ = folder_->progress();
  renew_generation();
}

Status TapeState::load() {
  COUNTERMARK_TRY(const std::vector<Part> parts, open_parts());
  for (const Part& part : parts) {
    if (part.fragment.head().first_document != documents_->size())
      return fail(part.fragment.error_at(0, "expected the documents that follow those before it"));
    COUNTERMARK_CHECK(load_documents(part, settings(), *documents_));
    ++counters_.spills;
    counters_.spilled_bytes += part.fragment.size();
  }
  renew_generation();
  return {};
}

Result<std::vector<Part>> TapeState::open_parts() const {
  std::vector<Part> parts;
  if (!folder_) return parts;
  for (const std::string& path : folder_->fragments()) {
    COUNTERMARK_TRY(Fragment fragment, Fragment::open(path));
    fragment.forget_json();
    parts.push_back({std::move(fragment), 0});
  }
  return parts;
}

void TapeState::renew_generation() {
  current_ = {};
  current_.blocks.resize(settings().channels() * plan_.partitions());
  current_.first_document = static_cast<std::uint32_t>(documents_->size());
}

void TapeState::enter(WriterBuffers& writer) {
  const std::scoped_lock lock(mutex_);
  writer.state = this;
  writer.open.resize(settings().channels() * plan_.partitions());
  writer.recent.assign(settings().channels(), RecentTuples(plan_.recent_tuples));
  writers_.push_back(&writer);
}

void TapeState::leave(WriterBuffers& writer) {
  const std::scoped_lock lock(mutex_);
  hand_over(writer);
  writers_.erase(std::find(writers_.begin(), writers_.end(), &writer));
}

void TapeState::hand_over(WriterBuffers& writer) {
  for (std::size_t list = 0; list < writer.open.size(); ++list) {
    WriterBuffers::Open& open = writer.open[list];
    if (open.block != nullptr) take(open, list);
  }
}

void TapeState::take(WriterBuffers::Open& open, std::size_t list) {
  const auto words = static_cast<std::size_t>(open.at - open.block);
  counters_.records += words / (kRecordHead + settings().lanes[list / plan_.partitions()]);
  current_.blocks[list].push_back({open.block, words});
  ++current_.block_count;
  open = {};
}

Result<std::uint32_t> TapeState::add(const DocumentRow& row, std::string& bytes) {
  COUNTERMARK_CHECK(check_row(row, settings()));
  std::unique_lock lock(mutex_);
  if (failed_) return fail(*failed_);
  COUNTERMARK_TRY(const std::uint32_t document, documents_->add(row.content_hash, row.place));
  bytes.clear();
  write_row(bytes, document, row);
  current_.rows.add(row.place, bytes);
  ++counters_.documents;
  if (is_full()) COUNTERMARK_CHECK(spill(lock));
  return document;
}

Status TapeState::renew_block(WriterBuffers::Open& open, std::size_t list) {
  std::unique_lock lock(mutex_);
  if (failed_) return fail(*failed_);
  if (open.block != nullptr) {
    take(open, list);
    if (is_full()) COUNTERMARK_CHECK(spill(lock));
  }
  const std::size_t stride = kRecordHead + settings().lanes[list / plan_.partitions()];
  open.block = open.at = pool_.take();
  open.end = open.block + plan_.block_bytes / 4 / stride * stride;
  return {};
}

// Two generations, the blocks that writers fill, and what sorting a partition takes (twice its
// size, about) fit the limit.
bool TapeState::is_full() const {
  const std::uint64_t limit = options_.max_memory;
  const std::uint64_t budget = std::max(limit / 4, limit - std::min(limit, documents_->memory()));
  const std::uint64_t open = writers_.size() * (current_.blocks.size() * plan_.block_bytes +
                                                settings().channels() * plan_.recent_bytes());
  const std::uint64_t held = current_.block_count * plan_.block_bytes + current_.rows.bytes();
  const std::uint64_t partitions = plan_.partitions();
  return held * (2 * partitions + 4) >= (budget - std::min(budget, open)) * partitions;
}

void TapeState::note_peak(std::uint64_t more) {
  counters_.peak_memory = std::max(
      counters_.peak_memory, documents_->memory() + pool_.bytes() + current_.rows.bytes() + more +
                                 writers_.size() * settings().channels() * plan_.recent_bytes());
}

// Writes what waits, unless somebody else did meanwhile. Entered and left with the lock held.
Status TapeState::spill(std::unique_lock<std::mutex>& lock) {
  lock.unlock();
  const std::scoped_lock alone(spilling_);
  lock.lock();
  if (failed_) return fail(*failed_);
  return is_full() ? write_current(lock) : Status{};
}

Status TapeState::write_current(std::unique_lock<std::mutex>& lock) {
  note_peak();
  if (!folder_) {
    failed_ = Error{ErrorCode::kIo,
                    "the corpus needs more memory than it may have, and a folder to spill into"};
    return fail(*failed_);
  }
  Generation full = std::move(current_);
  renew_generation();
  lock.unlock();
  std::uint64_t scratch_bytes = 0;
  Status written = write(full, folder_->next(), scratch_bytes);
  lock.lock();
  note_peak(full.rows.bytes() + scratch_bytes);
  for (const auto& list : full.blocks)
    for (const Generation::Filled& filled : list) pool_.give(filled.block);
  if (!written) failed_ = written.error();
  return written;
}

Status TapeState::write(Generation& generation, const std::string& path,
                        std::uint64_t& scratch_bytes) {
  COUNTERMARK_TRY(FragmentWriter writer,
                  FragmentWriter::create(path, {settings(), generation.first_document, false}));
  Assigner assigner(*documents_);
  const Owned add = [&](unsigned, std::size_t channel, std::span<const std::uint32_t> records) {
    return writer.add_records(channel, records);
  };
  for (std::size_t list = 0; list < generation.blocks.size(); ++list)
    COUNTERMARK_CHECK(assign_list(generation, list, assigner, 0, add));
  scratch_bytes = assigner.memory();
  generation.rows.sort();
  for (std::size_t i = 0; i < generation.rows.size(); ++i)
    COUNTERMARK_CHECK(writer.add_row(generation.rows.row(i)));
  // All that those have lost so far: a later fragment knows better than an earlier one. Documents
  // that came while this one was written are not its own.
  const auto end = static_cast<std::uint32_t>(generation.first_document + generation.rows.size());
  const Documents::Range losers = documents_->take_losers(end);
  std::vector<std::uint32_t> lost;
  for (std::uint64_t i = losers.first; i <= losers.last; ++i) {
    const auto document = static_cast<std::uint32_t>(i);
    documents_->copy_lost(document, lost);
    COUNTERMARK_CHECK(writer.add_losses(document, lost));
  }
  COUNTERMARK_CHECK(writer.finish(options_.keep));
  folder_->add(path, writer.size(), writer.checksum());
  const std::scoped_lock lock(mutex_);
  ++counters_.spills;
  counters_.spilled_bytes += writer.size();
  return {};
}

Status TapeState::assign_list(const Generation& generation, std::size_t list, Assigner& assigner,
                              unsigned worker, const Owned& owned) const {
  const std::size_t channel = list / plan_.partitions();
  const std::size_t partition = list % plan_.partitions();
  std::vector<std::span<const std::uint32_t>> segments;
  for (const Generation::Filled& filled : generation.blocks[list])
    segments.emplace_back(filled.block, filled.words);
  if (segments.empty()) return {};
  return owned(worker, channel,
               assigner.assign(channel, settings().lanes[channel], segments, plan_.least(partition),
                               plan_.most(partition)));
}

Status TapeState::assign_in_memory(const Owned& owned, unsigned workers) const {
  std::atomic<std::size_t> next{0};
  std::vector<Status> statuses(workers);
  const auto work = [&](unsigned worker) {
    Assigner assigner(*documents_);
    for (std::size_t list = next++; list < current_.blocks.size() && statuses[worker];
         list = next++)
      statuses[worker] = assign_list(current_, list, assigner, worker, owned);
  };
  {
    std::vector<std::jthread> threads;
    for (unsigned worker = 1; worker < workers; ++worker) threads.emplace_back(work, worker);
    work(0);
  }
  for (const Status& status : statuses) COUNTERMARK_CHECK(status);
  return {};
}

Status TapeState::checkpoint(std::string_view progress) {
  const std::scoped_lock alone(spilling_);
  std::unique_lock lock(mutex_);
  if (failed_) return fail(*failed_);
  for (WriterBuffers* const writer : writers_) hand_over(*writer);
  if (current_.block_count > 0 || current_.rows.size() > 0) COUNTERMARK_CHECK(write_current(lock));
  COUNTERMARK_CHECK(folder_->commit(settings(), progress));
  progress_ = progress;
  return {};
}

CorpusTapeCounters TapeState::counters() const {
  const std::scoped_lock lock(mutex_);
  return counters_;
}

Result<std::unique_ptr<Rows>> TapeState::end(const Owned& owned, bool in_order) {
  const std::scoped_lock alone(spilling_);
  std::unique_lock lock(mutex_);
  if (failed_) return fail(*failed_);
  for (WriterBuffers* const writer : writers_) hand_over(*writer);
  note_peak();
  if (!folder_ || folder_->fragments().empty()) {
    COUNTERMARK_CHECK(assign_in_memory(owned, in_order ? 1 : std::max(options_.threads, 1U)));
    current_.rows.sort();
    return std::make_unique<Rows>(settings(), std::move(current_.rows));
  }
  if (current_.block_count > 0 || current_.rows.size() > 0) COUNTERMARK_CHECK(write_current(lock));
  pool_.clear();
  COUNTERMARK_TRY(std::vector<Part> parts, open_parts());
  COUNTERMARK_CHECK(unite(parts, settings(), *documents_,
                          [&](std::size_t channel, std::span<const std::uint32_t> records) {
                            return owned(0, channel, records);
                          }));
  return std::make_unique<Rows>(settings(), std::move(parts));
}

}  // namespace countermark::scan
