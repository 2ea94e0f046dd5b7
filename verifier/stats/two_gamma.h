// SPDX-License-Identifier: Apache-2.0
// P(weight_a G1 + weight_b G2 >= x) for independent G1, G2 ~ Gamma(n, 1): what tail.h rounds.
// Not for use outside stats/.
#pragma once

#include <cstdint>

#include "verifier/stats/mass.h"

namespace countermark::stats {

constexpr int kScoreBits = 20;  // a statistic counts units of 2^-20

// At x = statistic / 2^20 > 0, n >= 1, weights from 1 to 2^31 - 1; relative error below 2^-90.
Magnitude two_gamma_probability(std::uint64_t n, std::uint64_t statistic, std::uint64_t weight_a,
                                std::uint64_t weight_b);

}  // namespace countermark::stats
