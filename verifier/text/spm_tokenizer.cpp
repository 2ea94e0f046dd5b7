// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/spm_tokenizer.h"

#include <algorithm>
#include <array>
#include <span>
#include <unordered_map>
#include <utility>

#include "verifier/text/piece_encoder.h"
#include "verifier/text/unicode_text.h"

namespace countermark::text {
namespace {

constexpr std::uint32_t kSpaceMark = 0x2581;
constexpr unsigned char kSpaceMarkBegin = 0xe2;  // its first byte in UTF-8
constexpr unsigned char kSpaceMarkEnd = 0x81;    // its last
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
        words_(ShortPieces::room_for(parts.pieces.size())),
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
    std::vector<Merge> merges;
    std::uint32_t rank = 0;
    for (std::size_t i = 0; i < by_score.size(); ++i) {
      // Equal scores are one rank, so that the leftmost pair goes first.
      const SpmPiece& piece = parts.pieces[by_score[i]];
      if (i > 0 && piece.score != parts.pieces[by_score[i - 1]].score) ++rank;
      add_merges(piece.text, by_score[i], rank, ids, merges);
      join(bytes_of_[by_score[i]]);
    }
    model_ = BpeModel(std::move(merges));
    // Nor inside a character, nor beside U+2581, which is a space that is not spelled as one.
    for (unsigned b = 0; b < 256; ++b) {
      for (unsigned within = 0x80; within < 0xc0; ++within) joined_[b][within] = true;
      joined_[b][kSpaceMarkBegin] = joined_[kSpaceMarkEnd][b] = true;
    }
    Scratch scratch;
    std::vector<TokenId> made;
    for (const TokenId id : by_score) {
      const std::string& word = bytes_of_[id];
      const ShortPieces::Key key = ShortPieces::key(word);
      if (word.empty() || words_.find(key, words_.row(key)) != nullptr) continue;
      made.clear();
      merge(word, scratch, made);
      words_.add(key, made, true);
    }
  }

  std::size_t vocab_size() const noexcept override { return bytes_of_.size(); }

  Result<std::vector<TokenId>> encode(std::string_view text) const override {
    std::vector<TokenId> ids;
    COUNTERMARK_CHECK(SpmEncoder(*this).encode(text, ids));
    return ids;
  }

  std::unique_ptr<Encoder> encoder() const override { return std::make_unique<SpmEncoder>(*this); }

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
  struct Scratch {
    BpeModel::Scratch model{};
    std::vector<TokenId> tokens{};
    std::vector<TokenId> merged{};
    std::string bytes{};
  };

  class SpmEncoder final : public Encoder {
   public:
    explicit SpmEncoder(const SpmTokenizer& tokenizer)
        : tokenizer_(tokenizer),
          pieces_(tokenizer.words_,
                  PieceEncoder::one_by_one([this](std::string_view piece, auto& ids) {
                    tokenizer_.merge(piece, scratch_, ids);
                  })) {}

    Status encode(std::string_view text, std::vector<TokenId>& ids) override {
      COUNTERMARK_CHECK(check_text(text));
      if (text.size() >= kCharacter)
        return fail(ErrorCode::kUnsupported, "expected less than 2 GiB of text");
      ids.clear();
      ids.reserve(text.size() / 4);
      bool begins = true;  // at the beginning, and after every user-defined piece
      return tokenizer_.user_defined_.cut(text, ids, [&](std::string_view part) -> Status {
        begins = begins || (!ids.empty() && tokenizer_.is_user_defined_[ids.back()]);
        encode_words(part, tokenizer_.add_space_prefix_ && begins, ids);
        begins = false;
        return {};
      });
    }

   private:
    void encode_words(std::string_view text, bool with_space, std::vector<TokenId>& ids) {
      std::size_t at = 0;
      pieces_.begin();
      if (with_space) {
        at = tokenizer_.word_end(text, 0);
        first_ = ' ';
        first_ += text.substr(0, at);
        const auto end = static_cast<std::uint32_t>(first_.size());
        pieces_.add(first_.data(), {&end, 1}, first_.data() + first_.size(), ids);
      }
      std::array<std::uint32_t, PieceEncoder::kMostPieces> ends;
      while (at < text.size()) {
        const std::size_t begin = at;
        std::size_t count = 0;
        while (count < ends.size() && at < text.size()) {
          at = tokenizer_.word_end(text, at);
          ends[count++] = static_cast<std::uint32_t>(at - begin);
        }
        pieces_.add(text.data() + begin, std::span(ends).first(count), text.data() + text.size(),
                    ids);
      }
      pieces_.finish(ids);
    }

    const SpmTokenizer& tokenizer_;
    Scratch scratch_{};
    std::string first_{};
    PieceEncoder pieces_;
  };

  // Where the word that begins at `at` ends: between two characters that stand side by side in no
  // piece, which no merge can join.
  std::size_t word_end(std::string_view text, std::size_t at) const {
    auto previous = static_cast<unsigned char>(text[at]);
    for (++at; at < text.size(); ++at) {
      const auto next = static_cast<unsigned char>(text[at]);
      if (!joined_[previous][next]) break;
      previous = next;
    }
    return at;
  }

  // From now on words are not cut between bytes that stand side by side in `piece`.
  void join(std::string_view piece) {
    for (std::size_t at = 1; at < piece.size(); ++at)
      joined_[static_cast<unsigned char>(piece[at - 1])][static_cast<unsigned char>(piece[at])] =
          true;
  }

  // Appends what a word becomes, in which spaces stand for U+2581.
  void merge(std::string_view word, Scratch& scratch, std::vector<TokenId>& ids) const {
    scratch.tokens.clear();
    for (std::size_t at = 0; at < word.size();) {
      const std::uint32_t c = read_character(word, at);
      scratch.tokens.push_back(symbol(c == ' ' ? kSpaceMark : c));
    }
    scratch.merged.clear();
    model_.merge(scratch.tokens, scratch.model, scratch.merged);
    for (const TokenId id : scratch.merged) append(id, scratch.bytes, ids);
  }

  TokenId symbol(std::uint32_t character) const {
    const auto piece = characters_.find(character);
    return piece == characters_.end() ? kCharacter | character : piece->second;
  }

  // Two symbols can only become a piece if both are pieces or single characters themselves.
  static void add_merges(const std::string& text, TokenId id, std::uint32_t rank,
                         const std::unordered_map<std::string_view, TokenId>& ids,
                         std::vector<Merge>& merges) {
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
      if (left != kNoToken && right != kNoToken) merges.push_back({left, right, rank, id});
    }
  }

  void append(TokenId id, std::string& bytes, std::vector<TokenId>& ids) const {
    if ((id & kCharacter) == 0) {
      ids.push_back(id);
      return;
    }
    bytes.clear();
    append_character(id & ~kCharacter, bytes);
    for (const char byte : bytes) ids.push_back(byte_tokens_[static_cast<unsigned char>(byte)]);
  }

  Trie user_defined_{};
  std::unordered_map<std::uint32_t, TokenId> characters_{};  // pieces of one character
  BpeModel model_{};
  std::array<TokenId, 256> byte_tokens_;
  std::vector<std::string> bytes_of_{};  // by id
  std::vector<bool> is_user_defined_{};  // by id
  ShortPieces words_;                    // of the pieces
  bool add_space_prefix_;
  std::array<std::array<bool, 256>, 256> joined_{};
};

}  // namespace

std::unique_ptr<const Tokenizer> make_spm_tokenizer(std::string sha256, SpmParts parts) {
  return std::make_unique<SpmTokenizer>(std::move(sha256), std::move(parts));
}

}  // namespace countermark::text
