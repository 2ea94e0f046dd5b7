// SPDX-License-Identifier: Apache-2.0
#include "verifier/scan/assign.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

namespace countermark::scan {
namespace {

// Makes a vector long enough without writing what was there again.
template <typename T>
void reserve_for(std::vector<T>& column, std::size_t size) {
  if (column.size() < size) column.resize(size + size / 8);
}

// One of two by a mask: compilers make a branch of ?: as they like.
template <typename T>
T choose(bool is_first, T first, T second) noexcept {
  return second ^ ((first ^ second) & (T{0} - T{is_first}));
}

// Counts become the places where the digits' keys begin.
void sum_up(std::vector<std::uint32_t>& counts) noexcept {
  std::uint32_t begin = 0;
  for (std::uint32_t& count : counts) begin += std::exchange(count, begin);
}

}  // namespace

// Two counting passes over the bits that differ, low digit first, bring keys to within a few of
// their places.
void Assigner::sort(std::size_t lanes, std::span<const std::span<const std::uint32_t>> segments,
                    std::uint64_t least, std::uint64_t most) {
  const std::size_t stride = kRecordHead + lanes;
  const unsigned spread = static_cast<unsigned>(std::bit_width(most - least));
  // A key for each value of both digits together, about.
  const unsigned digits = std::min(spread, static_cast<unsigned>(std::bit_width(size_)) + 1);
  const unsigned low_bits = digits / 2;
  const unsigned high_bits = digits - low_bits;
  const unsigned shift = spread - digits;
  const std::uint64_t low_mask = (std::uint64_t{1} << low_bits) - 1;
  const auto digit = [&](std::uint64_t fingerprint) { return (fingerprint - least) >> shift; };

  low_.assign(std::size_t{1} << low_bits, 0);
  high_.assign(std::size_t{1} << high_bits, 0);
  for (const std::span<const std::uint32_t> segment : segments)
    for (std::size_t i = 0; i < segment.size(); i += stride) {
      const std::uint64_t value = digit(record_fingerprint(&segment[i]));
      ++low_[value & low_mask];
      ++high_[value >> low_bits];
    }
  sum_up(low_);
  sum_up(high_);

  std::uint32_t index = 0;
  for (const std::span<const std::uint32_t> segment : segments)
    for (std::size_t i = 0; i < segment.size(); i += stride) {
      const std::uint64_t fingerprint = record_fingerprint(&segment[i]);
      const std::uint32_t payload = lanes == 1 ? segment[i + kRecordHead] : index++;
      spare_[low_[digit(fingerprint) & low_mask]++] = {
          fingerprint, segment[i + 2] | std::uint64_t{payload} << 32};
    }
  for (std::size_t i = 0; i < size_; ++i)
    keys_[high_[digit(spare_[i].fingerprint) >> low_bits]++] = spare_[i];
}

// Insertion, while it is cheap: fingerprints that somebody chose are sorted by comparing.
void Assigner::finish_sort() {
  std::size_t moves = 0;
  for (std::size_t i = 1; i < size_; ++i) {
    if (keys_[i - 1].fingerprint <= keys_[i].fingerprint) continue;
    const Key key = keys_[i];
    std::size_t at = i;
    for (; at > 0 && keys_[at - 1].fingerprint > key.fingerprint; --at) keys_[at] = keys_[at - 1];
    keys_[at] = key;
    moves += i - at;
    if (moves <= 8 * size_) continue;
    std::sort(keys_.begin(), keys_.begin() + static_cast<std::ptrdiff_t>(size_),
              [](const Key& a, const Key& b) { return a.fingerprint < b.fingerprint; });
    return;
  }
}

// Moves one key for each fingerprint to the front and returns how many there are. Which keys are
// equal and which document comes first no processor can guess: neither takes a branch.
std::size_t Assigner::keep_first(std::size_t channel, std::size_t lanes) {
  if (size_ == 0) return 0;
  constexpr std::size_t kWindow = 512;
  std::array<std::uint64_t, kWindow> lost;  // what they hold
  const Documents::Orders orders = documents_->orders();
  std::size_t kept = 0;
  Key first = keys_[0];
  std::uint32_t order = orders.of(first.document());
  for (std::size_t begin = 1; begin < size_; begin += kWindow) {
    const std::size_t end = std::min(begin + kWindow, size_);
    std::size_t losers = 0;
    for (std::size_t i = begin; i < end; ++i) {
      const Key key = keys_[i];
      const std::uint32_t key_order = orders.of(key.document());
      const bool is_same = key.fingerprint == first.fingerprint;
      bool precedes = key_order < order;
      if (is_same && key_order == order) [[unlikely]]
        precedes = documents_->precedes(key.document(), first.document());
      lost[losers] = choose(precedes, first.held, key.held);
      losers += is_same ? 1 : 0;
      keys_[kept] = first;
      kept += is_same ? 0 : 1;
      const bool stays = is_same && !precedes;
      first = {key.fingerprint, choose(stays, first.held, key.held)};
      order = choose(stays, order, key_order);
    }
    settle(channel, lanes, std::span(lost).first(losers));
  }
  keys_[kept++] = first;
  return kept;
}

void Assigner::settle(std::size_t channel, std::size_t lanes, std::span<const std::uint64_t> lost) {
  losers_.clear();
  reserve_for(lost_scores_, lost.size());
  for (std::size_t i = 0; i < lost.size(); ++i) {
    const Key key{0, lost[i]};
    documents_->prefetch(key.document());
    lost_scores_[i] = key.payload();
    losers_.push_back({key.document(), lanes == 1 ? &lost_scores_[i] : scores(key, lanes)});
  }
  documents_->lose(channel, losers_);
}

std::span<const std::uint32_t> Assigner::assign(
    std::size_t channel, std::size_t lanes,
    std::span<const std::span<const std::uint32_t>> segments, std::uint64_t least,
    std::uint64_t most) {
  const std::size_t stride = kRecordHead + lanes;
  std::size_t words = 0;
  for (const auto& segment : segments) words += segment.size();
  size_ = words / stride;
  reserve_for(keys_, size_);
  reserve_for(spare_, size_);
  if (lanes > 1) {
    reserve_for(records_, words);
    std::uint32_t* out = records_.data();
    for (const auto& segment : segments) out = std::copy(segment.begin(), segment.end(), out);
  }
  sort(lanes, segments, least, most);
  finish_sort();
  const std::size_t kept = keep_first(channel, lanes);
  static_assert(sizeof(Key) == 4 * (kRecordHead + 1) && std::endian::native == std::endian::little);
  if (lanes == 1) return {reinterpret_cast<const std::uint32_t*>(keys_.data()), kept * stride};
  reserve_for(winners_, kept * stride);
  for (std::size_t i = 0; i < kept; ++i)
    std::memcpy(&winners_[i * stride], &records_[keys_[i].payload() * stride], stride * 4);
  return {winners_.data(), kept * stride};
}

}  // namespace countermark::scan
