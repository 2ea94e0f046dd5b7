// SPDX-License-Identifier: Apache-2.0
// Cuts text into the pieces that byte-level BPE merges within, by GPT-2's pattern.
//
// The pattern is Hugging Face's ByteLevel with use_regex, whose engine is Oniguruma with Unicode
// 16.0. Where PCRE2 differs, the pattern spells the difference out: white space is the property
// White_Space (PCRE2's \s also has U+180E), and letters and numbers include those that Unicode 15
// and 16 added to PCRE2 10.42's Unicode 14. A test compares all code points.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

#include "watermark/error.h"

struct pcre2_real_code_8;        // pcre2_code
struct pcre2_real_match_data_8;  // pcre2_match_data

namespace countermark::text {

// Immutable; may be used by many threads at once, each with its own Pieces.
class Pretokenizer {
 public:
  // kInternal when the pattern does not compile.
  static Result<Pretokenizer> create();

 private:
  friend class Pieces;
  explicit Pretokenizer(std::shared_ptr<const pcre2_real_code_8> code) : code_(std::move(code)) {}

  std::shared_ptr<const pcre2_real_code_8> code_;
};

// The pieces of one text from first to last; together they are the whole text.
class Pieces {
 public:
  // `text` is valid UTF-8 and outlives this object, as does `pretokenizer`.
  Pieces(const Pretokenizer& pretokenizer, std::string_view text);

  // The next piece, empty at the end; linear in its length. kInternal when PCRE2 gives up.
  Result<std::string_view> next();

 private:
  const pcre2_real_code_8* code_;
  std::shared_ptr<pcre2_real_match_data_8> match_;
  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace countermark::text
