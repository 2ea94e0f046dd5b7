// SPDX-License-Identifier: Apache-2.0
// What tokenizers do to text before they cut it, by utf8proc's tables (Unicode 15.0).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "watermark/error.h"

namespace countermark::text {

// As check_utf8 of the whole text, faster.
Status check_text(std::string_view text);

// The code points of `text`, which is valid UTF-8.
std::vector<std::uint32_t> code_points(std::string_view text);

// The character of `text`, which is valid UTF-8, that begins at `at`, which is moved behind it.
inline std::uint32_t read_character(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(text[at + i]));
  };
  const auto rest = [&](std::size_t i) { return byte(i) & 0x3f; };
  const std::uint32_t lead = byte(0);
  std::uint32_t character = lead;
  std::size_t size = 1;
  if (lead >= 0xf0) {
    character = (lead & 0x07) << 18 | rest(1) << 12 | rest(2) << 6 | rest(3);
    size = 4;
  } else if (lead >= 0xe0) {
    character = (lead & 0x0f) << 12 | rest(1) << 6 | rest(2);
    size = 3;
  } else if (lead >= 0x80) {
    character = (lead & 0x1f) << 6 | rest(1);
    size = 2;
  }
  at += size;
  return character;
}

// Where the last character of `text`, which is valid UTF-8 and not empty, begins.
inline std::size_t last_character(std::string_view text) {
  std::size_t at = text.size() - 1;
  while ((static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) --at;
  return at;
}

// Appends the character in UTF-8.
void append_character(std::uint32_t code_point, std::string& text);

// Whether `text` consists of characters that form C never changes, below U+0300: most texts do.
bool is_surely_nfc(std::string_view text);

enum class Form { kNfc, kNfd, kNfkc, kNfkd };

// A normalization form of valid UTF-8, in Unicode 9.0: younger marks and characters that would be
// decomposed keep to themselves, as in Hugging Face's library, whose tables are that old.
// O(n log n), however many marks a character has.
std::string to_form(std::string_view text, Form form);
inline std::string to_nfc(std::string_view text) { return to_form(text, Form::kNfc); }

// The property White_Space.
bool is_space(std::uint32_t code_point);

// Every character in lower case by itself, whatever stands beside it (Unicode 17.0).
std::string to_lower(std::string_view text);

// The words of an uncased BERT (Devlin et al. 2019, tokenization.py, BasicTokenizer): decomposed,
// without accents and control characters, in lower case; white space separates them, and every
// mark of punctuation and CJK ideograph is a word of its own.
std::vector<std::string> bert_words(std::string_view text);

}  // namespace countermark::text
