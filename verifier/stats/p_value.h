// SPDX-License-Identifier: Apache-2.0
// A tail probability that may be far below the smallest double.
//
// The value is mantissa x 10^exponent. Every operation rounds up, so that a bound stays a bound,
// and unless said otherwise gives the smallest PValue that is not below the exact result. Decimal
// values such as 1e-4 are no doubles: from_double(1e-4) lies above and prints as 1.01e-4; write
// from_parts(1, -4), or from_decimal(1e-4) where a person wrote the number.
// What law a p-value was computed under is said where it is computed; this type only carries it.
//
// A value type: thread-safe, no allocation but in to_string, constant time. No errors: a
// precondition broken is a caller's mistake (assert).
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace countermark::stats {

class PValue {
 public:
  // p = 1: no evidence.
  constexpr PValue() = default;

  // mantissa x 10^exponent, which must be in (0, 1] with mantissa in [1, 10).
  static PValue from_parts(double mantissa, std::int64_t exponent) noexcept;

  // The smallest PValue that is at least `p`, 0 < p <= 1.
  static PValue from_double(double p) noexcept;

  // The decimal that `p`, 0 < p <= 1, was written as: the shortest that reads as that double.
  static PValue from_decimal(double p) noexcept;

  constexpr double mantissa() const noexcept { return mantissa_; }
  constexpr std::int64_t exponent() const noexcept { return exponent_; }

  // 2^-bits, rounded up: the smallest PValue to 1074 bits, within bits x 2^-60 relative beyond.
  static PValue from_power_of_two(unsigned bits) noexcept;

  // min(1, m p): the bound over m hypotheses, m >= 1.
  PValue times(std::uint64_t m) const noexcept;

  // min(1, m p / k), m and k >= 1. As it is the smallest PValue that is not below m p / k,
  // comparing it with a PValue q < 1 compares m p with k q exactly.
  PValue scaled(std::uint64_t m, std::uint64_t k) const noexcept;

  // min(1, p + q).
  PValue plus(PValue other) const noexcept;

  // log10 p, in double precision (not rounded up; for display and for sorting of like things).
  double log10() const noexcept;

  // The nearest double; 0 below 1e-308.
  double to_double() const noexcept;

  // "3.80e-45": `digits` significant digits (1 to 15), rounded up; "1" for 1, and for what rounds
  // up to it.
  std::string to_string(int digits = 3) const;

  friend std::partial_ordering operator<=>(PValue a, PValue b) noexcept;
  friend bool operator==(PValue a, PValue b) noexcept = default;

 private:
  double mantissa_ = 1;        // in [1, 10)
  std::int64_t exponent_ = 0;  // of ten
};

}  // namespace countermark::stats
