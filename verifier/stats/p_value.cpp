// SPDX-License-Identifier: Apache-2.0
// Arithmetic on PValue, in integers and exact decimal strings: nothing here depends on the
// rounding mode, on long double, or on the accuracy of a mathematical library (log10() excepted,
// which decides nothing).
#include "verifier/stats/p_value.h"

#include <array>
#include <cassert>
#include <charconv>
#include <cmath>
#include <string_view>
#include <system_error>

#include "verifier/stats/wide.h"

namespace countermark::stats {
namespace {

// A mantissa as an integer: every double in [1, 10) is a multiple of 2^-52.
constexpr int kUnitBits = 52;
constexpr Wide kOne = Wide{1} << kUnitBits;
constexpr Wide kTen = 10 * kOne;

struct Scaled {
  Wide units;             // of 2^-52
  std::int64_t exponent;  // of ten
};

constexpr Wide ceil_divide(Wide value, Wide divisor) {
  return value / divisor + (value % divisor != 0 ? 1 : 0);
}

Wide units_of(double mantissa) { return static_cast<Wide>(std::ldexp(mantissa, kUnitBits)); }

// Brings units >= 1 into [1, 10) and onto the grid of doubles. Rounding up in steps gives the same
// as rounding up once, so the result is the smallest such double that is not below the value.
Scaled normalise(Scaled value) {
  assert(value.units >= kOne);
  for (;;) {
    while (value.units >= kTen) {
      value.units = ceil_divide(value.units, 10);
      ++value.exponent;
    }
    const Wide grid = value.units < 2 * kOne   ? 1
                      : value.units < 4 * kOne ? 2
                      : value.units < 8 * kOne ? 4
                                               : 8;
    value.units = ceil_divide(value.units, grid) * grid;
    if (value.units < kTen) return value;
  }
}

PValue capped(Scaled value) {
  value = normalise(value);
  if (value.exponent >= 0) return PValue();
  return PValue::from_parts(std::ldexp(static_cast<double>(value.units), -kUnitBits),
                            value.exponent);
}

// The exact decimal expansion of a double has at most 767 significant digits.
constexpr int kExactDigits = 767;
using Expansion = std::array<char, kExactDigits + 16>;

// "d.ddd…e±dd" with `digits` significant digits, exact for enough of them.
std::string_view expand(double value, int digits, Expansion& buffer) {
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                          std::chars_format::scientific, digits - 1);
  assert(error == std::errc());
  return {buffer.data(), static_cast<std::size_t>(end - buffer.data())};
}

}  // namespace

PValue PValue::from_parts(double mantissa, std::int64_t exponent) noexcept {
  assert(mantissa >= 1 && mantissa < 10);
  assert(exponent < 0 || (exponent == 0 && mantissa == 1));
  PValue result;
  result.mantissa_ = mantissa;
  result.exponent_ = exponent;
  return result;
}

PValue PValue::from_double(double p) noexcept {
  assert(p > 0 && p <= 1);
  if (!(p < 1)) return PValue();
  // Few digits decide nearly always; all of them are exact.
  constexpr int kFewDigits = 25;
  for (const int size : {kFewDigits, kExactDigits}) {
    Expansion buffer;
    const std::string_view expansion = expand(p, size, buffer);
    const std::size_t mark = expansion.find('e');
    const std::string_view digits = expansion.substr(0, mark);
    std::int64_t exponent = 0;
    std::from_chars(expansion.data() + mark + 1, expansion.data() + expansion.size(), exponent);

    double mantissa = 1;
    std::from_chars(digits.data(), digits.data() + digits.size(), mantissa);
    // The nearest double may lie below. Both expansions have one digit before the point, so the
    // order of the strings is the order of the numbers; ten has two, and lies above. Rounding keeps
    // the order, unless it makes the two one.
    if (mantissa < 10) {
      Expansion nearest_buffer;
      const std::string_view nearest = expand(mantissa, size, nearest_buffer);
      const int order = nearest.substr(0, nearest.find('e')).compare(digits);
      if (order == 0 && size == kFewDigits) continue;
      if (order < 0) mantissa = std::nextafter(mantissa, 10.0);
    }
    if (mantissa >= 10) {
      mantissa = 1;
      ++exponent;
    }
    return exponent >= 0 ? PValue() : from_parts(mantissa, exponent);
  }
  return PValue();
}

PValue PValue::from_decimal(double p) noexcept {
  assert(p > 0 && p <= 1);
  char shortest[32];
  const auto end =
      std::to_chars(shortest, shortest + sizeof shortest, p, std::chars_format::scientific);
  const std::string_view written(shortest, static_cast<std::size_t>(end.ptr - shortest));
  const std::size_t mark = written.find('e');
  double mantissa = 0;
  int exponent = 0;
  std::from_chars(shortest, shortest + mark, mantissa);
  std::from_chars(shortest + mark + 1, end.ptr, exponent);
  return from_parts(mantissa, exponent);
}

PValue PValue::from_power_of_two(unsigned bits) noexcept {
  constexpr unsigned kSmallestDouble = 1074;
  if (bits <= kSmallestDouble) return from_double(std::ldexp(1.0, -static_cast<int>(bits)));
  const auto product = [](PValue a, PValue b) {
    const Wide units = ceil_divide(units_of(a.mantissa_) * units_of(b.mantissa_), kOne);
    return capped({units, a.exponent_ + b.exponent_});
  };
  const PValue half = from_power_of_two(bits / 2);
  const PValue square = product(half, half);
  return bits % 2 == 0 ? square : product(square, from_double(0.5));
}

PValue PValue::times(std::uint64_t m) const noexcept { return scaled(m, 1); }

PValue PValue::scaled(std::uint64_t m, std::uint64_t k) const noexcept {
  assert(m >= 1 && k >= 1);
  const Wide product = units_of(mantissa_) * (m == 0 ? 1 : m);
  Scaled value{product / k, exponent_};
  // Decimal places are added until the quotient has as many bits as a mantissa.
  Wide rest = product % k;
  for (; value.units < kOne; --value.exponent) {
    value.units = 10 * value.units + 10 * rest / k;
    rest = 10 * rest % k;
  }
  if (rest != 0) ++value.units;
  return capped(value);
}

PValue PValue::plus(PValue other) const noexcept {
  const bool larger = *this >= other;
  const PValue high = larger ? *this : other;
  const PValue low = larger ? other : *this;
  // 10^17 exceeds every mantissa in units of 2^-52: beyond that shift the smaller term is one unit.
  const auto shift =
      static_cast<std::uint64_t>(high.exponent_) - static_cast<std::uint64_t>(low.exponent_);
  Wide divisor = 1;
  for (std::uint64_t i = 0; i < shift && i < 17; ++i) divisor *= 10;
  const Wide units = units_of(high.mantissa_) + ceil_divide(units_of(low.mantissa_), divisor);
  return capped({units, high.exponent_});
}

double PValue::log10() const noexcept {
  return std::log10(mantissa_) + static_cast<double>(exponent_);
}

double PValue::to_double() const noexcept {
  if (exponent_ < -308) return 0;
  // A mantissa has at most 50 digits after the point: the text is exact, so is the rounding.
  Expansion buffer;
  std::string_view text = expand(mantissa_, kUnitBits + 1, buffer);
  char* const mark = buffer.data() + text.find('e') + 1;
  const auto [end, error] = std::to_chars(mark, buffer.data() + buffer.size(), exponent_);
  assert(error == std::errc());
  double result = 0;
  std::from_chars(buffer.data(), end, result);
  return result;
}

std::string PValue::to_string(int digits) const {
  assert(digits >= 1 && digits <= 15);
  Wide scale = 1;
  for (int i = 1; i < digits; ++i) scale *= 10;
  Wide rounded = ceil_divide(units_of(mantissa_) * scale, kOne);
  std::int64_t exponent = exponent_;
  if (rounded >= 10 * scale) {
    rounded = scale;
    ++exponent;
  }
  if (exponent >= 0) return "1";
  std::string text = std::to_string(static_cast<std::uint64_t>(rounded));
  if (digits > 1) text.insert(1, 1, '.');
  return text + "e" + std::to_string(exponent);
}

std::partial_ordering operator<=>(PValue a, PValue b) noexcept {
  if (a.exponent_ != b.exponent_) return a.exponent_ <=> b.exponent_;
  return a.mantissa_ <=> b.mantissa_;
}

}  // namespace countermark::stats
