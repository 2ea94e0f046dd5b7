// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/piece_encoder.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

namespace countermark::text {
namespace {

// A copy of what is known costs about as much as merging so many pieces.
constexpr std::size_t kPays = 4096;

constexpr std::size_t kTogether = 8;  // unknown pieces that are looked up and merged at once

constexpr std::ptrdiff_t kRead = ShortPieces::kRead;

}  // namespace

void PieceEncoder::add(const char* begin, std::span<const std::uint32_t> ends, const char* limit,
                       std::vector<TokenId>& ids) {
  assert(ends.size() <= kMostPieces);
  if (!met_ && merged_ >= kPays) {
    short_.emplace(known_);
    met_.emplace();
  }
  const ShortPieces& cache = short_ ? *short_ : known_;
  std::array<ShortPieces::Key, kMostPieces> keys;
  std::array<std::uint32_t, kMostPieces> rows;
  const auto fetch = [&](std::size_t i, const ShortPieces::Key& key) {
    keys[i] = key;
    rows[i] = cache.row(key);
    cache.fetch(rows[i]);
  };
  const auto start = [&](std::size_t i) { return i == 0 ? 0 : ends[i - 1]; };
  // The last ones may lie too close to the limit.
  std::size_t readable = ends.size();
  while (readable > 0 && limit - (begin + start(readable - 1)) < kRead) --readable;
  std::uint32_t at = 0;
  for (std::size_t i = 0; i < readable; ++i) {
    fetch(i, ShortPieces::key_of_readable(begin + at, ends[i] - at));
    at = ends[i];
  }
  for (std::size_t i = readable; i < ends.size(); ++i) {
    fetch(i, ShortPieces::key({begin + at, ends[i] - at}));
    at = ends[i];
  }
  // All four ids of an entry are copied, however many it has.
  std::array<TokenId, ShortPieces::kMostIds * kMostPieces> found;
  TokenId* last = found.data();
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const ShortPieces::Entry* const entry = cache.find(keys[i], rows[i]);
    if (entry != nullptr) {
      last = entry->copy_ids(last);
    } else {
      ids.insert(ids.end(), found.data(), last);
      last = found.data();
      unknown_.push_back({{begin + start(i), ends[i] - start(i)}, keys[i], ids.size()});
      if (unknown_.size() == kTogether) fill_in(ids);
    }
  }
  ids.insert(ids.end(), found.data(), last);
}

// What has been met before, and what is new.
void PieceEncoder::look_up() {
  made_.clear();
  new_.clear();
  if (met_)
    for (Unknown& unknown : unknown_) {
      unknown.hash = MetPieces::hash(unknown.piece);
      met_->fetch(unknown.hash);
    }
  for (Unknown& unknown : unknown_) {
    const bool may_be_met = met_ && unknown.piece.size() <= MetPieces::kLongest;
    const auto made = may_be_met ? met_->find(unknown.piece, unknown.hash) : std::nullopt;
    if (!made) {
      new_.push_back(&unknown);
      continue;
    }
    unknown.begin = made_.size();
    made_.insert(made_.end(), made->begin(), made->end());
    unknown.end = made_.size();
    short_->add(unknown.key, *made, false);
  }
}

void PieceEncoder::merge() {
  if (new_.empty()) return;
  merged_ += new_.size();
  pieces_.clear();
  for (const Unknown* const unknown : new_) pieces_.push_back(unknown->piece);
  ends_.resize(new_.size());
  std::size_t begin = made_.size();
  merge_(pieces_, made_, ends_);
  for (std::size_t i = 0; i < new_.size(); begin = ends_[i++]) {
    Unknown& unknown = *new_[i];
    unknown.begin = begin;
    unknown.end = ends_[i];
    if (!met_ || unknown.piece.size() > MetPieces::kLongest) continue;
    const TokenSpan made = TokenSpan(made_).subspan(unknown.begin, unknown.end - unknown.begin);
    met_->add(unknown.piece, unknown.hash, made);
    // Most pieces never come again: for the first time none of them takes another's place.
    short_->add(unknown.key, made, true);
  }
}

void PieceEncoder::fill_in(std::vector<TokenId>& ids) {
  if (unknown_.empty()) return;
  look_up();
  merge();
  // From the back, so that each id moves once.
  std::size_t from = ids.size();
  ids.resize(from + made_.size());
  TokenId* to = ids.data() + ids.size();
  for (auto unknown = unknown_.rbegin(); unknown != unknown_.rend(); ++unknown) {
    to = std::copy_backward(ids.data() + unknown->at, ids.data() + from, to);
    to = std::copy_backward(made_.data() + unknown->begin, made_.data() + unknown->end, to);
    from = unknown->at;
  }
  unknown_.clear();
}

PieceEncoder::Merge PieceEncoder::one_by_one(
    std::function<void(std::string_view piece, std::vector<TokenId>& ids)> merge) {
  return [merge = std::move(merge)](std::span<const std::string_view> pieces,
                                    std::vector<TokenId>& ids, std::span<std::size_t> ends) {
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      merge(pieces[i], ids);
      ends[i] = ids.size();
    }
  };
}

}  // namespace countermark::text
