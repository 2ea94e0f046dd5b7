// SPDX-License-Identifier: Apache-2.0
// Point masses that sums of the exact tails are multiples of. Not for use outside stats/.
#pragma once

#include <cstdint>

#include "verifier/stats/decimal.h"

namespace countermark::stats {

// pi(k; mean) = e^-mean mean^k / k!, mean > 0.
//
// Stirling's series is good to 4e-32; log errs by a few 2^-168 (k + |log|), the error of mean / k
// among it.
Magnitude poisson_mass(std::uint64_t k, const Float& mean);

// b(k) = C(trials, k) p^k (1 - p)^(trials - k), p = numerator / denominator between 0 and 1, k <=
// trials. After C. Loader, "Fast and accurate computation of binomial probabilities" (2000):
// b(k) = pi(k; Np) pi(N-k; Nq) / pi(N; N). We differ from Loader in taking the logarithms in 50
// digits, where the cancellation he avoids costs at most log10 N of them.
Magnitude binomial_mass(std::uint64_t trials, std::uint64_t k, std::uint64_t numerator,
                        std::uint64_t denominator);

}  // namespace countermark::stats
