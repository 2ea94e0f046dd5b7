// SPDX-License-Identifier: Apache-2.0
// Cuts text into the pieces that byte-level BPE merges within.
//
// A pre-tokenizer is a list of cuts. Each cuts every piece of the one before by a pattern, which
// sees that piece alone.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "watermark/error.h"

struct pcre2_real_code_8;        // pcre2_code
struct pcre2_real_match_data_8;  // pcre2_match_data

namespace countermark::text {

struct Cut {
  enum class Keep { kAll, kMatches, kGaps };

  std::string pattern;     // as PCRE2 reads it; see pattern.h
  Keep keep = Keep::kAll;  // which become pieces: matches, what lies between them, or both
  bool on_bytes = false;   // the pattern sees single bytes instead of characters
};

// Immutable; may be used by many threads at once, each with its own Pieces.
class Pretokenizer {
 public:
  // kUnsupported when a pattern does not compile or
  // matches the empty string.
  static Result<Pretokenizer> create(const std::vector<Cut>& cuts);

 private:
  friend class Pieces;
  struct Compiled {
    std::shared_ptr<const pcre2_real_code_8> code;
    Cut::Keep keep;
  };
  explicit Pretokenizer(std::vector<Compiled> cuts) : cuts_(std::move(cuts)) {}

  std::vector<Compiled> cuts_;
};

// GPT-2's pattern (encoder.py, "pat"), which is also Hugging Face's ByteLevel with use_regex.
Cut gpt2_cut();

// Cuts that Falcon makes after ByteLevel, which has turned bytes into characters: Digits sees the
// bytes B2, B3, B9 and BC to BE as numbers, as their characters are. Nothing but cuts on bytes may
// follow.
Cut byte_digits_cut();
Cut byte_triples_cut();

// The pieces of one text from first to last. They are the whole text, unless a cut keeps less.
class Pieces {
 public:
  // `text` is valid UTF-8 and outlives this object, as does `pretokenizer`.
  Pieces(const Pretokenizer& pretokenizer, std::string_view text);

  // The next piece, empty at the end. kInternal when PCRE2 gives up.
  Result<std::string_view> next() { return next(levels_.size()); }

 private:
  // What one cut has left of a piece of the cut before.
  struct Level {
    const Pretokenizer::Compiled* cut;
    std::string_view text{};
    std::size_t at = 0;
    bool found = false;  // whether the next match is known: it ends at `end`
    std::size_t begin = 0;
    std::size_t end = 0;
  };
  Result<std::string_view> next(std::size_t level);
  Status find(Level& level);

  std::string_view text_;
  std::vector<Level> levels_{};
  std::shared_ptr<pcre2_real_match_data_8> match_;
};

}  // namespace countermark::text
