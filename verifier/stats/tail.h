// SPDX-License-Identifier: Apache-2.0
// Exact upper tails of the laws that statistics follow under the null.
//
// Integers in, probabilities out: no normal approximation, no mid-p, no clamp. A point mass in
// Boost.Multiprecision (50 decimal digits) times a sum in fixed point whose error is bounded term
// by term: relative error below 2^-90, and the PValue is rounded up beyond it. Verified to 25
// digits against mpmath and against exact rational sums (tests/stats). The same bits on every
// machine: software arithmetic decides, doubles only propose.
//
// Thread-safe; no state. No errors: a precondition broken is a caller's mistake (assert).
// Time: 10 to 40 us plus about 12 standard deviations of the law at 8 ns (gamma) or 50 ns
// (binomial) each: n = 10^6 takes .13 ms, n = 10^12 .1 s, 10^9 trials 10 ms.
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
// denominator: `trials` independent tokens, each green with that probability. Exact. successes = 0
// gives 1; successes > trials is a caller's mistake. Below 10^-(9 10^18) an upper bound.
PValue binomial_tail(std::uint64_t trials, std::uint64_t successes, std::uint64_t numerator,
                     std::uint64_t denominator);

// P(weight_a G1 + weight_b G2 >= statistic / 2^20) for independent G1, G2 ~ Gamma(n, 1): n tuples,
// each with a score under either of two keys, and the weighted sum of both. For scores that lie
// below the exponentials they stand for, an upper bound as above. Positive weights below 2^31, of
// any common factor. n = 0 or statistic = 0 gives 1; where P is above 1 - 2^-90 it may be 1.
//
// Time grows with the root of n and with the ratio of the weights: at 9 : 1 n = 1,000 takes .06 ms,
// n = 10^6 .9 ms.
PValue two_gamma_tail(std::uint64_t n, std::uint64_t statistic, std::uint64_t weight_a,
                      std::uint64_t weight_b);

// A bound of P(G >= greens) for G the number of green pairs among n distinct pairs (list, token),
// where each list is an independent uniform choice of `green_size` of the `vocab_size` tokens,
// 0 < green_size < vocab_size, greens <= n; tokens beyond the vocabulary are never green.
//
// Pairs of one list are dependent: what is drawn is not put back. Whatever their numbers, it is
// binomial_tail(n, greens, green_size, vocab_size) from greens = n green_size / vocab_size + 1 on
// (proof in tail.cpp), and 1 below, where the binomial tail need not be a bound.
PValue green_tail(std::uint64_t n, std::uint64_t greens, std::uint64_t green_size,
                  std::uint64_t vocab_size);

// The smallest statistic (units of 2^-20) with gamma_tail(n, statistic) <= level, n >= 1. The exact
// boundary of gamma_tail itself; the largest integer if no statistic reaches the level. Time: about
// six tails.
std::uint64_t gamma_critical(std::uint64_t n, PValue level);

// The same tails as decimal strings d.ddd…e-N (e0 from 1) with `digits` significant digits (1 to
// 40), rounded to nearest: what the tests compare with mpmath. 25 digits are guaranteed.
std::string gamma_tail_digits(std::uint64_t n, std::uint64_t statistic, int digits);
std::string binomial_tail_digits(std::uint64_t trials, std::uint64_t successes,
                                 std::uint64_t numerator, std::uint64_t denominator, int digits);
std::string two_gamma_tail_digits(std::uint64_t n, std::uint64_t statistic, std::uint64_t weight_a,
                                  std::uint64_t weight_b, int digits);

}  // namespace countermark::stats
