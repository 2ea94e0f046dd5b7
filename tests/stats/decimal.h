// SPDX-License-Identifier: Apache-2.0
// Exact decimals for the tests of tails: a 40-digit reference value, its distance from a computed
// one, and the smallest PValue that is not below it, all in integers.
#pragma once

#include <boost/multiprecision/cpp_int.hpp>
#include <cmath>
#include <cstdint>
#include <string>

#include "verifier/stats/p_value.h"

namespace countermark::stats::testing {

using boost::multiprecision::cpp_int;
using boost::multiprecision::cpp_rational;

constexpr int kDigits = 40;

inline cpp_int power_of_ten(unsigned exponent) { return pow(cpp_int(10), exponent); }

// digits x 10^(exponent - 39), digits of 40 figures: what "d.ddd…e-N" says.
struct Decimal {
  cpp_int digits;
  std::int64_t exponent = 0;
};

inline Decimal parse_decimal(const std::string& text) {
  const std::size_t mark = text.find('e');
  std::string figures = text.substr(0, 1);
  if (mark > 2) figures += text.substr(2, mark - 2);
  figures.resize(kDigits, '0');
  return {cpp_int(figures), std::stoll(text.substr(mark + 1))};
}

// A rational in (0, 1] to 40 digits, rounded up.
inline Decimal decimal_above(const cpp_rational& value) {
  cpp_int numerator = boost::multiprecision::numerator(value) * power_of_ten(kDigits - 1);
  const cpp_int denominator = boost::multiprecision::denominator(value);
  std::int64_t exponent = 0;
  for (; numerator < denominator * power_of_ten(kDigits - 1); --exponent) numerator *= 10;
  return {(numerator + denominator - 1) / denominator, exponent};
}

// |value / reference - 1|, in double precision.
inline double relative_error(const Decimal& value, const Decimal& reference) {
  const std::int64_t shift = value.exponent - reference.exponent;
  if (shift < -1 || shift > 1) return 1;
  const cpp_int a = value.digits * (shift == 1 ? 10 : 1);
  const cpp_int b = reference.digits * (shift == -1 ? 10 : 1);
  return static_cast<double>(cpp_rational(abs(a - b), b));
}

// The smallest PValue that is at least mantissa x 10^exponent, mantissa in [1, 10].
inline PValue smallest_at_least(const cpp_rational& mantissa, std::int64_t exponent) {
  const cpp_int numerator = boost::multiprecision::numerator(mantissa) << 52;
  const cpp_int denominator = boost::multiprecision::denominator(mantissa);
  cpp_int units = (numerator + denominator - 1) / denominator;
  const unsigned excess = static_cast<unsigned>(msb(units)) - 52;
  const cpp_int grid = cpp_int(1) << excess;  // the spacing of doubles, in units of 2^-52
  units = (units + grid - 1) / grid * grid;
  if (units >= cpp_int(10) << 52) return smallest_at_least(1, exponent + 1);
  if (exponent >= 0) return PValue();
  return PValue::from_parts(std::ldexp(units.convert_to<double>(), -52), exponent);
}

inline PValue smallest_at_least(const Decimal& value) {
  return smallest_at_least(cpp_rational(value.digits, power_of_ten(kDigits - 1)), value.exponent);
}

// (1 + 2e-15) value: how far above the truth a tail may be rounded.
inline Decimal slightly_above(const Decimal& value) {
  return {value.digits + value.digits * 2 / power_of_ten(15), value.exponent};
}

}  // namespace countermark::stats::testing
