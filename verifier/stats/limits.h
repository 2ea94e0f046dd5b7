// SPDX-License-Identifier: Apache-2.0
// How far a count may lie from its expectation before a law must be called broken: the
// acceptance limits of calibration tests and studies, exact, with a stated false-alarm rate.
#pragma once

#include <cstdint>

namespace countermark::stats {

// The smallest c with P(X > c) <= false_alarm for X ~ Poisson(expected): a count above c fails.
std::uint64_t poisson_upper_limit(double expected, double false_alarm);

struct CountInterval {
  std::uint64_t least;
  std::uint64_t most;
};

// The exact central interval of a Binomial(trials, p) count: P(X < least) and P(X > most) are
// each at most (1 - coverage) / 2, and no narrower such interval exists.
CountInterval binomial_interval(std::uint64_t trials, double p, double coverage);

// One-sided Clopper-Pearson bounds of a share, from a count: the share is at least / at most this
// with the given confidence.
double share_lower_bound(std::uint64_t trials, std::uint64_t successes, double confidence);
double share_upper_bound(std::uint64_t trials, std::uint64_t successes, double confidence);

}  // namespace countermark::stats
