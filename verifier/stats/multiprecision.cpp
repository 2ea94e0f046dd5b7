// SPDX-License-Identifier: Apache-2.0
#include "verifier/stats/multiprecision.h"

#include <algorithm>
#include <array>
#include <boost/math/constants/constants.hpp>
#include <cassert>
#include <cmath>

#include "verifier/stats/wide.h"

namespace countermark::stats {
namespace {

// A number below 1 in units of 2^-192, least word first.
using Fraction = std::array<std::uint64_t, 3>;

// a + b, below 1 as well.
constexpr Fraction add(const Fraction& a, const Fraction& b) {
  Fraction out{};
  Wide carry = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    carry += Wide{a[i]} + b[i];
    out[i] = static_cast<std::uint64_t>(carry);
    carry >>= 64;
  }
  assert(carry == 0);
  return out;
}

// a b, rounded down.
Fraction multiply(const Fraction& a, const Fraction& b) {
  std::array<std::uint64_t, 6> product{};
  for (std::size_t i = 0; i < 3; ++i) {
    Wide carry = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      carry += Wide{a[i]} * b[j] + product[i + j];
      product[i + j] = static_cast<std::uint64_t>(carry);
      carry >>= 64;
    }
    product[i + 3] = static_cast<std::uint64_t>(carry);
  }
  return {product[3], product[4], product[5]};
}

// a / b, rounded down.
constexpr Fraction divide(const Fraction& a, std::uint64_t b) {
  Fraction out{};
  Wide rest = 0;
  for (std::size_t i = out.size(); i-- > 0;) {
    rest = rest << 64 | a[i];
    out[i] = static_cast<std::uint64_t>(rest / b);
    rest %= b;
  }
  return out;
}

constexpr std::size_t kTerms = 16;

// 1/k!, rounded down, from k = 2 on.
constexpr std::array<Fraction, kTerms + 1> kInverseFactorials = [] {
  std::array<Fraction, kTerms + 1> out{};
  out[2] = {0, 0, std::uint64_t{1} << 63};
  for (std::size_t k = 3; k <= kTerms; ++k) out[k] = divide(out[k - 1], k);
  return out;
}();

// e^x - 1 for x below ln 2: the series at s = x / 2^8, then (1 + f)^2 - 1 = 2f + f^2 eight times.
//
// Too small by less than 2^-180, never too large. The rest of the series, s^17 / 17!, is below a
// unit of 2^-192; its sum and the rounding of s cost 4 units more. Eight times an error is
// multiplied by 2 (1 + f), together by less than 2^9, and grows by a unit.
Fraction exponential_less_one(const Fraction& x) {
  const Fraction s = {x[0] >> 8 | x[1] << 56, x[1] >> 8 | x[2] << 56, x[2] >> 8};
  Fraction sum = kInverseFactorials[kTerms];
  for (std::size_t k = kTerms - 1; k >= 2; --k) sum = add(multiply(sum, s), kInverseFactorials[k]);
  Fraction f = add(multiply(multiply(sum, s), s), s);
  for (int doubled = 0; doubled < 8; ++doubled) f = add(add(f, f), multiply(f, f));
  return f;
}

// Rounded down, 0 <= value < 1.
Fraction to_fraction(const Float& value) {
  Fraction out{};
  Float rest = value;
  for (std::size_t i = out.size(); i-- > 0;) {
    rest = ldexp(rest, 64);
    out[i] = static_cast<std::uint64_t>(rest);
    rest -= out[i];
  }
  return out;
}

Float to_float(const Fraction& value) {
  Float out = value[0];
  out = ldexp(out, -64) + value[1];
  out = ldexp(out, -64) + value[2];
  return ldexp(out, -64);
}

// Below log m, but by less than 2^-39: 1 <= m <= 2. The series of 2 artanh s, s = (m - 1) / (m + 1)
// at most 1/3, in one fixed order: the C library's log is not the same everywhere. What it leaves
// out is below 2^-45.
double below_logarithm(double m) {
  const double s = (m - 1) / (m + 1);
  double sum = 0;
  for (int i = 25; i > 0; i -= 2) sum = sum * s * s + 1.0 / i;
  return std::max(2 * s * sum - 0x1p-40, 0.0);
}

const Float& ln2() { return boost::math::constants::ln_two<Float>(); }

}  // namespace

Float exponential(const Float& x) {
  assert(abs(x) < 0x1p30);
  // x = twos ln 2 + rest. The quotient of doubles may lie on the wrong side of an integer.
  int twos = static_cast<int>(
      std::floor(static_cast<double>(x) * boost::math::constants::log2_e<double>()));
  Float rest = x - ln2() * twos;
  for (; rest < 0; --twos) rest += ln2();
  for (; rest >= ln2(); ++twos) rest -= ln2();
  return ldexp(1 + to_float(exponential_less_one(to_fraction(rest))), twos);
}

// x = 2^twos m, 1 <= m < 2. A double proposes d of 64 bits just below log m, and what it lacks is
// log(m / e^d) = 2 artanh u, u = (m - e^d) / (m + e^d) = 2 (u + u^3/3 + …); u^5 is below 2^-190.
Float logarithm(const Float& x) {
  assert(x > 0);
  const int twos = ilogb(x);
  const Float m = ldexp(x, -twos);
  const auto d = static_cast<std::uint64_t>(below_logarithm(static_cast<double>(m)) * 0x1p64);
  const Float power = 1 + to_float(exponential_less_one({0, 0, d}));
  const Float u = (m - power) / (m + power);
  assert(abs(u) < 0x1p-38);
  return ln2() * twos + ldexp(Float(d), -64) + 2 * (u + u * u * u / 3);
}

Float reciprocal_root(const Float& x) {
  assert(x > 1e-300 && x < 1e300);
  Float root = 1 / std::sqrt(static_cast<double>(x));
  // An error e becomes 3/2 e^2.
  for (int step = 0; step < 2; ++step) root += ldexp(root * (1 - x * root * root), -1);
  return root;
}

}  // namespace countermark::stats
