// SPDX-License-Identifier: Apache-2.0
// Exact upper tails of the laws that statistics follow under the null.
//
// Integers in, probabilities out: no normal approximation, no mid-p, no clamp. Computed with
// Boost.Math over Boost.Multiprecision (50 decimal digits) in one translation unit, and verified
// to 25 digits against mpmath and against exact rational sums (tests/stats).
#pragma once

#include <cstdint>
#include <string>

#include "verifier/stats/p_value.h"

namespace countermark::stats {

// P(G >= statistic / 2^20) for G ~ Gamma(shape = n, scale = 1): the sum of n standard exponential
// scores. For the integer scores of the native mark, which lie below the exponentials they stand
// for, this is a proven upper bound of P(sum >= statistic). n = 0 or statistic = 0 gives 1.
PValue gamma_tail(std::uint64_t n, std::uint64_t statistic);

// P(B >= successes) for B ~ Binomial(trials, numerator / denominator), 0 < numerator <
// denominator. Exact. successes = 0 gives 1; successes > trials is a caller's mistake.
PValue binomial_tail(std::uint64_t trials, std::uint64_t successes, std::uint64_t numerator,
                     std::uint64_t denominator);

// The smallest statistic (units of 2^-20) with gamma_tail(n, statistic) <= level, n >= 1.
std::uint64_t gamma_critical(std::uint64_t n, PValue level);

// The same tails as decimal strings d.ddd…e-N with `digits` significant digits (at most 40):
// what the tests compare with mpmath.
std::string gamma_tail_digits(std::uint64_t n, std::uint64_t statistic, int digits);
std::string binomial_tail_digits(std::uint64_t trials, std::uint64_t successes,
                                 std::uint64_t numerator, std::uint64_t denominator, int digits);

}  // namespace countermark::stats
