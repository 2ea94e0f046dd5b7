// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/piece_encoder.h"

#include <algorithm>
#include <array>
#include <cassert>

namespace countermark::text {
namespace {

// A copy of what is known costs about as much as merging so many pieces.
constexpr std::size_t kPays = 4096;

constexpr std::ptrdiff_t kRead = ShortPieces::kRead;

}  // namespace

void PieceEncoder::encode(const char* begin, std::span<const std::uint32_t> ends, const char* limit,
                          std::vector<TokenId>& ids) {
  assert(ends.size() <= kMostPieces);
  if (!met_ && unknown_ >= kPays) {
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
      encode_unknown({begin + start(i), ends[i] - start(i)}, keys[i], ids);
    }
  }
  ids.insert(ids.end(), found.data(), last);
}

void PieceEncoder::encode_unknown(std::string_view piece, const ShortPieces::Key& key,
                                  std::vector<TokenId>& ids) {
  if (!met_ || piece.size() > MetPieces::kLongest) {
    ++unknown_;
    return merge_(piece, ids);
  }
  const std::uint32_t hash = MetPieces::hash(piece);
  if (const auto made = met_->find(piece, hash)) {
    ids.insert(ids.end(), made->begin(), made->end());
    short_->add(key, *made, false);
    return;
  }
  const std::size_t before = ids.size();
  merge_(piece, ids);
  const TokenSpan made = TokenSpan(ids).subspan(before);
  met_->add(piece, hash, made);
  // Most pieces never come again: for the first time none of them takes another's place.
  short_->add(key, made, true);
}

}  // namespace countermark::text
