// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/added_tokens.h"

#include <algorithm>

#include "verifier/text/compiled_pattern.h"
#include "verifier/text/pattern.h"
#include "verifier/text/unicode_text.h"

namespace countermark::text {
namespace {

// Whether the character of `text` that begins at `at` is a \w.
bool is_word_character(std::string_view text, std::size_t at) {
  static const auto kPattern = CompiledPattern::create(word_character_pattern());
  std::size_t end = at;
  read_character(text, end);
  const auto match = kPattern->find(text.substr(at, end - at), 0, CompiledPattern::memory());
  return match && match->begin < match->end;
}

bool stands_alone(std::string_view text, std::size_t begin, std::size_t end) {
  return (begin == 0 || !is_word_character(text, last_character(text.substr(0, begin)))) &&
         (end == text.size() || !is_word_character(text, end));
}

}  // namespace

void AddedTokens::add(std::string_view content, TokenId id, AddedFlags flags) {
  tokens_.add(content, id);
  if (flags != AddedFlags{}) flags_[id] = flags;
}

bool AddedTokens::find(std::string_view text, Cursor& cursor) const {
  for (;;) {
    const Trie::Match match = tokens_.find(text, cursor.at);
    if (match.size == 0) return false;
    std::size_t begin = cursor.at;
    std::size_t end = cursor.at += match.size;
    const auto known = flags_.find(match.id);
    const AddedFlags flags = known == flags_.end() ? AddedFlags{} : known->second;
    if (flags.single_word && !stands_alone(text, begin, end)) continue;
    if (flags.lstrip) {
      while (begin > cursor.end) {
        const std::size_t before = last_character(text.substr(0, begin));
        std::size_t at = before;
        if (!is_space(read_character(text, at))) break;
        begin = before;
      }
      begin = std::max(begin, cursor.end);
    }
    if (flags.rstrip) {
      // What one token has taken is not gone over again for another inside it.
      end = std::max(end, cursor.space_end);
      while (end < text.size()) {
        std::size_t at = end;
        if (!is_space(read_character(text, at))) break;
        end = at;
      }
      cursor.space_end = end;
    }
    if (begin >= end) continue;
    cursor.end_before = cursor.end;
    cursor.begin = begin;
    cursor.end = end;
    cursor.id = match.id;
    return true;
  }
}

}  // namespace countermark::text
