// SPDX-License-Identifier: Apache-2.0
// The tail of a sum of independent integers, each with a law of its own: ranks, and whatever else
// takes few values.
//
// Thread-safe; no state; no errors: a precondition broken is a caller's mistake (assert).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "verifier/stats/p_value.h"

namespace countermark::stats {

// `count` independent variables of one law: P(v) = weights[v] / (sum of weights).
struct LatticeTerm {
  std::vector<std::uint64_t> weights{};  // below 2^32; not all 0
  std::uint64_t count = 1;
};

// P(sum of all terms >= statistic), from above: within a relative 1e-6 for up to 10^8 variables of
// up to 100 values. The same bits on every machine. 1 for a statistic that the sum cannot fall
// below; a statistic above the largest sum is a caller's mistake.
//
// By convolution, over some 23 standard deviations s of the sum. Time: about (23 s)^2 steps of .3
// ns for each doubling of the last few, and as much again for each distinct law: 10^5 ranks among
// 17 take half a second, 10^4 among 5 a millisecond.
PValue lattice_tail(std::span<const LatticeTerm> terms, std::uint64_t statistic);

}  // namespace countermark::stats
