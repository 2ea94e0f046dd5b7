// SPDX-License-Identifier: Apache-2.0
// Regular expressions of tokenizers, rewritten for PCRE2.
//
// Hugging Face's engine is Oniguruma with Unicode 16.0, tiktoken's is Rust's regex. PCRE2 10.42
// has Unicode 14.0 and other classes, so that every class is spelled out: white space is the
// property White_Space (PCRE2's \s also has U+180E), and a general category includes what Unicode
// 15 and 16 added to it. A test compares all code points.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "watermark/error.h"

namespace countermark::text {

// The pattern for PCRE2 (with PCRE2_UTF and PCRE2_UCP) that matches as `pattern` does in Oniguruma.
// Known: literals, groups, look-ahead, alternatives, greedy, lazy and possessive quantifiers,
// classes, \s, \d and general categories, `$` (the end of a line), and (?i:…) around the English
// contractions, whose only other letter by case folding is U+017F. Anything else is kUnsupported
// and named, above all what the two engines read otherwise ({1,3}+ repeats in Oniguruma).
Result<std::string> pcre2_pattern(std::string_view pattern);

// The pattern that matches `text` and nothing else.
std::string literal_pattern(std::string_view text);

// One character that Hugging Face's Digits and Punctuation take: their tables are Rust's of
// Unicode 17 and a crate's of Unicode 8. To be repeated possessively, which takes no stack.
std::string digit_pattern();
std::string punctuation_pattern();

// One character that \w is in Rust's regex (Unicode 16.0), and the words of Hugging Face's
// Whitespace: runs of them, and of what is neither one nor white space.
std::string word_character_pattern();
std::string words_pattern();

// Insides of classes, which is all that a table of characters (character_table.h) has to take from
// here: white space; by general category, what Unicode 16.0 has beyond 14.0; and what digit_pattern
// has beyond that.
struct CategoryAddition {
  std::string_view category;
  std::string_view members;
};
std::string_view white_space_members();
std::span<const CategoryAddition> category_additions();
std::string_view later_number_members();

}  // namespace countermark::text
