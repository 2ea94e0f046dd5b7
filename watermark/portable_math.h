// SPDX-License-Identifier: Apache-2.0
// exp and ln by additions, multiplications and divisions in one fixed order, so that a draw is
// the same on every machine. The C library's versions differ in the last bit from one processor
// to the next.
//
// Relative error below 4e-16 over the ranges that the draw uses (tests/watermark). Not for tails,
// which have their own arithmetic; e-values take it with a margin.
//
// Written once for any number of lanes; a scalar is one lane. Internal linkage, and no other
// header: kernels include this file.
#pragma once

#include <stdint.h>

namespace countermark {

// Vectors of kBytes in the compilers' own notation, which any instruction set can run.
template <int kBytes>
struct Lanes {
  typedef float F32 __attribute__((vector_size(kBytes)));
  typedef int32_t I32 __attribute__((vector_size(kBytes)));
  typedef uint32_t U32 __attribute__((vector_size(kBytes)));
  typedef double F64 __attribute__((vector_size(kBytes)));
  typedef int64_t I64 __attribute__((vector_size(kBytes)));
  typedef uint64_t U64 __attribute__((vector_size(kBytes)));
  // As many as of U32, and as many as of F64.
  typedef uint16_t U16 __attribute__((vector_size(kBytes / 2)));
  typedef float HalfF32 __attribute__((vector_size(kBytes / 2)));
  typedef int32_t HalfI32 __attribute__((vector_size(kBytes / 2)));
  typedef uint32_t HalfU32 __attribute__((vector_size(kBytes / 2)));
};

// Adding this to a small number rounds it to an integer, which then stands in the low bits.
static constexpr double kRoundingShift = 0x1.8p52;
static constexpr uint64_t kRoundingShiftBits = 0x4338000000000000;

// ln 2, split so that small multiples of the upper part are exact.
static constexpr double kLn2High = 0x1.62e42fee00000p-1;
static constexpr double kLn2Low = 0x1.a39ef35793c76p-33;

// e^x for x <= 0; 0 below -708 (soon after, e^x would be denormal). NaN is the caller's mistake.
template <int kBytes>
static inline typename Lanes<kBytes>::F64 exp_lanes(typename Lanes<kBytes>::F64 x) {
  using F64 = typename Lanes<kBytes>::F64;
  using U64 = typename Lanes<kBytes>::U64;
  const F64 bounded = x < -708.0 ? F64{} - 708.0 : x;
  // bounded = k ln 2 + r, |r| <= ln 2 / 2.
  const F64 shifted = bounded * 0x1.71547652b82fep+0 + kRoundingShift;
  const F64 k = shifted - kRoundingShift;
  const F64 r = (bounded - k * kLn2High) - k * kLn2Low;
  // Taylor series to r^13 / 13!: the remainder is below 2^-57.
  F64 sum = F64{} + 1.0 / 6227020800.0;
  sum = sum * r + 1.0 / 479001600.0;
  sum = sum * r + 1.0 / 39916800.0;
  sum = sum * r + 1.0 / 3628800.0;
  sum = sum * r + 1.0 / 362880.0;
  sum = sum * r + 1.0 / 40320.0;
  sum = sum * r + 1.0 / 5040.0;
  sum = sum * r + 1.0 / 720.0;
  sum = sum * r + 1.0 / 120.0;
  sum = sum * r + 1.0 / 24.0;
  sum = sum * r + 1.0 / 6.0;
  sum = sum * r + 0.5;
  sum = sum * r + 1.0;
  sum = sum * r + 1.0;
  const F64 power = reinterpret_cast<F64>((reinterpret_cast<U64>(shifted) + 1023) << 52);
  return x < -708.0 ? F64{} : sum * power;
}

// ln x for positive normal x.
template <int kBytes>
static inline typename Lanes<kBytes>::F64 log_lanes(typename Lanes<kBytes>::F64 x) {
  using F64 = typename Lanes<kBytes>::F64;
  using U64 = typename Lanes<kBytes>::U64;
  // x = 2^k m with m in [sqrt(1/2), sqrt(2)); ln m = 2 atanh(s), s = (m - 1) / (m + 1).
  const U64 bits = reinterpret_cast<U64>(x);
  const U64 mantissa = bits & 0x000fffffffffffff;
  const U64 above = (mantissa + 0x0010000000000000 - 0x6a09e667f3bce) >> 52;  // m > sqrt(2)
  const U64 exponent = (bits >> 52) + above - 1023;
  const F64 k = reinterpret_cast<F64>(exponent + kRoundingShiftBits) - kRoundingShift;
  const F64 m = reinterpret_cast<F64>(mantissa | ((0x3ff - above) << 52));
  const F64 s = (m - 1.0) / (m + 1.0);
  const F64 q = s * s;
  // The series to s^23 / 23: the remainder is below 2^-59 of the sum.
  F64 sum = F64{} + 1.0 / 23.0;
  sum = sum * q + 1.0 / 21.0;
  sum = sum * q + 1.0 / 19.0;
  sum = sum * q + 1.0 / 17.0;
  sum = sum * q + 1.0 / 15.0;
  sum = sum * q + 1.0 / 13.0;
  sum = sum * q + 1.0 / 11.0;
  sum = sum * q + 1.0 / 9.0;
  sum = sum * q + 1.0 / 7.0;
  sum = sum * q + 1.0 / 5.0;
  sum = sum * q + 1.0 / 3.0;
  const F64 ln_m = 2.0 * s + 2.0 * s * (q * sum);
  return k * kLn2High + (ln_m + k * kLn2Low);
}

static inline double portable_exp(double x) { return exp_lanes<8>(Lanes<8>::F64{x})[0]; }
static inline double portable_log(double x) { return log_lanes<8>(Lanes<8>::F64{x})[0]; }

}  // namespace countermark
