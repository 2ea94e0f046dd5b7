// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/scan_text.h"

#include "verifier/text/character_table.h"

namespace countermark::text {
namespace {

unsigned kind_of(std::uint32_t code_point) {
  return CharacterTable::instance().of(code_point) & CharacterTable::kKind;
}

}  // namespace

std::size_t end_of_spaces(std::string_view text, std::size_t at) {
  while (at < text.size() && !is_newline(text[at])) {
    const Character character = character_at(text.data() + at);
    if (kind_of(character.code_point) != COUNTERMARK_WHITE) break;
    at += character.size;
  }
  return at;
}

bool word_goes_on(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    const Character character = character_at(text.data() + at);
    const unsigned kind = kind_of(character.code_point);
    if (kind != COUNTERMARK_UPPER)
      return kind == COUNTERMARK_LOWER || kind == COUNTERMARK_CASELESS || kind == COUNTERMARK_MARK;
    at += character.size;
  }
  return false;
}

unsigned contraction_size(std::string_view text, std::size_t at, bool any_case) {
  const std::string_view rest = text.substr(at + 1, 2);
  const auto letter = [&](std::size_t i) {
    const char c = i < rest.size() ? rest[i] : '\0';
    return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  };
  switch (letter(0)) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return 2;
    case 'l':
      return letter(1) == 'l' ? 3 : 0;
    case 'v':
    case 'r':
      return letter(1) == 'e' ? 3 : 0;
    default:
      return any_case && rest == "\u017f" ? 3 : 0;
  }
}

}  // namespace countermark::text
