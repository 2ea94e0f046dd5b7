// SPDX-License-Identifier: Apache-2.0
// Turns pieces into ids at speed: most are looked up, the others are left to the model and
// remembered.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "verifier/text/piece_cache.h"
#include "watermark/token.h"

namespace countermark::text {

class PieceEncoder {
 public:
  // Appends what one piece becomes.
  using Merge = std::function<void(std::string_view piece, std::vector<TokenId>& ids)>;

  // What pieces in `known` become is already known; `known` must outlive this.
  PieceEncoder(const ShortPieces& known, Merge merge) : known_(known), merge_(std::move(merge)) {}

  static constexpr std::size_t kMostPieces = 128;  // of one call

  // Appends the ids of pieces that lie side by side from `begin`: ends[i], counted from there, is
  // where piece i ends. None is empty; all bytes up to `limit` may be read.
  void encode(const char* begin, std::span<const std::uint32_t> ends, const char* limit,
              std::vector<TokenId>& ids);

 private:
  void encode_unknown(std::string_view piece, const ShortPieces::Key& key,
                      std::vector<TokenId>& ids);

  const ShortPieces& known_;
  Merge merge_;
  // Begun when so much was unknown that it pays.
  std::size_t unknown_ = 0;
  std::optional<ShortPieces> short_{};
  std::optional<MetPieces> met_{};
};

}  // namespace countermark::text
