// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/bpe_piece_model.h"

#include <span>

namespace countermark::text {

PieceEncoder::Merge BpePieceModel::merge() const {
  struct Memory {
    BpeModel::Scratch scratch{};
    std::vector<TokenId> tokens{};      // of all words
    std::vector<std::size_t> begins{};  // of each, and of one more
    std::vector<TokenSpan> words{};
  };
  return [this, memory = Memory()](std::span<const std::string_view> pieces,
                                   std::vector<TokenId>& ids, std::span<std::size_t> ends) mutable {
    auto& [scratch, tokens, begins, words] = memory;
    tokens.clear();
    begins.assign(1, 0);
    for (const std::string_view piece : pieces) {
      if (const auto whole = whole_pieces_.find(piece)) {
        tokens.push_back(*whole);
      } else {
        split(piece, tokens);
      }
      begins.push_back(tokens.size());
    }
    words.clear();
    for (std::size_t i = 0; i < pieces.size(); ++i)
      words.push_back(TokenSpan(tokens).subspan(begins[i], begins[i + 1] - begins[i]));
    model_.merge_all(words, scratch, ids, ends);
  };
}

}  // namespace countermark::text
