// SPDX-License-Identifier: Apache-2.0
// The numbers that other systems' own detectors print: their formulas, right or wrong, so that what
// they publish can be compared with ours. Nothing here decides a verdict.
//
// Double precision: p to about 12 digits down to 1e-290, below that log10 p to about 12 digits and
// p to as many as are left of them (0 below 1e-308). Thread-safe; no state; no errors: an argument
// out of range is a caller's mistake (assert). Microseconds.
#pragma once

#include <cstdint>

namespace countermark::stats {

struct PublishedP {
  double p;
  double log10_p;
};

// z of a count of green tokens: (greens - gamma n) / sqrt(n gamma (1 - gamma)), n >= 1, 0 < gamma <
// 1. What lm-watermarking, transformers and TGI compare with a threshold.
double published_z(std::uint64_t n, std::uint64_t greens, double gamma);

// P(N > z), N standard normal: lm-watermarking, and transformers from release 5.23 on. At small n
// it is smaller than the probability.
PublishedP lm_watermarking_p(double z);

// P(Gamma(n) >= sum): vLLM and SGLang with one key, three_bricks' Aaronson detector. Exact, as
// gamma_tail is. n >= 1, sum >= 0.
PublishedP gumbel_p(std::uint64_t n, double sum);

// The dual-key sum (1 - alpha) sA + alpha sB as one Gamma of the same mean and variance: shape n /
// v, statistic sum / v, v = (1 - alpha)^2 + alpha^2. vLLM, TextSeal. Too small in the tail unless
// alpha is 0, 1/2 or 1; the exact law is two_gamma_tail's. 0 <= alpha <= 1.
PublishedP dual_key_p(std::uint64_t n, double sum, double alpha);

// I_gamma(greens, n - greens + 1) = P(Binomial(n, gamma) >= greens): three_bricks. Exact, as
// binomial_tail is. (Its own code gives NaN for greens = 0; here that is 1.)
PublishedP three_bricks_greenlist_p(std::uint64_t n, std::uint64_t greens, double gamma);

// P(B > greens) + P(B = greens) / 2, the mid-p: TextSeal's green list and SynthID detectors.
// Smaller than the probability of a count at least as large, hence no p-value.
PublishedP textseal_greenlist_p(std::uint64_t n, std::uint64_t greens, double gamma);

}  // namespace countermark::stats
