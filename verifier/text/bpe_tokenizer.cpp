// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/bpe_tokenizer.h"

#include <utility>

#include "verifier/text/unicode_text.h"
#include "watermark/utf8.h"

namespace countermark::text {
namespace {

class BpeTokenizer final : public Tokenizer {
 public:
  BpeTokenizer(std::string sha256, BpeParts parts)
      : Tokenizer(std::move(sha256)), parts_(std::move(parts)) {}

  std::size_t vocab_size() const noexcept override { return parts_.bytes_of.size(); }

  Result<std::vector<TokenId>> encode(std::string_view text) const override {
    COUNTERMARK_CHECK(check_utf8(text));
    std::vector<TokenId> ids;
    ids.reserve(text.size() / 4);
    BpeModel::Scratch scratch;
    const auto encode_between = [&](std::string_view part) {
      return encode_words(part, scratch, ids);
    };
    const auto encode_normalized = [&](std::string_view part) {
      return parts_.added_normalized.cut(part, ids, encode_between);
    };
    COUNTERMARK_CHECK(parts_.added.cut(text, ids, [&](std::string_view part) {
      return parts_.normalize ? encode_normalized(to_nfc(part)) : encode_normalized(part);
    }));
    return ids;
  }

  Result<std::string> decode(TokenSpan ids) const override {
    std::string text;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] >= parts_.bytes_of.size() || !parts_.bytes_of[ids[i]])
        return fail(not_in_vocabulary(i, ids[i]));
      text += *parts_.bytes_of[ids[i]];
    }
    return text;
  }

 private:
  Status encode_words(std::string_view text, BpeModel::Scratch& scratch,
                      std::vector<TokenId>& ids) const {
    std::string with_space;
    if (parts_.add_prefix_space && text.front() != ' ') {
      with_space.reserve(text.size() + 1);
      with_space += ' ';
      with_space += text;
      text = with_space;
    }
    Pieces pieces(parts_.pretokenizer, text);
    for (;;) {
      COUNTERMARK_TRY(const std::string_view piece, pieces.next());
      if (piece.empty()) return {};
      const auto whole = parts_.whole_pieces.find(piece);
      if (whole != parts_.whole_pieces.end()) {
        ids.push_back(whole->second);
        continue;
      }
      if (piece.size() >= kNoToken)
        return fail(ErrorCode::kUnsupported, "expected words of less than 4 GiB");
      scratch.tokens.clear();
      for (const char c : piece) {
        const TokenId token = parts_.byte_tokens[static_cast<unsigned char>(c)];
        if (token != kNoToken) scratch.tokens.push_back(token);
      }
      parts_.model.merge(scratch, ids);
    }
  }

  BpeParts parts_;
};

}  // namespace

Status check_byte_tokens(const std::array<TokenId, 256>& byte_tokens, bool may_be_dropped) {
  for (unsigned b = 0; b < 256; ++b) {
    const bool is_invalid = b == 0xc0 || b == 0xc1 || b >= 0xf5;
    const bool is_rare =
        (b < 0x20 && b != '\t' && b != '\n' && b != '\r') || b == 0xf1 || b == 0xf2;
    if (byte_tokens[b] == kNoToken && !is_invalid && !(is_rare && may_be_dropped))
      return fail(ErrorCode::kUnsupported,
                  "without a token for the byte " + std::to_string(b) + " is not supported");
  }
  return {};
}

std::unique_ptr<const Tokenizer> make_bpe_tokenizer(std::string sha256, BpeParts parts) {
  return std::make_unique<BpeTokenizer>(std::move(sha256), std::move(parts));
}

}  // namespace countermark::text
