// SPDX-License-Identifier: Apache-2.0
// Two Gammas of unlike scales are a mixture of Gammas of one scale. With w < W, l the mean of 1/w
// and 1/W and r = (W - w) / (W + w), the product of the two moment generating functions is
//
//   ((1 - wt)(1 - Wt))^-n = (1 - r^2)^n (1 - t/l)^-2n (1 - r^2 (1 - t/l)^-2)^-n
//                         = sum over j of NB(j) (1 - t/l)^-(2n + 2j),
//   NB(j) = C(n+j-1, j) (1 - r^2)^n r^2j,
//
// so that P(w G1 + W G2 >= x) is the sum of NB(j) Q(2n+2j, y), y = l x: no term is negative. (The
// usual mixture of Gammas of scale w spreads over 4 times as many terms, or more; partial fractions
// alternate.)
//
// The terms without a division: with k = 2n+2j, pi(i; y) = e^-y y^i / i! and A(j) = NB(j) pi(k-1;
// y), the j-th is A(j) R(j), where R(j) = Q(k, y) / pi(k-1; y) and
//
//   R(j+1) = R(j) k (k+1)/y^2 + (k+1)/y + 1,       as Q(k+1, y) = Q(k, y) + pi(k; y)
//   A(j) / A(j+1) = 2 (j+1) (k+1) / (r y)^2.
//
// The sum is kept in units of A(j) of the last j: S(j+1) = S(j) A(j)/A(j+1) + R(j+1). Both it and R
// are computed y times as large, so that y + k+1 is added instead of a quotient.
//
// NB(j) is log-concave, and so is Q(k, y) in k, the distribution function of a log-concave law;
// hence the terms are, and what is left out on either side is bounded by the two outermost terms
// taken. Doubles propose where to begin; that bound decides. K terms err by 3 2^-98 for what is
// left out (before the first, after the last, and below the first Q) and by K 2^-118 in their
// products, half of it in R: below 2^-90 for K up to 2^27.
#include "verifier/stats/two_gamma.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <optional>

#include "verifier/stats/wide.h"

namespace countermark::stats {
namespace {

constexpr std::uint64_t kMostWeight = (std::uint64_t{1} << 31) - 1;

// mantissa 2^exponent, mantissa >= 2^127: a positive number of any size. Each operation rounds
// down, by less than 2^-125 of the result.
struct Positive {
  Wide mantissa = Wide{1} << 127;
  std::int64_t exponent = -127;
};

Positive normalized(Wide mantissa, std::int64_t exponent) {
  assert(mantissa != 0);
  const auto high = static_cast<std::uint64_t>(mantissa >> 64);
  const int shift = high != 0 ? std::countl_zero(high)
                              : 64 + std::countl_zero(static_cast<std::uint64_t>(mantissa));
  return {mantissa << shift, exponent - shift};
}

Positive to_positive(const Float& value) {
  const int exponent = ilogb(value);
  const Float mantissa = ldexp(value, 127 - exponent);
  const auto high = static_cast<std::uint64_t>(ldexp(mantissa, -64));
  const auto low = static_cast<std::uint64_t>(mantissa - ldexp(Float(high), 64));
  return {Wide{high} << 64 | low, exponent - 127};
}

Float to_float(const Positive& value) {
  const Float high = static_cast<std::uint64_t>(value.mantissa >> 64);
  const Float low = static_cast<std::uint64_t>(value.mantissa);
  return ldexp(ldexp(high, 64) + low, static_cast<int>(value.exponent));
}

// A product of mantissas is 2^126 or more, in units of 2^128.
inline Positive product(Wide mantissa, std::int64_t exponent) {
  if (mantissa >> 127 != 0) return {mantissa, exponent};
  return {mantissa + mantissa, exponent - 1};
}

inline Positive operator*(const Positive& a, const Positive& b) {
  const auto a_high = static_cast<std::uint64_t>(a.mantissa >> 64);
  const auto a_low = static_cast<std::uint64_t>(a.mantissa);
  const auto b_high = static_cast<std::uint64_t>(b.mantissa >> 64);
  const auto b_low = static_cast<std::uint64_t>(b.mantissa);
  // The product of the lower halves carries 1 at most, and is left out.
  const Wide one = Wide{a_high} * b_low;
  const Wide other = Wide{a_low} * b_high;
  const Wide low = (one & ~std::uint64_t{0}) + static_cast<std::uint64_t>(other);
  return product(Wide{a_high} * b_high + (one >> 64) + (other >> 64) + (low >> 64),
                 a.exponent + b.exponent + 128);
}

// b > 0.
inline Positive operator*(const Positive& a, std::uint64_t b) {
  const int shift = std::countl_zero(b);
  b <<= shift;
  const Wide low = Wide{static_cast<std::uint64_t>(a.mantissa)} * b;
  return product((a.mantissa >> 64) * b + (low >> 64), a.exponent + 64 - shift);
}

// value > 0.
inline Positive from_integer(std::uint64_t value) {
  const int shift = std::countl_zero(value);
  return {Wide{value} << (64 + shift), -64 - shift};
}

inline Positive times(const Positive& a, std::uint64_t b, std::uint64_t c) {
  const Wide both = Wide{b} * c;
  return both >> 64 == 0 ? a * static_cast<std::uint64_t>(both) : a * b * c;
}

inline Positive plus_smaller(const Positive& a, const Positive& b) {
  const std::int64_t shift = a.exponent - b.exponent;
  const Wide sum = a.mantissa + (shift < 128 ? b.mantissa >> shift : 0);
  if (sum >= a.mantissa) return {sum, a.exponent};
  return {sum >> 1 | Wide{1} << 127, a.exponent + 1};
}

inline Positive operator+(const Positive& a, const Positive& b) {
  return a.exponent < b.exponent ? plus_smaller(b, a) : plus_smaller(a, b);
}

// Of a log-concave sequence, of which `outer` is the outermost term taken and `inner` its
// neighbour: whether what lies beyond, at most outer^2 / (inner - outer), is below 2^-98 of the
// sum of what was taken. Until `outer` itself is far below that, nobody needs to ask.
bool negligible(const Positive& outer, const Positive& inner, const Positive& sum) {
  const std::int64_t shift = inner.exponent - outer.exponent;
  if (shift < 0 || (shift == 0 && inner.mantissa <= outer.mantissa)) return false;
  // No less than half of this, for the digits that are shifted out.
  const Wide fall = inner.mantissa - (shift < 128 ? outer.mantissa >> shift : 0);
  if (fall == 0) return false;
  const std::int64_t exponent = normalized(fall, inner.exponent).exponent;
  return 2 * (outer.exponent + 128) <= (exponent + 126) + (sum.exponent + 127) - 98;
}

// Q(k, y) / pi(k-1; y) = 1 + (k-1)/y + (k-1)(k-2)/y^2 + …, k >= 1, given 1 / y.
Positive sum_below(std::uint64_t k, const Positive& inverse) {
  Positive sum;
  Positive term;
  while (--k != 0) {
    const Positive next = term * (inverse * k);
    sum = sum + next;
    if (next.exponent < sum.exponent - 80 && negligible(next, term, sum)) break;
    term = next;
  }
  return sum;
}

// Multipliers c q(i), i to i + count, where the integers q(i) below 2^63 rise to four times the
// first of them at most, as fractions of 2^128, after which a product is doubled or not.
class Multipliers {
 public:
  // By the last of the integers. Nothing where the multipliers are not between 2^-7 and 2.
  static std::optional<Multipliers> create(const Positive& c, std::uint64_t last) {
    int shift = std::countl_zero(last);
    std::int64_t power = c.exponent + 64 - shift + 128;
    for (; power < 0 && power >= -3; ++power) --shift;
    if (power < 0 || power > 1 || shift < 0) return std::nullopt;
    return Multipliers(c.mantissa, shift, power == 1);
  }

  // At least 2^121, rounded down.
  Wide at(std::uint64_t q) const {
    q <<= shift_;
    return Wide{high_} * q + (Wide{low_} * q >> 64);
  }

  // The product of a value below 2^127, too small by less than 2.
  Wide times(Wide value, Wide multiplier) const {
    const Wide product = multiply_fractions(value, multiplier);
    return doubled_ ? product + product : product;
  }

  double to_double(Wide multiplier) const {
    return static_cast<double>(static_cast<std::uint64_t>(multiplier >> 64)) *
           (doubled_ ? 0x1p-63 : 0x1p-64);
  }

 private:
  Multipliers(Wide mantissa, int shift, bool doubled)
      : high_(static_cast<std::uint64_t>(mantissa >> 64)),
        low_(static_cast<std::uint64_t>(mantissa)),
        shift_(shift),
        doubled_(doubled) {}

  std::uint64_t high_;
  std::uint64_t low_;
  int shift_;
  bool doubled_;
};

// Where a sum stands: y R(j) and the sum of the terms to j, in units of A(j) / y.
struct State {
  std::uint64_t j = 0;
  Positive ratio;
  Positive total;
};

class Mixture {
 public:
  // share = r^2.
  Mixture(std::uint64_t n, const Float& y, const Float& share)
      : n_(n),
        y_(to_positive(y)),
        inverse_(to_positive(1 / y)),
        fall_(to_positive(2 / (y * y))),
        weighted_fall_(to_positive(2 / (y * y * share))) {}

  // The sum of all terms, from `first` on; nothing where what precedes it may matter.
  std::optional<State> sum_from(std::uint64_t first) const {
    State at;
    at.j = first;
    at.ratio = at.total = sum_below(2 * (n_ + first), inverse_) * y_;
    Positive before;  // twice a bound of what precedes `first`, or more, in units of A(j) / y
    bool preceded = first > 0;
    for (;;) {
      const bool begins = at.j == first;
      const std::uint64_t odd = odd_at(at.j);
      const Positive unit = times(weighted_fall_, at.j + 1, odd);  // A(j) / A(j+1)
      const Positive last = at.ratio * unit;
      at.ratio = at.ratio * times(fall_, n_ + at.j, odd) + (y_ + from_integer(odd));
      at.total = at.total * unit + at.ratio;
      ++at.j;
      if (preceded && begins) {
        // last^2 / (ratio - last), whose difference must be no matter of rounding.
        const Float outer = to_float(last);
        const Float next = to_float(at.ratio);
        if (next - outer < ldexp(next, -64)) return std::nullopt;
        before = to_positive(ldexp(outer * outer / (next - outer), 1));
      } else if (preceded) {
        before = before * unit;
      }
      if (preceded) preceded = before.exponent + 128 > at.total.exponent + 127 - 98;
      if (at.ratio.exponent < at.total.exponent - 80 && negligible(at.ratio, last, at.total)) break;
      const double units = walk(at);
      if (preceded) before = before * to_positive(Float(units));
    }
    if (preceded) return std::nullopt;
    return at;
  }

 private:
  std::uint64_t odd_at(std::uint64_t j) const { return 2 * (n_ + j) + 1; }

  // As many steps as fixed point is good for, perhaps none, in a third of the time. Returns the
  // product of their A(j) / A(j+1), as good as doubles are.
  //
  // Both numbers are held between 2^124 and 2^125 units. They rise with j, as R does and S / R (the
  // terms are log-concave), so that units only grow. A step loses less than 2^-119 of each: 2^-121
  // in the multiplier, and 6 units.
  double walk(State& at) const {
    const std::uint64_t count = std::min<std::uint64_t>(at.j, 63);
    const std::uint64_t end = at.j + count;
    if (count == 0 || n_ + end >= std::uint64_t{1} << 31) return 1;
    const auto falls = Multipliers::create(fall_, (n_ + end - 1) * odd_at(end - 1));
    const auto units = Multipliers::create(weighted_fall_, end * odd_at(end - 1));
    std::int64_t ratio_unit = at.ratio.exponent + 3;
    // Steps at most double the ratio: its unit never exceeds the 2 that its addend grows by.
    if (!falls || !units || ratio_unit > -63 || ratio_unit < -124) return 1;
    Wide ratio = at.ratio.mantissa >> 3;
    Wide total = at.total.mantissa >> 3;
    std::int64_t gap = at.total.exponent + 3 - ratio_unit;  // exponent of total's unit in ratio's
    // y + k+1 is below the ratio, and its unit therefore finer.
    const Positive first = y_ + from_integer(odd_at(at.j));
    Wide addend = first.mantissa >> std::min<std::int64_t>(ratio_unit - first.exponent, 127);
    Wide two = Wide{1} << (1 - ratio_unit);
    double product = 1;
    for (; at.j < end; ++at.j) {
      const std::uint64_t odd = odd_at(at.j);
      const Wide unit = units->at((at.j + 1) * odd);
      ratio = falls->times(ratio, falls->at((n_ + at.j) * odd)) + addend;
      total = units->times(total, unit) + (ratio >> std::min<std::int64_t>(gap, 127));
      product *= units->to_double(unit);
      addend += two;
      for (; total >> 125 != 0; ++gap) total >>= 1;
      for (; ratio >> 125 != 0; --gap) {
        ratio >>= 1;
        addend >>= 1;
        two >>= 1;
        ++ratio_unit;
      }
      assert(gap >= 0);
    }
    at.ratio = normalized(ratio, ratio_unit);
    at.total = normalized(total, ratio_unit + gap);
    return product;
  }

  std::uint64_t n_;
  Positive y_;
  Positive inverse_;
  Positive fall_;
  Positive weighted_fall_;
};

}  // namespace

Magnitude two_gamma_probability(std::uint64_t n, std::uint64_t statistic, std::uint64_t weight_a,
                                std::uint64_t weight_b) {
  assert(n > 0 && statistic > 0);
  assert(weight_a > 0 && weight_a <= kMostWeight && weight_b > 0 && weight_b <= kMostWeight);
  const std::uint64_t sum = weight_a + weight_b;
  const std::uint64_t product = weight_a * weight_b;
  const std::uint64_t difference = std::max(weight_a, weight_b) - std::min(weight_a, weight_b);
  const Float y = ldexp(Float(statistic) * sum / product, -kScoreBits - 1);
  const Float share = Float(difference * difference) / (sum * sum);

  // The largest term, from the ratio of NB(j) pi(2n+2j-1; y): (2j+2)(2n+2j+1) = r^2 y^2, at the
  // expectation of y if y lies below it. The spread of the terms before it is that of this ratio
  // above the expectation and that of NB below.
  const double shape = static_cast<double>(n);
  const double r2 = static_cast<double>(share);
  const double rest = 4 * static_cast<double>(product) / static_cast<double>(sum * sum);
  const double at = static_cast<double>(y);
  const double reach = std::max(at, 2 * shape / rest);
  const double peak =
      r2 * reach * reach / (2 * (std::sqrt(shape * shape + r2 * reach * reach) + shape));
  const double spread = at < reach ? std::sqrt(shape * r2) / rest
                                   : std::sqrt(peak * (shape + peak) / (shape + 2 * peak));
  const double margin = 12 * spread + 10;
  std::uint64_t first = peak > margin ? static_cast<std::uint64_t>(peak - margin) : 0;

  // Where even the first Q is 1 but for 2^-100 (Chernoff), so is P, and 1 bounds it.
  const double least = 2 * (shape + static_cast<double>(first));
  if (at < least && at - least + least * std::log(least / at) > 70) return {0, 1};

  if (difference == 0) {
    const Magnitude unit = poisson_mass(2 * n - 1, y);
    return {unit.log, unit.factor * to_float(sum_below(2 * n, to_positive(1 / y)))};
  }
  const Mixture mixture(n, y, share);
  for (;;) {
    if (const auto found = mixture.sum_from(first)) {
      const std::uint64_t j = found->j;
      const Magnitude weight = binomial_mass(n + j, j, difference * difference, sum * sum);
      const Magnitude unit = poisson_mass(2 * (n + j) - 1, y);
      return {weight.log + unit.log,
              weight.factor * unit.factor * to_float(found->total) / y * n / (n + j)};
    }
    first -= std::min(first, static_cast<std::uint64_t>(margin));
  }
}

}  // namespace countermark::stats
