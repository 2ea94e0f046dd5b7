// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/wordpiece_tokenizer.h"

#include <utility>

#include "verifier/text/trie.h"
#include "verifier/text/unicode_text.h"
#include "watermark/utf8.h"

namespace countermark::text {
namespace {

constexpr std::string_view kWordMark = "\u2581";

class WordPieceTokenizer final : public Tokenizer {
 public:
  WordPieceTokenizer(std::string sha256, WordPieceParts parts)
      : Tokenizer(std::move(sha256)), pieces_(std::move(parts.pieces)), unknown_(parts.unknown) {
    for (TokenId id = 0; id < pieces_.size(); ++id)
      if (!parts.is_special[id]) trie_.add(pieces_[id], id);
  }

  std::size_t vocab_size() const noexcept override { return pieces_.size(); }

  Result<std::vector<TokenId>> encode(std::string_view text) const override {
    COUNTERMARK_CHECK(check_utf8(text));
    std::vector<TokenId> ids;
    for (const std::string& word : bert_words(text)) {
      const std::string marked = std::string(kWordMark) + word;
      const std::size_t before = ids.size();
      for (std::size_t at = 0; at < marked.size();) {
        const Trie::Match match = trie_.longest(marked, at);
        if (match.size == 0) {
          ids.resize(before);
          ids.push_back(unknown_);
          break;
        }
        ids.push_back(match.id);
        at += match.size;
      }
    }
    return ids;
  }

  Result<std::string> decode(TokenSpan ids) const override {
    std::string text;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] >= pieces_.size()) return fail(not_in_vocabulary(i, ids[i]));
      std::string_view piece = pieces_[ids[i]];
      if (piece.starts_with(kWordMark)) {
        piece.remove_prefix(kWordMark.size());
        if (!text.empty()) text += ' ';
      }
      text += piece;
    }
    return text;
  }

 private:
  std::vector<std::string> pieces_;  // by id
  TokenId unknown_;
  Trie trie_{};
};

}  // namespace

std::unique_ptr<const Tokenizer> make_wordpiece_tokenizer(std::string sha256,
                                                          WordPieceParts parts) {
  return std::make_unique<WordPieceTokenizer>(std::move(sha256), std::move(parts));
}

}  // namespace countermark::text
