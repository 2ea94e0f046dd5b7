// SPDX-License-Identifier: Apache-2.0
#include "verifier/detect/token_text.h"

#include <algorithm>
#include <string>
#include <utility>

#include "watermark/prf/hash.h"

namespace countermark::detect {

Result<TokenText> tokenize(const text::Document& document, const text::Tokenizer* tokenizer) {
  TokenText out;
  for (const text::Segment& segment : document.segments) {
    if (!segment.is_ids && tokenizer == nullptr)
      return fail(Error{ErrorCode::kMismatch,
                        "the profile has no tokenizer: only token ids can be read", document.input,
                        document.field, document.offset});
    if (!segment.is_ids) {
      auto ids = tokenizer->encode(segment.text);
      if (!ids) return fail(std::move(ids).error().in_file(document.input));
      out.push_back({std::move(*ids), segment.scored});
      continue;
    }
    const std::size_t limit = tokenizer == nullptr ? std::size_t{1} << 32 : tokenizer->vocab_size();
    const auto bad = std::find_if(segment.ids.begin(), segment.ids.end(),
                                  [limit](TokenId id) { return id >= limit; });
    if (bad != segment.ids.end())
      return fail(Error{ErrorCode::kMismatch,
                        "token id " + std::to_string(*bad) + " at index " +
                            std::to_string(bad - segment.ids.begin()) +
                            " is outside the vocabulary of " + std::to_string(limit),
                        document.input, document.field, document.offset});
    out.push_back({segment.ids, segment.scored});
  }
  return out;
}

std::array<std::uint8_t, 32> digest_of(const TokenText& text) {
  std::string message = "countermark tape";
  for (const TokenSegment& segment : text) {
    message += segment.scored ? 'S' : 'P';
    append_le32(message, static_cast<std::uint32_t>(segment.ids.size()));
    for (const TokenId id : segment.ids) append_le32(message, id);
  }
  return sha256(message);
}

}  // namespace countermark::detect
