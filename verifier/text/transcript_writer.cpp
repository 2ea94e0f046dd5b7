// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/transcript_writer.h"

#include <pthread.h>

#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include "verifier/io/file.h"

namespace countermark::text {
namespace {

// One write to the file holds about so much: records of a few seconds, not of a slow hour.
constexpr std::size_t kBatch = std::size_t{1} << 20;

// What a record takes while it waits, about.
std::size_t size_of(const Transcript& transcript) {
  std::size_t size = sizeof(Transcript) + transcript.id.size() + transcript.profile.size() +
                     sizeof(std::uint32_t) * (transcript.slots.size() + transcript.ids.size());
  // Names come from clients.
  for (const auto* text : {&transcript.text, &transcript.account, &transcript.cohort})
    if (*text) size += (*text)->size();
  if (transcript.prompt_ids) size += sizeof(TokenId) * transcript.prompt_ids->size();
  return size;
}

}  // namespace

// `file` is the thread's alone; everything else is under the lock.
struct TranscriptWriter::Shared {
  Shared(io::LineFile opened, std::size_t most) : file(std::move(opened)), most_bytes(most) {}

  void run();
  void write_batch(const std::vector<Transcript>& batch);

  io::LineFile file;
  const std::size_t most_bytes;
  std::mutex closing{};  // held by close() throughout

  std::mutex lock{};
  std::condition_variable changed{};  // a record came, closing was asked for, the thread is done
  std::deque<Transcript> queue{};
  std::size_t bytes = 0;      // of the queue
  std::size_t in_flight = 0;  // records of the batch that is being written
  bool is_closing = false;
  bool is_abandoned = false;  // close() has counted what waits as dropped
  bool is_done = false;
  TranscriptCounters counters{};
};

void TranscriptWriter::Shared::run() {
  // The server's signals are for its own threads, and a pipe that breaks must not end it.
  ::sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
  std::unique_lock held(lock);
  for (;;) {
    changed.wait(held, [this] { return is_closing || !queue.empty(); });
    if (queue.empty() || is_abandoned) break;
    std::vector<Transcript> batch;
    for (std::size_t taken = 0; !queue.empty() && taken < kBatch; queue.pop_front()) {
      const std::size_t size = size_of(queue.front());
      taken += size;
      bytes -= size;
      batch.push_back(std::move(queue.front()));
    }
    in_flight = batch.size();
    held.unlock();
    write_batch(batch);
    held.lock();
  }
  is_done = true;
  changed.notify_all();
}

void TranscriptWriter::Shared::write_batch(const std::vector<Transcript>& batch) {
  std::string lines;
  std::vector<std::size_t> ends;  // of each record's line
  for (const Transcript& transcript : batch) {
    const std::string line = to_json_line(transcript);
    if (line.size() > kLongestTranscript) continue;
    lines += line;
    ends.push_back(lines.size());
  }
  const std::size_t reached = file.append(lines);
  const std::lock_guard held(lock);
  if (is_abandoned) return;
  std::uint64_t whole = 0;
  for (const std::size_t end : ends) whole += end <= reached ? 1 : 0;
  counters.written += whole;
  counters.failed += batch.size() - whole;
  in_flight = 0;
}

Result<TranscriptWriter> TranscriptWriter::open(const std::string& path,
                                                TranscriptWriterOptions options) {
  COUNTERMARK_TRY(io::LineFile file, io::LineFile::open(path));
  return TranscriptWriter(std::make_shared<Shared>(std::move(file), options.most_bytes),
                          options.patience);
}

TranscriptWriter::TranscriptWriter(std::shared_ptr<Shared> shared,
                                   std::chrono::milliseconds patience)
    : shared_(std::move(shared)),
      patience_(patience),
      thread_([state = shared_] { state->run(); }) {}

Result<bool> TranscriptWriter::write(Transcript transcript) {
  COUNTERMARK_CHECK(check_transcript(transcript));
  const std::size_t size = size_of(transcript);
  {
    const std::lock_guard held(shared_->lock);
    if (shared_->is_closing || size > shared_->most_bytes - shared_->bytes) {
      ++shared_->counters.dropped;
      return false;
    }
    shared_->bytes += size;
    shared_->queue.push_back(std::move(transcript));
  }
  shared_->changed.notify_one();
  return true;
}

void TranscriptWriter::close() {
  if (!shared_) return;  // moved from
  const std::lock_guard once(shared_->closing);
  if (!thread_.joinable()) return;
  std::unique_lock held(shared_->lock);
  shared_->is_closing = true;
  shared_->changed.notify_all();
  if (shared_->changed.wait_for(held, patience_, [this] { return shared_->is_done; })) {
    held.unlock();
    thread_.join();
    return;
  }
  // The thread is inside the operating system, and may stay there. What it writes after this is
  // in the file though it was counted as dropped.
  shared_->is_abandoned = true;
  shared_->counters.dropped += shared_->in_flight + shared_->queue.size();
  shared_->queue.clear();
  held.unlock();
  thread_.detach();
}

TranscriptCounters TranscriptWriter::counters() const {
  const std::lock_guard held(shared_->lock);
  return shared_->counters;
}

}  // namespace countermark::text
