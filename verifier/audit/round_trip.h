// SPDX-License-Identifier: Apache-2.0
// Whether token ids are a tokenizer's: their text, cut again, gives them back.
//
// Ids of another tokenizer say nothing of a mark, whatever their model learned: a test on them
// finds nothing, and must not be read as if it had looked.
#pragma once

#include <cstdint>
#include <vector>

#include "verifier/audit/finding.h"
#include "verifier/text/tokenizer.h"

namespace countermark::audit {

// Text that people wrote comes back whole, text that a model drew token by token nearly so: 98.3 %
// and more. Ids of other tokenizers come back to 93.8 % at most (docs/statistics.md).
inline constexpr double kRoundTrip = 0.96;

class RoundTrip {
 public:
  // Looks at the first `most` tokens. `tokenizer` may be null, and must outlive this.
  explicit RoundTrip(const text::Tokenizer* tokenizer, std::uint64_t most = 1'000'000)
      : tokenizer_(tokenizer), most_(most) {}

  // A document's. What stands between bytes that are no UTF-8 is cut by itself. O(n log n).
  void add(TokenSpan ids);

  std::uint64_t tokens() const noexcept { return tokens_; }
  std::uint64_t same() const noexcept { return same_; }

  // "tokenizer": failed where fewer come back; not run without ids, or without a tokenizer that
  // gives texts back at all (WordPiece's do not).
  Check check() const;

 private:
  // An id, and the byte of the text where it begins.
  struct Placed {
    std::int64_t begin;
    TokenId id;
  };

  // Bytes that an id stands for within a text.
  std::int64_t length(TokenId id);
  // Appends ids that end at a byte.
  void place(TokenSpan ids, std::int64_t end, std::vector<Placed>& out);
  // Such as a chat's, which no text gives: they do not count.
  bool is_control(TokenId id) const;

  const text::Tokenizer* tokenizer_;
  std::uint64_t most_;
  std::uint64_t tokens_ = 0;
  std::uint64_t same_ = 0;
  std::vector<std::int64_t> lengths_{};  // by id; -1: not known yet
  std::vector<TokenId> before_{};        // a token, that `length` puts before the id
  // Reused: the ids, and those of their text.
  std::vector<Placed> given_{};
  std::vector<Placed> again_{};
};

}  // namespace countermark::audit
