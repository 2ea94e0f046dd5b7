// SPDX-License-Identifier: Apache-2.0
#include "verifier/scan/content_hash.h"

#include <string>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "watermark/prf/hash.h"

namespace countermark::scan {

std::uint64_t content_hash(const text::Document& document) {
  std::string message;
  for (const text::Segment& segment : document.segments) {
    message += segment.scored ? (segment.is_ids ? 'I' : 'T') : (segment.is_ids ? 'i' : 't');
    const std::size_t size = segment.is_ids ? segment.ids.size() : segment.text.size();
    append_le32(message, static_cast<std::uint32_t>(size));
    append_le32(message, static_cast<std::uint32_t>(size >> 32));
    if (!segment.is_ids) message += segment.text;
    for (const TokenId id : segment.ids) append_le32(message, id);
  }
  return XXH3_64bits(message.data(), message.size());
}

}  // namespace countermark::scan
