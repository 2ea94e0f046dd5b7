// SPDX-License-Identifier: Apache-2.0
// What the exact tails compute with: software floating point of 168 bits, the same bits on every
// machine, and the three functions of it that they need. Not for use outside stats/.
//
// Boost's own exp and log take 15 us each, its sqrt 3 us; here e^x goes through fractions of 192
// bits, and the others follow from it or from a double by a step or two of Newton's: .6 to 2 us.
#pragma once

#include <boost/multiprecision/cpp_bin_float.hpp>

namespace countermark::stats {

using Float = boost::multiprecision::number<boost::multiprecision::cpp_bin_float_50::backend_type,
                                            boost::multiprecision::et_off>;  // exponent: 32 bits

// e^x within a few 2^-168 (1 + |x|) of itself, |x| < 2^30.
Float exponential(const Float& x);

// log x, x > 0, within a few 2^-168 (1 + |log x|).
Float logarithm(const Float& x);

// 1 / sqrt x within a few 2^-168 of itself, for x from 1e-300 to 1e300.
Float reciprocal_root(const Float& x);

}  // namespace countermark::stats
