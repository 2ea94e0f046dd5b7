// SPDX-License-Identifier: Apache-2.0
// A document as tokens, the same for every test that uses its tokenizer.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "verifier/text/reader.h"
#include "verifier/text/tokenizer.h"
#include "watermark/error.h"
#include "watermark/token.h"

namespace countermark::detect {

// One segment of a document, in tokens.
struct TokenSegment {
  std::vector<TokenId> ids{};
  bool scored = true;
  // As in text::Segment.
  std::vector<TokenId> predicted{};
  std::vector<std::uint32_t> unpredicted{};

  // Which tokens have scores, each at the context that `ids` give it.
  TokenSpan scored_ids() const noexcept { return predicted.empty() ? ids : predicted; }

  bool operator==(const TokenSegment&) const = default;
};

using TokenText = std::vector<TokenSegment>;

// Reads one document after the other, in memory that it keeps. Not thread-safe.
class DocumentTokenizer {
 public:
  // `tokenizer` turns text into ids and may be null, then only ids are accepted; it must outlive
  // this.
  explicit DocumentTokenizer(const text::Tokenizer* tokenizer);

  // Replaces `out` by the document's tokens. Errors are about the document's text or ids; they
  // carry its name.
  Status tokenize(const text::Document& document, TokenText& out);

 private:
  const text::Tokenizer* tokenizer_;
  std::unique_ptr<text::Encoder> encoder_{};
};

// One document alone.
Result<TokenText> tokenize(const text::Document& document, const text::Tokenizer* tokenizer);

// SHA-256 over the tokens: what decoys are derived from, together with the seed that the other side
// may choose. It depends on the text alone.
std::array<std::uint8_t, 32> digest_of(const TokenText& text);

}  // namespace countermark::detect
