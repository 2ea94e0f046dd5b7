// SPDX-License-Identifier: Apache-2.0
// Cuts text into the pieces that byte-level BPE merges within.
//
// A pre-tokenizer is a list of cuts. Each cuts every piece of the one before by a pattern, which
// sees that piece alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "verifier/text/compiled_pattern.h"
#include "verifier/text/scanner.h"
#include "watermark/error.h"

namespace countermark::text {

struct Cut {
  // Which become pieces: matches, what lies between them, or both; or both where a match is one
  // piece with what follows it (precedes it) up to the next match (the one before).
  enum class Keep { kAll, kMatches, kGaps, kWithNext, kWithPrevious };

  std::string pattern;  // as PCRE2 reads it; see pattern.h
  Keep keep = Keep::kAll;
  bool on_bytes = false;  // the pattern sees single bytes instead of characters

  bool operator==(const Cut&) const = default;
};

// Immutable; may be used by many threads at once, each with its own Pieces.
class Pretokenizer {
 public:
  // How to cut: patterns of known tokenizers (known_patterns.h) much faster than PCRE2 does;
  // or everything by PCRE2, which tests compare with.
  enum class Method { kFastest, kPcre2 };

  // kUnsupported when a pattern does not compile or matches the empty string, and when
  // COUNTERMARK_KERNEL names what this machine does not have.
  static Result<Pretokenizer> create(const std::vector<Cut>& cuts,
                                     Method method = Method::kFastest);

 private:
  friend class Pieces;
  struct Compiled {
    CompiledPattern pattern;
    Cut::Keep keep;
  };
  Pretokenizer(std::vector<Compiled> cuts, const Scan* scan, const TextKernel* kernel)
      : cuts_(std::move(cuts)), scan_(scan), kernel_(kernel) {}

  std::vector<Compiled> cuts_;  // none where there is a scan
  const Scan* scan_;            // may be null
  const TextKernel* kernel_;
};

// GPT-2's pattern (encoder.py, "pat"), which is also Hugging Face's ByteLevel with use_regex.
Cut gpt2_cut();

// Cuts that Falcon makes after ByteLevel, which has turned bytes into characters: Digits sees the
// bytes B2, B3, B9 and BC to BE as numbers, as their characters are. Nothing but cuts on bytes may
// follow.
Cut byte_digits_cut();
Cut byte_triples_cut();

// The pieces of one text from first to last. They are the whole text, unless a cut keeps less.
// Use one form of next or the other.
class Pieces {
 public:
  // `text` is valid UTF-8 and outlives this object, as does `pretokenizer`.
  Pieces(const Pretokenizer& pretokenizer, std::string_view text);

  // Pieces that lie side by side in the text.
  struct Batch {
    const char* begin;  // of the first
    std::size_t count;  // 0 at the end of the text
  };

  // The next pieces, ends.size() of them or fewer: ends[i] is where piece i ends, in bytes from
  // `begin`. `ends` is not empty. kInternal when PCRE2 gives up, kUnsupported for a piece of 4 GiB.
  Result<Batch> next(std::span<std::uint32_t> ends);

  // The next piece, empty at the end; the same errors.
  Result<std::string_view> next();

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
  Result<std::string_view> next_of(std::size_t level);
  Status find(Level& level, std::size_t from);

  std::optional<Scanner> scanner_{};
  std::string_view text_;
  std::vector<Level> levels_{};
  std::string_view held_{};  // found, but not side by side with the batch before
  CompiledPattern::Memory memory_{};
};

}  // namespace countermark::text
