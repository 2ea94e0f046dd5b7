// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/spm_tokenizer.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "verifier/text/unicode_text.h"
#include "watermark/utf8.h"

namespace countermark::text {
namespace {

constexpr std::uint32_t kSpaceMark = 0x2581;
// A character that is no piece, while pieces may still be made of it: this and its code point.
constexpr TokenId kCharacter = TokenId{1} << 31;

std::string with_spaces(const std::string& piece) {
  std::string text;
  for (const std::uint32_t c : code_points(piece))
    append_character(c == kSpaceMark ? std::uint32_t{' '} : c, text);
  return text;
}

class SpmTokenizer final : public Tokenizer {
 public:
  SpmTokenizer(std::string sha256, SpmParts parts)
      : Tokenizer(std::move(sha256)),
        byte_tokens_(parts.byte_tokens),
        add_space_prefix_(parts.add_space_prefix) {
    bytes_of_.resize(parts.pieces.size());
    is_user_defined_.resize(parts.pieces.size());
    std::unordered_map<std::string_view, TokenId> ids;
    std::vector<TokenId> by_score;
    for (TokenId id = 0; id < parts.pieces.size(); ++id) {
      const SpmPiece& piece = parts.pieces[id];
      if (piece.kind == SpmPiece::Kind::kSilent) continue;
      bytes_of_[id] = with_spaces(piece.text);
      if (piece.kind == SpmPiece::Kind::kUserDefined) {
        user_defined_.add(bytes_of_[id], id);
        is_user_defined_[id] = true;
        continue;
      }
      ids.emplace(piece.text, id);
      by_score.push_back(id);
      const auto points = code_points(piece.text);
      if (points.size() == 1) characters_.emplace(points[0], id);
    }
    for (unsigned b = 0; b < 256; ++b)
      if (byte_tokens_[b] != kNoToken) bytes_of_[byte_tokens_[b]] = static_cast<char>(b);
    std::stable_sort(by_score.begin(), by_score.end(), [&](TokenId a, TokenId b) {
      return parts.pieces[a].score > parts.pieces[b].score;
    });
    std::uint32_t rank = 0;
    for (std::size_t i = 0; i < by_score.size(); ++i) {
      // Equal scores are one rank, so that the leftmost pair goes first.
      const SpmPiece& piece = parts.pieces[by_score[i]];
      if (i > 0 && piece.score != parts.pieces[by_score[i - 1]].score) ++rank;
      add_merges(piece.text, by_score[i], rank, ids);
    }
  }

  std::size_t vocab_size() const noexcept override { return bytes_of_.size(); }

  Result<std::vector<TokenId>> encode(std::string_view text) const override {
    COUNTERMARK_CHECK(check_utf8(text));
    if (text.size() >= kCharacter)
      return fail(ErrorCode::kUnsupported, "expected less than 2 GiB of text");
    std::vector<TokenId> ids;
    BpeModel::Scratch scratch;
    std::vector<TokenId> merged;
    bool begins = true;  // at the beginning, and after every user-defined piece
    COUNTERMARK_CHECK(user_defined_.cut(text, ids, [&](std::string_view part) -> Status {
      const bool after_piece = !ids.empty() && is_user_defined_[ids.back()];
      scratch.tokens.clear();
      if (add_space_prefix_ && (begins || after_piece))
        scratch.tokens.push_back(symbol(kSpaceMark));
      begins = false;
      for (const std::uint32_t c : code_points(part))
        scratch.tokens.push_back(symbol(c == ' ' ? kSpaceMark : c));
      merged.clear();
      model_.merge(scratch, merged);
      for (const TokenId id : merged) append(id, ids);
      return {};
    }));
    return ids;
  }

  Result<std::string> decode(TokenSpan ids) const override {
    std::string text;
    bool begins = add_space_prefix_;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] >= bytes_of_.size()) return fail(not_in_vocabulary(i, ids[i]));
      std::string_view bytes = bytes_of_[ids[i]];
      const bool is_user_defined = is_user_defined_[ids[i]];
      if (begins && !is_user_defined && bytes.starts_with(' ')) bytes.remove_prefix(1);
      text += bytes;
      begins = add_space_prefix_ && (is_user_defined || (begins && bytes_of_[ids[i]].empty()));
    }
    return text;
  }

 private:
  TokenId symbol(std::uint32_t character) const {
    const auto piece = characters_.find(character);
    return piece == characters_.end() ? kCharacter | character : piece->second;
  }

  // Two symbols can only become a piece if both are pieces or single characters themselves.
  void add_merges(const std::string& text, TokenId id, std::uint32_t rank,
                  const std::unordered_map<std::string_view, TokenId>& ids) {
    const auto part = [&](std::string_view piece) {
      const auto known = ids.find(piece);
      if (known != ids.end()) return known->second;
      const auto points = code_points(piece);
      return points.size() == 1 ? kCharacter | points[0] : kNoToken;
    };
    for (std::size_t cut = 1; cut < text.size(); ++cut) {
      if ((static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80) continue;  // inside a character
      const TokenId left = part(std::string_view(text).substr(0, cut));
      const TokenId right = part(std::string_view(text).substr(cut));
      if (left != kNoToken && right != kNoToken) model_.add_merge(left, right, rank, id);
    }
  }

  void append(TokenId id, std::vector<TokenId>& ids) const {
    if ((id & kCharacter) == 0) {
      ids.push_back(id);
      return;
    }
    std::string bytes;
    append_character(id & ~kCharacter, bytes);
    for (const char byte : bytes) ids.push_back(byte_tokens_[static_cast<unsigned char>(byte)]);
  }

  Trie user_defined_{};
  std::unordered_map<std::uint32_t, TokenId> characters_{};  // pieces of one character
  BpeModel model_{};
  std::array<TokenId, 256> byte_tokens_;
  std::vector<std::string> bytes_of_{};  // by id
  std::vector<bool> is_user_defined_{};  // by id
  bool add_space_prefix_;
};

}  // namespace

std::unique_ptr<const Tokenizer> make_spm_tokenizer(std::string sha256, SpmParts parts) {
  return std::make_unique<SpmTokenizer>(std::move(sha256), std::move(parts));
}

}  // namespace countermark::text
