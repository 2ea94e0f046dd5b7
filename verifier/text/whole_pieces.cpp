// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/whole_pieces.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <bit>
#include <utility>

namespace countermark::text {
namespace {

constexpr std::size_t kPiecesOfAWord = 4;  // 16 bits each: one other piece in 50 is looked up

}  // namespace

WholePieces::WholePieces(IdsByString ids) : ids_(std::move(ids)) {
  if (ids_.empty()) return;
  filter_.resize(std::bit_ceil(ids_.size() / kPiecesOfAWord + 1));
  for (const auto& [piece, id] : ids_) {
    const auto [word, bits] = place(piece);
    filter_[word] |= bits;
  }
}

WholePieces::Place WholePieces::place(std::string_view piece) const {
  const std::uint64_t hash = XXH3_64bits(piece.data(), piece.size());
  return {static_cast<std::size_t>(hash >> 12) & (filter_.size() - 1),
          std::uint64_t{1} << (hash & 63) | std::uint64_t{1} << (hash >> 6 & 63)};
}

std::optional<TokenId> WholePieces::find(std::string_view piece) const {
  if (filter_.empty()) return std::nullopt;
  const auto [word, bits] = place(piece);
  if ((filter_[word] & bits) != bits) return std::nullopt;
  const auto found = ids_.find(piece);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace countermark::text
