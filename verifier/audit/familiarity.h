// SPDX-License-Identifier: Apache-2.0
// Whether a text was written by the marked model, or by somebody who learned its mark.
//
// The marked model draws by the key at every context, whether anybody ever saw it or not. Whoever
// learned the mark from its text, a student or a forger, knows it at contexts that came often, and
// not at those that came once. So how much higher than by chance scores are at contexts that stand
// several times in a body of text, and at those that stand there once, tells the two apart (after
// Gloaguen et al., "Discovering Spoofing Attempts on Language Model Watermarks", ICML 2025, who
// correlate a token's colour with how familiar its n-gram is).
//
// A diagnostic: its p-values are those of a normal law for means of hundreds of scores. Measured
// false alarms: docs/statistics.md.
#pragma once

#include <cstdint>

#include "verifier/audit/finding.h"
#include "verifier/audit/walk.h"
#include "verifier/scan/test.h"

namespace countermark::audit {

// Scores of distinct contexts, each at its first place.
struct Scored {
  std::uint64_t n = 0;
  double mean = 0;      // above chance
  double variance = 0;  // of one
};

struct Familiarity {
  Scored familiar{};  // contexts that stand in kFamiliar texts and more
  Scored rare{};      // in one

  // rare.mean is below, or above, half of familiar.mean by this many standard errors; 0 where there
  // are fewer than kEnough of either, or familiar contexts show no mark.
  double deviations() const noexcept;
};

inline constexpr std::uint64_t kFamiliar = 5;
inline constexpr std::uint64_t kEnoughScores = 100;

// Of a normal law beyond which one in a thousand is.
inline constexpr double kFamiliarityDeviations = 3.09;

// Of texts' own tokens, whatever a suspect predicts; what was shown counts as no text. Nothing of
// tests that do not tell contexts apart, and of two keys' weighted sums. kMismatch as
// Scorer::score. Scores the texts once, and holds some 50 bytes a context.
Result<Familiarity> familiarity(const scan::Test& test, const std::vector<Exhibit>& texts);

// Of text that is said to have been served: failed where it looks learned.
Check forgery_check(const Familiarity& of);

// Of a suspect's answers: never failed. Answers that do not look learned may be the marked model's
// own, which somebody passed on; but so look those of a suspect that learned from very much.
Check learned_check(const Familiarity& of);

}  // namespace countermark::audit
