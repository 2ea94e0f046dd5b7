// SPDX-License-Identifier: Apache-2.0
#include "verifier/scan/documents.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace countermark::scan {
namespace {

std::uint64_t load64(const std::uint32_t* words) noexcept {
  return words[0] | std::uint64_t{words[1]} << 32;
}

void store64(std::uint32_t* words, std::uint64_t value) noexcept {
  words[0] = static_cast<std::uint32_t>(value);
  words[1] = static_cast<std::uint32_t>(value >> 32);
}

// 2^32 documents where they are small, and a TiB of large ones.
constexpr std::size_t kChunks = std::size_t{1} << 16;
constexpr std::size_t kChunkBytes = std::size_t{1} << 24;

unsigned chunk_bits(std::size_t document_bytes) {
  const std::size_t documents = kChunkBytes / document_bytes;
  return documents == 0 ? 0 : std::min(16U, static_cast<unsigned>(std::bit_width(documents)) - 1);
}

}  // namespace

Documents::Documents(const Settings& settings, std::uint64_t most)
    : stride_(kPositionWords + settings.channels() + 2 * settings.all_lanes()),
      chunk_bits_(chunk_bits(4 * stride_)),
      most_(std::min(most, std::uint64_t{kChunks} << chunk_bits_)),
      chunks_(std::make_unique<std::unique_ptr<std::uint32_t[]>[]>(kChunks)),
      orders_(std::make_unique<std::unique_ptr<std::uint32_t[]>[]>(kChunks)) {
  for (std::size_t channel = 0; channel < settings.channels(); ++channel) {
    first_lanes_.push_back(lane_channels_.size());
    lane_channels_.insert(lane_channels_.end(), settings.lanes[channel],
                          static_cast<std::uint32_t>(channel));
  }
  first_lanes_.push_back(lane_channels_.size());
}

Result<std::uint32_t> Documents::add(std::uint64_t content_hash, Place place) {
  const std::scoped_lock lock(mutex_);
  if (size_ == most_)
    return fail(ErrorCode::kUnsupported, "expected at most " + std::to_string(most_) +
                                             " documents; scan the corpus in parts");
  std::unique_ptr<std::uint32_t[]>& chunk = chunks_[size_ >> chunk_bits_];
  // Pages that are not written take no memory.
  if (!chunk) {
    chunk = std::make_unique_for_overwrite<std::uint32_t[]>(stride_ << chunk_bits_);
    orders_[size_ >> chunk_bits_] =
        std::make_unique_for_overwrite<std::uint32_t[]>(std::size_t{1} << chunk_bits_);
  }
  const auto document = static_cast<std::uint32_t>(size_++);
  std::fill_n(words(document), stride_, 0);
  set_position(document, content_hash, place);
  return document;
}

void Documents::set_position(std::uint32_t document, std::uint64_t content_hash,
                             Place place) noexcept {
  std::uint32_t* const at = words(document);
  store64(at, content_hash);
  store64(at + 2, place.record);
  at[4] = place.input;
  orders_[document >> chunk_bits_][document & ((1U << chunk_bits_) - 1)] =
      static_cast<std::uint32_t>(content_hash >> 32);
}

std::uint64_t Documents::size() const noexcept {
  const std::scoped_lock lock(mutex_);
  return size_;
}

std::uint64_t Documents::memory() const noexcept { return size() * (stride_ + 1) * 4; }

bool Documents::precedes(std::uint32_t a, std::uint32_t b) const noexcept {
  const std::uint64_t hash_a = content_hash(a);
  const std::uint64_t hash_b = content_hash(b);
  return hash_a != hash_b ? hash_a < hash_b : place(a) < place(b);
}

std::uint64_t Documents::content_hash(std::uint32_t document) const noexcept {
  return load64(words(document));
}

Place Documents::place(std::uint32_t document) const noexcept {
  const std::uint32_t* const at = words(document);
  return {at[4], load64(at + 2)};
}

void Documents::lose(std::size_t channel, std::span<const Loser> losers) {
  const std::size_t lanes = first_lanes_[channel + 1] - first_lanes_[channel];
  const std::size_t sums = kPositionWords + first_lanes_.size() - 1 + 2 * first_lanes_[channel];
  const std::scoped_lock lock(mutex_);
  for (const Loser& loser : losers) {
    std::uint32_t* const at = words(loser.document);
    ++at[kPositionWords + channel];
    losers_.first = std::min(losers_.first, loser.document);
    losers_.last = std::max(losers_.last, loser.document);
    for (std::size_t i = 0; i < lanes; ++i)
      store64(at + sums + 2 * i, load64(at + sums + 2 * i) + loser.scores[i]);
  }
}

void Documents::lose(std::size_t channel, std::uint32_t document, std::uint32_t n,
                     std::span<const std::uint64_t> sums) {
  const std::size_t first = kPositionWords + first_lanes_.size() - 1 + 2 * first_lanes_[channel];
  const std::scoped_lock lock(mutex_);
  std::uint32_t* const at = words(document);
  at[kPositionWords + channel] += n;
  losers_.first = std::min(losers_.first, document);
  losers_.last = std::max(losers_.last, document);
  for (std::size_t lane = 0; lane < sums.size(); ++lane)
    store64(at + first + 2 * lane, load64(at + first + 2 * lane) + sums[lane]);
}

Documents::Range Documents::take_losers(std::uint32_t end) {
  const std::scoped_lock lock(mutex_);
  if (losers_.first >= end) return {};
  Range taken = std::exchange(losers_, {});
  if (taken.last >= end) {
    losers_ = {end, taken.last};
    taken.last = end - 1;
  }
  return taken;
}

Tally Documents::lost(std::uint32_t document, std::size_t lane) const noexcept {
  const std::uint32_t* const at = words(document) + kPositionWords;
  return {at[lane_channels_[lane]], load64(at + first_lanes_.size() - 1 + 2 * lane)};
}

std::span<const std::uint32_t> Documents::lost(std::uint32_t document) const noexcept {
  return {words(document) + kPositionWords, lost_words()};
}

void Documents::copy_lost(std::uint32_t document, std::vector<std::uint32_t>& words) const {
  const std::scoped_lock lock(mutex_);
  const auto all = lost(document);
  words.assign(all.begin(), all.end());
}

void Documents::set_lost(std::uint32_t document,
                         std::span<const std::uint32_t> words_lost) noexcept {
  std::copy(words_lost.begin(), words_lost.end(), words(document) + kPositionWords);
}

std::vector<std::uint32_t> Documents::in_order() const {
  struct Placed {
    Place place;
    std::uint32_t document;
  };
  std::vector<Placed> placed(size());
  for (std::size_t i = 0; i < placed.size(); ++i) {
    const auto document = static_cast<std::uint32_t>(i);
    placed[i] = {place(document), document};
  }
  std::sort(placed.begin(), placed.end(),
            [](const Placed& a, const Placed& b) { return a.place < b.place; });
  std::vector<std::uint32_t> order(placed.size());
  for (std::size_t i = 0; i < placed.size(); ++i) order[i] = placed[i].document;
  return order;
}

std::vector<std::uint32_t> Documents::originals() const {
  struct Hashed {
    std::uint64_t hash;
    std::uint32_t document;
  };
  std::vector<Hashed> hashed(size());
  for (std::size_t i = 0; i < hashed.size(); ++i) {
    const auto document = static_cast<std::uint32_t>(i);
    hashed[i] = {content_hash(document), document};
  }
  std::sort(hashed.begin(), hashed.end(), [this](const Hashed& a, const Hashed& b) {
    return a.hash != b.hash ? a.hash < b.hash : place(a.document) < place(b.document);
  });
  std::vector<std::uint32_t> originals(hashed.size());
  std::uint32_t original = 0;
  for (std::size_t i = 0; i < hashed.size(); ++i) {
    if (i == 0 || hashed[i].hash != hashed[i - 1].hash) original = hashed[i].document;
    originals[hashed[i].document] = original;
  }
  return originals;
}

}  // namespace countermark::scan
