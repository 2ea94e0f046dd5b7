// SPDX-License-Identifier: Apache-2.0
#include "verifier/stats/decimal.h"

#include <boost/math/constants/constants.hpp>
#include <boost/multiprecision/cpp_int.hpp>
#include <cassert>
#include <cmath>

namespace countermark::stats {

Decimal to_decimal(const Magnitude& value) {
  // 10^-(9 10^18) stands, as an upper bound, for everything below it.
  constexpr std::int64_t kLeastExponent = -9'000'000'000'000'000'000;
  const Float& ln10 = boost::math::constants::ln_ten<Float>();
  const Float tens = floor(value.log / ln10);
  if (tens < kLeastExponent) return {1, kLeastExponent};
  Decimal result{exponential(value.log - tens * ln10) * value.factor,
                 static_cast<std::int64_t>(tens)};
  // |factor| is within 10^±1300: one power of ten, good to a digit, then single steps.
  const int shift = static_cast<int>(std::floor(ilogb(result.mantissa) * 0.30103));
  result.mantissa /= pow(Float(10), shift);
  result.exponent += shift;
  for (; result.mantissa >= 10; ++result.exponent) result.mantissa /= 10;
  for (; result.mantissa < 1; --result.exponent) result.mantissa *= 10;
  return result;
}

Decimal complement(const Magnitude& value) {
  // Below e^-200 nothing is left of it in 50 digits (and the 32-bit exponent may not hold it).
  if (value.log < -200) return {};
  return to_decimal({0, 1 - exponential(value.log) * value.factor});
}

// An upper bound: the relative error of a tail is below 2^-80 wherever it can be computed at all.
PValue round_up(const Decimal& value) {
  const Float bound = value.mantissa + ldexp(value.mantissa, -80);
  double mantissa = static_cast<double>(bound);
  if (mantissa < bound) mantissa = std::nextafter(mantissa, 11.0);
  std::int64_t exponent = value.exponent;
  if (mantissa >= 10) {
    mantissa = 1;
    ++exponent;
  }
  return exponent >= 0 ? PValue() : PValue::from_parts(mantissa, exponent);
}

std::string to_digits(const Decimal& value, int digits) {
  assert(digits >= 1 && digits <= 40);
  using boost::multiprecision::cpp_int;
  const Float scaled = floor(value.mantissa * pow(Float(10), digits - 1) + 0.5);
  std::string text = scaled.convert_to<cpp_int>().str();
  std::int64_t exponent = value.exponent;
  if (text.size() > static_cast<std::size_t>(digits)) {
    text.pop_back();
    ++exponent;
  }
  if (digits > 1) text.insert(1, 1, '.');
  return text + "e" + std::to_string(exponent);
}

}  // namespace countermark::stats
