// SPDX-License-Identifier: Apache-2.0
// How far a count may lie from its expectation before a law must be called broken: the
// acceptance limits of calibration tests and studies, with a stated false-alarm rate.
//
// The tails are those of the law itself (no normal approximation), evaluated in double precision,
// relative error about 1e-12: a limit could differ from the exact one only where a tail meets the
// rate to twelve digits. Nothing here decides a verdict. Thread-safe; no state; no errors: an
// argument out of range is a caller's mistake (assert). Microseconds to a tenth of a millisecond.
#pragma once

#include <cstdint>

namespace countermark::stats {

// The smallest c with P(X > c) <= false_alarm for X ~ Poisson(expected): a count above c fails.
// 0 <= expected < 2^53, 0 < false_alarm < 1.
std::uint64_t poisson_upper_limit(double expected, double false_alarm);

struct CountInterval {
  std::uint64_t least;
  std::uint64_t most;
};

// The exact central interval of a Binomial(trials, p) count: P(X < least) and P(X > most) are
// each at most (1 - coverage) / 2, and no narrower such interval exists. trials < 2^53, 0 <= p <=
// 1, 0 <= coverage < 1.
CountInterval binomial_interval(std::uint64_t trials, double p, double coverage);

// One-sided Clopper-Pearson bounds of a share, from a count: the share is at least / at most this
// with the given confidence, 0 < confidence < 1, whatever the true share. successes <= trials <
// 2^53. Without trials nothing is known: 0 and 1. C. J. Clopper and E. S. Pearson, Biometrika 26
// (1934).
double share_lower_bound(std::uint64_t trials, std::uint64_t successes, double confidence);
double share_upper_bound(std::uint64_t trials, std::uint64_t successes, double confidence);

}  // namespace countermark::stats
