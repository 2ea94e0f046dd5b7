// SPDX-License-Identifier: Apache-2.0
#include "watermark/utf8.h"

#include <cstdint>
#include <cstring>

namespace countermark {
namespace {

// The length of the well-formed character at the start of `bytes`, which are not empty; 0 if none.
std::size_t character_length(std::string_view bytes) noexcept {
  const auto at = [bytes](std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); };
  const std::uint8_t lead = at(0);
  if (lead < 0x80) return 1;
  std::size_t length = 0;
  std::uint8_t least = 0x80;  // of the second byte
  std::uint8_t most = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    if (lead == 0xe0) least = 0xa0;  // below: overlong
    if (lead == 0xed) most = 0x9f;   // above: surrogates
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    if (lead == 0xf0) least = 0x90;  // below: overlong
    if (lead == 0xf4) most = 0x8f;   // above: past U+10FFFF
  }
  if (length == 0 || bytes.size() < length || at(1) < least || at(1) > most) return 0;
  for (std::size_t i = 2; i < length; ++i)
    if (at(i) < 0x80 || at(i) > 0xbf) return 0;
  return length;
}

}  // namespace

std::size_t find_invalid_utf8(std::string_view bytes) noexcept {
  std::size_t at = 0;
  while (at < bytes.size()) {
    std::uint64_t block = 0;
    if (bytes.size() - at >= sizeof block) {
      std::memcpy(&block, bytes.data() + at, sizeof block);
      if ((block & 0x8080808080808080u) == 0) {
        at += sizeof block;
        continue;
      }
    }
    const std::size_t length = character_length(bytes.substr(at));
    if (length == 0) return at;
    at += length;
  }
  return kValidUtf8;
}

std::string replace_invalid_utf8(std::string_view bytes) {
  std::string out;
  while (true) {
    const std::size_t at = find_invalid_utf8(bytes);
    out += bytes.substr(0, at);
    if (at == kValidUtf8) return out;
    out += "\xef\xbf\xbd";
    bytes.remove_prefix(at + 1);
  }
}

Status check_utf8(std::string_view bytes, std::uint64_t base) {
  const std::size_t at = find_invalid_utf8(bytes);
  if (at == kValidUtf8) return {};
  return fail(Error{ErrorCode::kInvalidInput, "expected UTF-8", {}, {}, base + at});
}

}  // namespace countermark
