// SPDX-License-Identifier: Apache-2.0
// What tokenizers do to text before they cut it, by utf8proc's tables (Unicode 15.0).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace countermark::text {

// The code points of `text`, which is valid UTF-8.
std::vector<std::uint32_t> code_points(std::string_view text);

// Appends the character in UTF-8.
void append_character(std::uint32_t code_point, std::string& text);

// Normalization form C of valid UTF-8. O(n log n), however many marks a character has.
std::string to_nfc(std::string_view text);

// The words of an uncased BERT (Devlin et al. 2019, tokenization.py, BasicTokenizer): decomposed,
// without accents and control characters, in lower case; white space separates them, and every
// mark of punctuation and CJK ideograph is a word of its own.
std::vector<std::string> bert_words(std::string_view text);

}  // namespace countermark::text
