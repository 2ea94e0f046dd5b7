// SPDX-License-Identifier: Apache-2.0
#include "verifier/scan/record_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>

#include "verifier/scan/assign.h"

namespace countermark::scan {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kRowChunk = std::size_t{1} << 16;

}  // namespace

MemoryPlan MemoryPlan::make(const Settings& settings, unsigned threads, std::uint64_t memory) {
  // The first is the fastest where memory does not matter.
  constexpr MemoryPlan kPlans[] = {{8, 4160}, {6, 4160}, {4, 4160}, {4, 1024},
                                   {4, 256},  {2, 256},  {1, 256}};
  MemoryPlan plan;
  for (const MemoryPlan& candidate : kPlans) {
    plan = candidate;
    if (threads * settings.channels() * plan.partitions() * plan.block_bytes <= memory / 4) break;
  }
  const std::uint32_t most = *std::max_element(settings.lanes.begin(), settings.lanes.end());
  plan.block_bytes = std::max(plan.block_bytes, 4 * (kRecordHead + most));
  // What the second-level cache holds, of all channels together.
  constexpr std::uint64_t kRecent = std::uint64_t{1} << 16;
  const std::uint64_t room =
      std::min(kRecent, memory / 16 / RecentTuples::kBytes / threads) / settings.channels();
  plan.recent_tuples = std::bit_floor(static_cast<std::size_t>(room));
  return plan;
}

void BlockPool::Free::operator()(std::uint32_t* memory) const noexcept { std::free(memory); }

BlockPool::BlockPool(std::size_t block_bytes, std::uint64_t memory) : block_bytes_(block_bytes) {
  const std::size_t blocks =
      static_cast<std::size_t>(std::min<std::uint64_t>(memory / 64, kHugePage)) / block_bytes;
  chunk_bytes_ = std::max(blocks, std::size_t{1}) * block_bytes;
}

std::uint32_t* BlockPool::take() {
  if (free_.empty()) {
    // Large pages where there are any: blocks are written all over the place.
    const std::size_t size = (chunk_bytes_ + kPage - 1) / kPage * kPage;
    void* const memory = std::aligned_alloc(size == kHugePage ? kHugePage : kPage, size);
    if (memory == nullptr) throw std::bad_alloc();
    ::madvise(memory, size, MADV_HUGEPAGE);
    auto* const words = static_cast<std::uint32_t*>(memory);
    chunks_.emplace_back(words);
    for (std::size_t at = chunk_bytes_; at > 0; at -= block_bytes_)
      free_.push_back(words + (at - block_bytes_) / 4);
  }
  std::uint32_t* const block = free_.back();
  free_.pop_back();
  return block;
}

void BlockPool::clear() {
  free_.clear();
  chunks_.clear();
}

void MemoryRows::add(Place place, std::string_view row) {
  if (chunks_.empty() || chunks_.back().size() + row.size() > chunks_.back().capacity()) {
    chunks_.emplace_back();
    chunks_.back().reserve(std::max(kRowChunk, row.size()));
    bytes_ += chunks_.back().capacity();
  }
  std::string& chunk = chunks_.back();
  entries_.push_back({place, static_cast<std::uint32_t>(chunks_.size() - 1),
                      static_cast<std::uint32_t>(chunk.size()),
                      static_cast<std::uint32_t>(row.size())});
  chunk += row;
}

void MemoryRows::sort() {
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& a, const Entry& b) { return a.place < b.place; });
}

}  // namespace countermark::scan
