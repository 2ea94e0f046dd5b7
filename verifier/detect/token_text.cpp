// SPDX-License-Identifier: Apache-2.0
#include "verifier/detect/token_text.h"

#include <algorithm>
#include <string>
#include <utility>

#include "watermark/prf/hash.h"

namespace countermark::detect {

DocumentTokenizer::DocumentTokenizer(const text::Tokenizer* tokenizer) : tokenizer_(tokenizer) {
  if (tokenizer != nullptr) encoder_ = tokenizer->encoder();
}

Status DocumentTokenizer::tokenize(const text::Document& document, TokenText& out) {
  out.resize(document.segments.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    const text::Segment& segment = document.segments[i];
    out[i].scored = segment.scored;
    out[i].predicted = segment.predicted;
    out[i].unpredicted = segment.unpredicted;
    if (!segment.is_ids && tokenizer_ == nullptr)
      return fail(Error{ErrorCode::kMismatch,
                        "the profile has no tokenizer: only token ids can be read", document.input,
                        document.field, document.offset});
    if (!segment.is_ids) {
      auto read = encoder_->encode(segment.text, out[i].ids);
      if (!read) return fail(std::move(read).error().in_file(document.input));
      continue;
    }
    // Without a tokenizer there is no vocabulary to be outside of.
    const std::size_t limit = tokenizer_ == nullptr ? 0 : tokenizer_->vocab_size();
    const auto bad = tokenizer_ == nullptr
                         ? segment.ids.end()
                         : std::find_if(segment.ids.begin(), segment.ids.end(),
                                        [limit](TokenId id) { return id >= limit; });
    if (bad != segment.ids.end())
      return fail(Error{ErrorCode::kMismatch,
                        "token id " + std::to_string(*bad) + " at index " +
                            std::to_string(bad - segment.ids.begin()) +
                            " is outside the vocabulary of " + std::to_string(limit),
                        document.input, document.field, document.offset});
    out[i].ids = segment.ids;
  }
  return {};
}

Result<TokenText> tokenize(const text::Document& document, const text::Tokenizer* tokenizer) {
  TokenText out;
  COUNTERMARK_CHECK(DocumentTokenizer(tokenizer).tokenize(document, out));
  return out;
}

std::array<std::uint8_t, 32> digest_of(const TokenText& text) {
  std::string message = "countermark tape";
  for (const TokenSegment& segment : text) {
    message += segment.scored ? 'S' : 'P';
    append_le32(message, static_cast<std::uint32_t>(segment.ids.size()));
    for (const TokenId id : segment.ids) append_le32(message, id);
    if (segment.predicted.empty()) continue;
    message += 'R';
    for (const TokenId id : segment.predicted) append_le32(message, id);
    if (segment.unpredicted.empty()) continue;
    message += 'U';
    append_le32(message, static_cast<std::uint32_t>(segment.unpredicted.size()));
    for (const std::uint32_t place : segment.unpredicted) append_le32(message, place);
  }
  return sha256(message);
}

}  // namespace countermark::detect
