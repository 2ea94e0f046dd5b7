// SPDX-License-Identifier: Apache-2.0
// Which law a statistic follows when the text has nothing to do with the key. Plain data: the
// tails themselves are computed by the verifier.
#pragma once

#include <cstdint>

namespace countermark {

// The law of one tuple's score; a tally of n distinct tuples follows its n-fold sum.
enum class NullLaw : std::uint8_t {
  // score / 2^20 lies at or below a standard exponential, so that Gamma(n, 1) bounds the sum.
  kExponentialBound,
  // A tuple has two such scores, of two keys, and counts a x the first + b x the second: the sum
  // is bounded by a G1 + b G2, G1 and G2 independent and Gamma(n, 1).
  kTwoExponentialBounds,
  // 1 with probability a / b: a of b tokens are on the list that the tuple belongs to, so that
  // tuples of different lists are independent and those of one are drawn without replacement.
  kGreenList,
  // 1 with probability a / b, each tuple by itself: Binomial(n, a / b).
  kGreen,
  // The number of ones among a fair bits: Binomial(a n, 1/2).
  kBits,
};

struct NullModel {
  NullLaw law = NullLaw::kExponentialBound;
  std::uint64_t a = 0;
  std::uint64_t b = 0;

  bool operator==(const NullModel&) const = default;
};

}  // namespace countermark
