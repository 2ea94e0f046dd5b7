// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/byte_alphabet.h"

#include <array>
#include <charconv>

namespace countermark::text {
namespace {

// The code point that stands for each byte.
constexpr std::array<unsigned, 256> kSpelling = [] {
  std::array<unsigned, 256> spelling{};
  unsigned next = 0x100;
  for (unsigned b = 0; b < 256; ++b) {
    const bool printable =
        (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || (b >= 0xae && b <= 0xff);
    spelling[b] = printable ? b : next++;
  }
  return spelling;
}();

// The byte that each code point stands for, -1 for none. The last one in use is U+0143.
constexpr std::array<int, 0x144> kByte = [] {
  std::array<int, 0x144> bytes{};
  for (int& byte : bytes) byte = -1;
  for (unsigned b = 0; b < 256; ++b) bytes[kSpelling[b]] = static_cast<int>(b);
  return bytes;
}();

}  // namespace

std::string spell_byte(std::uint8_t byte) {
  const unsigned c = kSpelling[byte];
  if (c < 0x80) return {static_cast<char>(c)};
  return {static_cast<char>(0xc0 | c >> 6), static_cast<char>(0x80 | (c & 0x3f))};
}

std::optional<std::string> unspell_bytes(std::string_view token) {
  std::string bytes;
  for (std::size_t i = 0; i < token.size(); ++i) {
    unsigned c = static_cast<unsigned char>(token[i]);
    if (c >= 0x80) {
      // All of the alphabet is one or two bytes long.
      if (c >= 0xe0 || i + 1 == token.size()) return std::nullopt;
      c = (c & 0x1f) << 6 | (static_cast<unsigned char>(token[++i]) & 0x3f);
    }
    if (c >= kByte.size() || kByte[c] < 0) return std::nullopt;
    bytes += static_cast<char>(kByte[c]);
  }
  return bytes;
}

int named_byte(std::string_view token) {
  int byte = -1;
  if (token.size() == 6 && token.starts_with("<0x") && token.ends_with('>')) {
    const auto [end, error] = std::from_chars(&token[3], &token[5], byte, 16);
    if (error != std::errc() || end != &token[5]) return -1;
  }
  return byte;
}

}  // namespace countermark::text
