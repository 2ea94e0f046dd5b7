// SPDX-License-Identifier: Apache-2.0
// The tuples of a text that another system's mark may be looked for in, and their scores under a
// key.
//
// Which positions enter is decided by the text and the profile alone: where the source's contexts
// begin, which it marks, and what the author was shown. Under a key each PRF input then counts
// once, so that under the null the scores are as independent as the scheme's PRF lets them be.
#pragma once

#include <cstdint>
#include <vector>

#include "verifier/detect/fingerprint_set.h"
#include "verifier/detect/tally.h"
#include "verifier/detect/tape.h"
#include "verifier/detect/token_text.h"
#include "watermark/marks/foreign_mark.h"

namespace countermark::detect {

// As columns: contexts holds `width` ids a tuple, oldest first.
struct ForeignTuples {
  unsigned width = 0;
  std::vector<TokenId> contexts{};
  std::vector<TokenId> tokens{};
  std::vector<std::uint64_t> positions{};  // of the token, counted over all scored tokens
  Dropped dropped{};
  std::uint64_t text_tokens = 0;  // of all scored segments
  bool distinct = false;          // no context stands here twice
};

// The tuples of a text, before any key. Contexts that occur in a segment that is not scored are
// left out; a repeated context of a response is left out where the profile's dedup is "context",
// as far back as its history reaches. kMismatch for an id beyond the profile's vocabulary.
// O(tokens x width).
Result<ForeignTuples> collect(const ForeignProfile& profile, const TokenText& text);

// What the authors of many texts were shown.
class ShownContexts {
 public:
  // Those of the segments that are not scored.
  ShownContexts(const ForeignProfile& profile, const TokenText& text);

  void add(const ForeignProfile& profile, const TokenText& text);
  std::size_t size() const noexcept { return set_.size(); }
  bool contains(std::uint64_t fingerprint) const noexcept { return set_.contains(fingerprint); }

 private:
  FingerprintSet set_;
};

// The same, without contexts of `shown` either.
Result<ForeignTuples> collect(const ForeignProfile& profile, const TokenText& text,
                              const ShownContexts& shown);

// The scores under one key of those tuples whose PRF input is new, in order.
struct ForeignScores {
  std::vector<std::uint32_t> tuples{};  // indices
  // Units of the law's statistic: 2^-20 of a Gumbel score (of two keys: weighted by the null
  // model's a and b), green tokens, or ones among g values.
  std::vector<std::uint64_t> scores{};
  std::vector<std::uint64_t> fingerprints{};  // of the PRF inputs
};

ForeignScores score(const ForeignMark& mark, const ForeignTuples& tuples);

// Of those tuples what the mark's key number 0 makes of their contexts, for any token: contexts
// that it does not tell apart have one fingerprint.
void contexts(const ForeignMark& mark, const ForeignTuples& tuples,
              std::span<const std::uint32_t> which, std::vector<std::uint64_t>& out);

// Tallies of one text after the other, or of one text under one key after the other, in memory that
// is kept. Not thread-safe.
class ForeignTallier {
 public:
  ForeignTallier();

  // The sum of all that `score` gives.
  Tally tally(const ForeignMark& mark, const ForeignTuples& tuples);

 private:
  friend ForeignScores score(const ForeignMark& mark, const ForeignTuples& tuples);

  void begin(const ForeignMark& mark, const ForeignTuples& tuples);
  // Leaves of the tuples from `first` on, `count` of them, those whose PRF input is new: their
  // scores in scores_, their indices from `first` on in kept_. False when all are new; kept_ is not
  // written then.
  bool score_piece(const ForeignMark& mark, const ForeignTuples& tuples, std::size_t first,
                   std::size_t count);

  FingerprintSet seen_;
  bool distinct_ = false;  // no PRF input comes twice
  NullModel model_{};
  std::size_t piece_ = 0;
  std::vector<PrfInput> inputs_{};
  std::vector<std::uint64_t> prints_{};
  std::vector<std::uint8_t> fresh_{};
  std::vector<std::uint32_t> kept_{};
  std::vector<std::uint64_t> raws_{};
  std::vector<std::uint32_t> units_{};
  std::vector<std::uint64_t> scores_{};
};

// One tally alone.
Tally tally(const ForeignMark& mark, const ForeignTuples& tuples);

}  // namespace countermark::detect
