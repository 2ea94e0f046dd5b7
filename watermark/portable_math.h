// SPDX-License-Identifier: Apache-2.0
// exp and ln by additions, multiplications and divisions in one fixed order, so that a draw is
// the same on every machine. The C library's versions differ in the last bit from one processor
// to the next.
//
// Relative error below 4e-16 over the ranges that the draw uses (tests/watermark). Not for
// statistics: those have their own arithmetic.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <initializer_list>

namespace countermark {

// e^x for x <= 0; 0 below -708 (soon after, e^x would be denormal). NaN is the caller's mistake.
inline double portable_exp(double x) noexcept {
  if (x < -708) return 0;
  // x = k ln 2 + r, |r| <= ln 2 / 2. ln 2 is split so that k times its upper part is exact.
  constexpr double kLog2E = 0x1.71547652b82fep+0;
  constexpr double kLn2High = 0x1.62e42fee00000p-1;
  constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
  const double k = std::floor(x * kLog2E + 0.5);
  const double r = (x - k * kLn2High) - k * kLn2Low;
  // Taylor series to r^13 / 13!: the remainder is below 2^-57.
  double sum = 1.0 / 6227020800.0;
  for (const double factorial : {479001600.0, 39916800.0, 3628800.0, 362880.0, 40320.0, 5040.0,
                                 720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0})
    sum = sum * r + 1.0 / factorial;
  return sum *
         std::bit_cast<double>((static_cast<std::uint64_t>(1023 + static_cast<int>(k))) << 52);
}

// ln x for positive normal x.
inline double portable_log(double x) noexcept {
  // x = 2^k m with m in [sqrt(1/2), sqrt(2)); ln m = 2 atanh(s), s = (m - 1) / (m + 1).
  const auto bits = std::bit_cast<std::uint64_t>(x);
  int k = static_cast<int>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  if (m > 0x1.6a09e667f3bcdp+0) {
    m *= 0.5;
    k += 1;
  }
  const double s = (m - 1) / (m + 1);
  const double q = s * s;
  // The series to s^23 / 23: the remainder is below 2^-59 of the sum.
  double sum = 1.0 / 23;
  for (const double odd : {21.0, 19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0})
    sum = sum * q + 1.0 / odd;
  const double ln_m = 2 * s + 2 * s * (q * sum);
  constexpr double kLn2High = 0x1.62e42fee00000p-1;
  constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
  return k * kLn2High + (ln_m + k * kLn2Low);
}

}  // namespace countermark
