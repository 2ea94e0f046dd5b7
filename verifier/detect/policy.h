// SPDX-License-Identifier: Apache-2.0
// From a p-value to a verdict: the thresholds, and the smallest p-value that may be asserted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "verifier/detect/tally.h"
#include "verifier/stats/p_value.h"
#include "watermark/null_model.h"
#include "watermark/profile.h"

namespace countermark::detect {

// countermark.policy/1. Fixed before the text is looked at; printed with every verdict.
struct Policy {
  stats::PValue alpha = stats::PValue::from_parts(1, -6);
  // With fewer scored tuples the text is called too short, whatever the p-value.
  std::uint64_t minimum_scored = 16;
  // Tests that each document is put to, by as many pairs of profile and key: every p-value is
  // corrected for them.
  std::uint64_t tests = 1;
};

// What was found, about the key and the text. Never a statement about authorship, and never, by
// its absence, an exoneration.
enum class Verdict : std::uint8_t {
  kDetected,
  kNotDetected,
  kInconclusive,  // fewer tuples than the policy's minimum
  kWithheld,      // a diagnostic failed; no headline p-value may be used
};

const char* verdict_name(Verdict verdict) noexcept;

// A p-value and what may be said with it.
//
// Null law: `p` is the tail of Gamma(n, 1) at the statistic, times `hypotheses`: a proven upper
// bound when the PRF is an ideal random function that is independent of the text. Over the real
// key the statement is P <= hypotheses (tail + eps), eps = A^2 / 2^127, where A bounds the blocks
// that the context key encrypted (docs/mark.md, "What may be said of a real key"), and nothing
// below 2^-64 is asserted.
//
// The evidence of another system's mark: `p` is the tail of `null_model` at the statistic, times
// `hypotheses`. With model reasons it is the model's and only orders keys: `asserted` is then the
// key's rank among decoys, times the hypotheses, and `floor` the smallest that rank can be.
struct Evidence {
  Tally tally{};
  NullModel null_model{};
  std::vector<std::string> model_reasons{};  // countermark::model_reasons; empty: the law is proven
  std::uint64_t hypotheses = 1;
  stats::PValue p{};         // pValue: the ideal law's
  stats::PValue floor{};     // pFloor: the smallest assertable value for this A
  stats::PValue asserted{};  // what verdicts and reports use
};

// a x b, the number of combinations that were tried; stays at 2^64 - 1 instead of wrapping, and
// `weigh` then asserts nothing.
std::uint64_t hypotheses_of(std::uint64_t a, std::uint64_t b) noexcept;

// A of the bound: how many blocks the context key encrypts at most to route `tokens` tokens, a
// header for each width and its context's blocks at each position. Rounded up.
double context_blocks(const std::vector<Layer>& layers, std::uint64_t tokens) noexcept;

// The evidence of a tally that is the best of `hypotheses` that were tried, all of the same n,
// found in a text that took `context_blocks` to route, unscored positions and prompts included.
// With 2^64 - 1 hypotheses, which stands for more, p is 1.
Evidence weigh(const Tally& tally, std::uint64_t hypotheses, double context_blocks);

// The tail of the law at a tally.
stats::PValue tail(const NullModel& model, const Tally& tally);

// The evidence of another system's mark, by its law: what is asserted is at least 2^-64, the
// chance that somebody guesses a key.
Evidence weigh(const NullModel& model, const Tally& tally, std::uint64_t hypotheses);

Verdict judge(const Evidence& evidence, const Policy& policy) noexcept;

}  // namespace countermark::detect
