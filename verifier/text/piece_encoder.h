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
  // Appends what pieces that are not empty become, one after the other: ends[i] is the size of
  // `ids` behind piece i. Several at once, since each waits for memory.
  using Merge = std::function<void(std::span<const std::string_view> pieces,
                                   std::vector<TokenId>& ids, std::span<std::size_t> ends)>;
  static Merge one_by_one(
      std::function<void(std::string_view piece, std::vector<TokenId>& ids)> merge);

  // What pieces in `known` become is already known; `known` must outlive this.
  PieceEncoder(const ShortPieces& known, Merge merge) : known_(known), merge_(std::move(merge)) {}

  static constexpr std::size_t kMostPieces = 256;  // of one call

  // A text: begin(), add() for all of its pieces in turn, with one vector, which has all of their
  // ids after finish() and lacks some before.
  void begin() { unknown_.clear(); }

  // Pieces that lie side by side from `begin`: ends[i], counted from there, is where piece i ends.
  // None is empty; all bytes up to `limit` may be read, until finish().
  void add(const char* begin, std::span<const std::uint32_t> ends, const char* limit,
           std::vector<TokenId>& ids);
  void finish(std::vector<TokenId>& ids) { fill_in(ids); }

 private:
  // A piece whose ids belong before the at-th.
  struct Unknown {
    std::string_view piece;
    ShortPieces::Key key;
    std::size_t at;
    std::uint32_t hash = 0;
    // Its ids in made_.
    std::size_t begin = 0;
    std::size_t end = 0;
  };

  void look_up();
  void merge();
  void fill_in(std::vector<TokenId>& ids);

  const ShortPieces& known_;
  Merge merge_;
  std::vector<Unknown> unknown_{};  // few
  // Reused.
  std::vector<Unknown*> new_{};
  std::vector<std::string_view> pieces_{};
  std::vector<TokenId> made_{};
  std::vector<std::size_t> ends_{};
  // Begun when so much was merged that it pays.
  std::size_t merged_ = 0;
  std::optional<ShortPieces> short_{};
  std::optional<MetPieces> met_{};
};

}  // namespace countermark::text
