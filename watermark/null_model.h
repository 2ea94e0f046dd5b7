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
};

struct NullModel {
  NullLaw law = NullLaw::kExponentialBound;
};

}  // namespace countermark
