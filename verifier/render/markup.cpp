// SPDX-License-Identifier: Apache-2.0
#include "verifier/render/markup.h"

#include <charconv>
#include <cstddef>
#include <cstdint>

namespace countermark::render {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

struct Character {
  std::uint32_t code = 0;
  std::size_t bytes = 1;
  bool valid = false;
};

Character first_of(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const std::size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < bytes) return {};
  std::uint32_t code = lead & (0xffU >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return {};
    code = code << 6U | (byte(i) & 0x3fU);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kLeast[bytes] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return {};
  return {code, bytes, true};
}

bool is_forbidden(std::uint32_t code) {
  return (code < 0x20 && code != '\t' && code != '\n') || (code >= 0x7f && code < 0xa0) ||
         (code & 0xfffeU) == 0xfffe || (code >= 0xfdd0 && code < 0xfdf0);
}

// Overrides, embeddings, isolates and marks of direction.
bool turns_direction(std::uint32_t code) {
  return code == 0x061c || code == 0x200e || code == 0x200f || (code >= 0x202a && code <= 0x202e) ||
         (code >= 0x2066 && code <= 0x2069);
}

std::string spelled_out(std::uint32_t code) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out = "\u2039U+";
  for (int shift = code > 0xffff ? 20 : 12; shift >= 0; shift -= 4)
    out += kDigits[code >> static_cast<unsigned>(shift) & 15U];
  return out + "\u203a";
}

std::string escape(std::string_view text, bool visibly) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  while (!text.empty()) {
    const Character character = first_of(text);
    const std::uint32_t code = character.code;
    if (character.valid && visibly && (is_forbidden(code) || turns_direction(code)))
      out += spelled_out(code);
    else if (!character.valid || is_forbidden(code))
      out += kReplacement;
    else if (code == '&')
      out += "&amp;";
    else if (code == '<')
      out += "&lt;";
    else if (code == '>')
      out += "&gt;";
    else if (code == '"')
      out += "&quot;";
    else if (code == '\'')
      out += "&#39;";
    else
      out += text.substr(0, character.bytes);
    text.remove_prefix(character.bytes);
  }
  return out;
}

}  // namespace

std::string escaped(std::string_view text) { return escape(text, false); }

std::string escaped_visibly(std::string_view text) { return escape(text, true); }

std::string number(double value, int decimals) {
  char buffer[400];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed, decimals);
  std::string out(buffer, end.ptr);
  if (out.find('.') != std::string::npos) {
    out.erase(out.find_last_not_of('0') + 1);
    if (out.back() == '.') out.pop_back();
  }
  return out == "-0" ? "0" : out;
}

}  // namespace countermark::render
