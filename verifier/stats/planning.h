// SPDX-License-Identifier: Apache-2.0
// How much is needed to find something, and what so much could have found: before data are
// collected, and beside every result.
//
// Approximate, mostly by the normal law: to plan with, never for a verdict. Thread-safe; no state;
// no errors: a precondition broken is a caller's mistake (assert). Everywhere .5 < power < 1.
#pragma once

#include <cstdint>

#include "verifier/stats/p_value.h"

namespace countermark::stats {

// Rank sums (rank_sum.h): how often the one value must be above one of the `others` >= 1 of its
// group for a test at `level` to find it with the power; 1 where no such number is enough.
double detectable_share(std::uint64_t groups, std::uint64_t others, PValue level, double power);
// The other way round, .5 < share <= 1.
std::uint64_t groups_needed(double share, std::uint64_t others, PValue level, double power);
// And the third: how probably `groups` such groups would show it. 0 where no result reaches
// `level`.
double share_power(std::uint64_t groups, std::uint64_t others, double share, PValue level);

// Exponential scores, of mean 1 by chance: the mean that n distinct tuples would show, if theirs
// were exponential scores of this mean. n >= 1.
double detectable_mean(std::uint64_t n, PValue level, double power);
// The same where a bet on all of them decides (tilted() of e_value.h, at 1 / level). n < 2^29.
double detectable_mean_by_bet(std::uint64_t n, PValue level, double power);
// mean > 1. At most 2^53.
std::uint64_t tuples_needed(double mean, PValue level, double power);
// mean >= 1.
double mean_power(std::uint64_t n, double mean, PValue level);
// Both where the bet decides, n < 2^29. As many where no fewer are enough: the bet's smallest tilt
// loses at means below 1.0078, however many tuples there are.
inline constexpr std::uint64_t kMostOfBet = std::uint64_t{1} << 29;
std::uint64_t tuples_needed_by_bet(double mean, PValue level, double power);
double mean_power_by_bet(std::uint64_t n, double mean, PValue level);
// What the mean may be, two-sided, under the same model of its law, 0 < confidence < 1.
struct Range {
  double least;
  double most;
};
Range mean_range(std::uint64_t n, double mean, double confidence);

// Green tokens, a share of numerator / denominator by chance: the share that n distinct tuples
// would show; 1 where none is enough. 0 < numerator < denominator. Some 20 tails.
double detectable_green(std::uint64_t n, std::uint64_t numerator, std::uint64_t denominator,
                        PValue level, double power);
// The same of green_bet(). n < 2^30, denominator < 2^32.
double detectable_green_by_bet(std::uint64_t n, std::uint64_t numerator, std::uint64_t denominator,
                               PValue level, double power);
// numerator / denominator < green <= 1. At most 2^53.
std::uint64_t green_needed(double green, std::uint64_t numerator, std::uint64_t denominator,
                           PValue level, double power);
// numerator / denominator <= green <= 1.
double green_power(std::uint64_t n, double green, std::uint64_t numerator,
                   std::uint64_t denominator, PValue level);

}  // namespace countermark::stats
