// SPDX-License-Identifier: Apache-2.0
#include "verifier/scan/corpus_tape.h"

#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "verifier/scan/tape_state.h"
#include "verifier/scan/winner_tallies.h"

namespace countermark::scan {

Result<CorpusTape> CorpusTape::open(CorpusTapeOptions options) {
  COUNTERMARK_CHECK(check_settings(options.settings));
  std::optional<StateFolder> folder;
  if (options.keep) {
    COUNTERMARK_TRY(folder, StateFolder::keep(options.folder, options.settings));
  } else if (!options.folder.empty()) {
    COUNTERMARK_TRY(folder, StateFolder::scratch(options.folder));
  }
  auto state = std::make_unique<TapeState>(std::move(options), std::move(folder));
  COUNTERMARK_CHECK(state->load());
  return CorpusTape(std::move(state));
}

CorpusTape::CorpusTape(std::unique_ptr<TapeState> state) : state_(std::move(state)) {}
CorpusTape::CorpusTape(CorpusTape&&) noexcept = default;
CorpusTape& CorpusTape::operator=(CorpusTape&&) noexcept = default;
CorpusTape::~CorpusTape() = default;

CorpusTape::Writer CorpusTape::writer() { return Writer(*state_); }

const std::optional<std::string>& CorpusTape::progress() const noexcept {
  return state_->progress();
}

CorpusTapeCounters CorpusTape::counters() const { return state_->counters(); }

Status CorpusTape::checkpoint(std::string_view progress) {
  if (!state_->options().keep)
    return fail(ErrorCode::kInvalidArgument, "expected a folder that is kept");
  return state_->checkpoint(progress);
}

Result<Corpus> CorpusTape::finish(const WinnerScores& winners) {
  WinnerTallies tallies(state_->settings(), winners, std::max(state_->options().threads, 1U));
  COUNTERMARK_TRY(std::unique_ptr<const Rows> rows,
                  state_->end(
                      [&](unsigned worker, std::size_t channel,
                          std::span<const std::uint32_t> records) -> Status {
                        tallies.add(worker, channel, records);
                        return {};
                      },
                      false));
  return Corpus(state_->documents(), std::move(rows), tallies.totals());
}

// Documents get the numbers of their order in the inputs.
Status CorpusTape::finish_shard(const std::string& path, std::string_view summary) {
  const std::shared_ptr<Documents> documents = state_->documents();
  const std::vector<std::uint32_t> order = documents->in_order();
  std::vector<std::uint32_t> numbers(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) numbers[order[i]] = static_cast<std::uint32_t>(i);

  if (::access(path.c_str(), F_OK) == 0)
    return fail(Error{ErrorCode::kExists, "is already there", path});
  COUNTERMARK_TRY(FragmentWriter writer,
                  FragmentWriter::create(path + ".part-" + std::to_string(::getpid()),
                                         {state_->settings(), 0, true, std::string(summary)}));
  std::vector<std::uint32_t> renumbered;
  COUNTERMARK_TRY(const std::unique_ptr<Rows> rows,
                  state_->end(
                      [&](unsigned, std::size_t channel, std::span<const std::uint32_t> records) {
                        const std::size_t stride = kRecordHead + state_->settings().lanes[channel];
                        renumbered.assign(records.begin(), records.end());
                        for (std::size_t i = 2; i < renumbered.size(); i += stride)
                          renumbered[i] = numbers[renumbered[i]];
                        return writer.add_records(channel, renumbered);
                      },
                      true));
  std::string bytes;
  COUNTERMARK_CHECK(rows->each([&](NumberedRow& row) {
    bytes.clear();
    write_row(bytes, numbers[row.document], row.row);
    return writer.add_row(bytes);
  }));
  for (std::size_t i = 0; i < order.size(); ++i)
    COUNTERMARK_CHECK(writer.add_losses(static_cast<std::uint32_t>(i), documents->lost(order[i])));
  return writer.finish_as(path);
}

CorpusTape::Writer::Writer(TapeState& state) : buffers_(std::make_unique<WriterBuffers>()) {
  state.enter(*buffers_);
}
CorpusTape::Writer::Writer(Writer&&) noexcept = default;
CorpusTape::Writer::~Writer() {
  if (buffers_) buffers_->state->leave(*buffers_);
}

Result<std::uint32_t> CorpusTape::Writer::add(const DocumentRow& row) {
  return buffers_->state->add(row, buffers_->row);
}

Status CorpusTape::Writer::append(std::size_t channel, std::uint32_t document,
                                  std::span<const std::uint64_t> fingerprints,
                                  std::span<const std::uint32_t> scores) {
  // Nearly always there is one lane, which then takes no loop.
  if (buffers_->state->settings().lanes[channel] == 1)
    return append_lanes(channel, document, fingerprints, scores,
                        std::integral_constant<std::size_t, 1>());
  return append_lanes(channel, document, fingerprints, scores,
                      std::size_t{buffers_->state->settings().lanes[channel]});
}

template <typename Lanes>
Status CorpusTape::Writer::append_lanes(std::size_t channel, std::uint32_t document,
                                        std::span<const std::uint64_t> fingerprints,
                                        std::span<const std::uint32_t> scores, Lanes lanes) {
  constexpr std::size_t kAhead = 24;
  constexpr std::size_t kLineWords = 16;  // so many streams no processor fetches ahead by itself
  TapeState& state = *buffers_->state;
  const std::size_t size = fingerprints.size();
  assert(scores.size() == size * lanes);
  const MemoryPlan plan = state.plan();
  const std::size_t first_list = channel * plan.partitions();
  const unsigned shift = 64 - plan.partition_bits;
  WriterBuffers::Open* const open = &buffers_->open[first_list];
  RecentTuples& recent = buffers_->recent[channel];
  std::vector<std::uint64_t>& lost_sums = buffers_->lost_sums;
  const Documents& documents = *state.documents();
  const std::uint32_t order = documents.orders().of(document);
  std::uint32_t lost = 0;
  lost_sums.assign(lanes, 0);
  for (std::size_t i = 0; i < size; ++i) {
    const std::uint64_t fingerprint = fingerprints[i];
    if (!recent.is_empty()) {
      if (i + kAhead < size) recent.fetch(fingerprints[i + kAhead]);
      if (recent.belongs_to_other(fingerprint, document, order, documents)) {
        ++lost;
        for (std::size_t lane = 0; lane < lanes; ++lane) lost_sums[lane] += scores[lane * size + i];
        continue;
      }
    }
    const std::size_t partition = fingerprint >> shift;
    WriterBuffers::Open& mine = open[partition];
    if (mine.at == mine.end) COUNTERMARK_CHECK(state.renew_block(mine, first_list + partition));
    std::uint32_t* const at = mine.at;
    std::memcpy(at, &fingerprint, 8);
    at[2] = document;
    for (std::size_t lane = 0; lane < lanes; ++lane)
      at[kRecordHead + lane] = scores[lane * size + i];
    mine.at = at + kRecordHead + lanes;
    __builtin_prefetch(mine.at + kLineWords, 1);
  }
  if (lost > 0) state.documents()->lose(channel, document, lost, lost_sums);
  return {};
}

}  // namespace countermark::scan
