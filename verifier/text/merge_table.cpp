// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/merge_table.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <numeric>
#include <span>
#include <tuple>
#include <utility>

namespace countermark::text {
namespace {

// Few enough that a pilot is found after some tries, and that pilots take little memory.
constexpr std::size_t kBucket = 4;
// Both shifts must be less than 64.
constexpr std::size_t kFewest = 16;
constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15;

void keep_later(std::vector<Merge>& merges) {
  const auto pair = [](const Merge& merge) { return std::tuple(merge.left, merge.right); };
  std::stable_sort(merges.begin(), merges.end(),
                   [&](const Merge& a, const Merge& b) { return pair(a) < pair(b); });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < merges.size(); ++i) {
    if (i + 1 < merges.size() && pair(merges[i]) == pair(merges[i + 1])) continue;
    merges[kept++] = merges[i];
  }
  merges.resize(kept);
}

}  // namespace

MergeTable::MergeTable(std::vector<Merge> merges) : merges_(std::move(merges)) {
  assert(merges_.size() < std::size_t{1} << 31);
  keep_later(merges_);
  std::stable_sort(merges_.begin(), merges_.end(),
                   [](const Merge& a, const Merge& b) { return a.rank < b.rank; });
  renumber();
  const std::size_t size = merges_.size();
  notes_.resize(std::bit_ceil(std::max(size + size / 4, kFewest)));
  pilots_.resize(std::bit_ceil(std::max(size / kBucket, kFewest)));
  shift_ = 64 - std::countr_zero(notes_.size());
  pilot_shift_ = 64 - std::countr_zero(pilots_.size());
  numbers_ = static_cast<std::uint32_t>(notes_.size() - 1);
  // Any odd multiplier does, but for pairs that were chosen against it.
  do {
    multiplier_ += kGolden << 1 | (multiplier_ == 0);
  } while (!fill());
  low_.assign(std::size_t{kLow} * kLow, kNoRank);
  for (const Merge& merge : merges_)
    if ((merge.left | merge.right) < kLow) low_[merge.left * kLow + merge.right] = merge.rank;
}

// Gives ranks without gaps to merges that are sorted by theirs, and puts an end behind them.
void MergeTable::renumber() {
  for (std::size_t i = 0, next = 0; i < merges_.size(); i = next) {
    firsts_.push_back(static_cast<std::uint32_t>(i));
    const std::uint32_t rank = merges_[i].rank;
    for (; next < merges_.size() && merges_[next].rank == rank; ++next) merges_[next].rank = ranks_;
    ++ranks_;
  }
  firsts_.push_back(static_cast<std::uint32_t>(merges_.size()));
  if (ranks_ == merges_.size()) firsts_ = {};
  merges_.push_back({kNoToken, kNoToken, kNoRank, kNoToken});
}

// The merge of a rank that has the pair, if one has it.
std::size_t MergeTable::find_in(std::uint32_t rank, TokenId left, TokenId right) const {
  const auto found = std::lower_bound(
      merges_.begin() + firsts_[rank], merges_.begin() + firsts_[rank + 1], std::pair(left, right),
      [](const Merge& merge, const std::pair<TokenId, TokenId>& pair) {
        return std::pair(merge.left, merge.right) < pair;
      });
  return static_cast<std::size_t>(found - merges_.begin());
}

// Gives each bucket, the largest first, the first pilot that leads its pairs to free places. False
// when one finds none.
bool MergeTable::fill() {
  std::fill(notes_.begin(), notes_.end(), 0);
  std::vector<std::uint32_t> ends(pilots_.size() + 1);
  const auto hash_of = [this](std::uint32_t i) { return hash(merges_[i].left, merges_[i].right); };
  const auto count = static_cast<std::uint32_t>(merges_.size() - 1);
  for (std::uint32_t i = 0; i < count; ++i) ++ends[(hash_of(i) >> pilot_shift_) + 1];
  std::partial_sum(ends.begin(), ends.end(), ends.begin());
  std::vector<std::uint32_t> begins = ends;
  std::vector<std::uint32_t> by_bucket(count);
  for (std::uint32_t i = 0; i < count; ++i) by_bucket[begins[hash_of(i) >> pilot_shift_]++] = i;
  std::vector<std::uint32_t> order(pilots_.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return ends[a + 1] - ends[a] > ends[b + 1] - ends[b];
  });
  for (const std::uint32_t bucket : order) {
    const auto merges = std::span(by_bucket).subspan(ends[bucket], ends[bucket + 1] - ends[bucket]);
    std::uint32_t pilot = 0;
    for (std::size_t done = 0; done < merges.size();) {
      const std::uint64_t hashed = hash_of(merges[done]);
      std::uint32_t& note = notes_[place(hashed, pilot)];
      if (note == 0) {
        note = mark(hashed) | (merges_[merges[done++]].rank + 1);
        continue;
      }
      while (done != 0) notes_[place(hash_of(merges[--done]), pilot)] = 0;
      if (++pilot > UINT16_MAX) return false;
    }
    pilots_[bucket] = static_cast<std::uint16_t>(pilot);
  }
  return true;
}

}  // namespace countermark::text
