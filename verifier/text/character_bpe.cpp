// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/character_bpe.h"

#include <algorithm>
#include <utility>

#include "verifier/text/bpe_piece_model.h"
#include "verifier/text/unicode_text.h"

namespace countermark::text {
namespace {

class CharacterBpe final : public BpePieceModel {
 public:
  explicit CharacterBpe(CharacterBpeParts parts)
      : BpePieceModel(std::move(parts.whole_pieces), std::move(parts.model)),
        parts_(std::move(parts)) {}

 private:
  void split(std::string_view piece, std::vector<TokenId>& tokens) const override {
    // As in the library, the bytes of characters overtake what is unknown before them.
    bool is_pending = false;
    for (std::size_t at = 0; at < piece.size();) {
      const std::size_t begin = at;
      const auto known = parts_.characters.find(read_character(piece, at));
      if (known != parts_.characters.end()) {
        if (std::exchange(is_pending, false)) tokens.push_back(parts_.unknown);
        tokens.push_back(known->second);
      } else if (!add_bytes(piece.substr(begin, at - begin), tokens) &&
                 parts_.unknown != kNoToken) {
        if (is_pending && !parts_.fuse_unknown) tokens.push_back(parts_.unknown);
        is_pending = true;
      }
    }
    if (is_pending) tokens.push_back(parts_.unknown);
  }

  bool add_bytes(std::string_view character, std::vector<TokenId>& tokens) const {
    const auto token = [this](char c) { return parts_.byte_tokens[static_cast<unsigned char>(c)]; };
    if (std::any_of(character.begin(), character.end(),
                    [&](char c) { return token(c) == kNoToken; }))
      return false;
    for (const char c : character) tokens.push_back(token(c));
    return true;
  }

  CharacterBpeParts parts_;  // less whole_pieces and model
};

}  // namespace

std::unique_ptr<const PieceModel> make_character_bpe(CharacterBpeParts parts) {
  return std::make_unique<CharacterBpe>(std::move(parts));
}

}  // namespace countermark::text
