// SPDX-License-Identifier: Apache-2.0
// Each tail is one point mass times a sum of falling products of ratios:
//
//   P(G >= x)  = pi(n-1; x) (1 + (n-1)/x + (n-1)(n-2)/x^2 + …)                       x > n - 1
//              = 1 - pi(n; x) (1 + x/(n+1) + x^2/((n+1)(n+2)) + …)                   otherwise
//   P(B >= k)  = b(k) (1 + (N-k)p/((k+1)q) + …)                                      above the mean
//              = 1 - b(k-1) (1 + (k-1)q/((N-k+2)p) + …)                              otherwise
//
// (DLMF 8.4.8, 8.7.1, 8.17.21 written as sums), with pi(k; m) = e^-m m^k / k! and, following
// C. Loader, "Fast and accurate computation of binomial probabilities" (2000),
// b(k) = pi(k; Np) pi(N-k; Nq) / pi(N; N). We differ from Loader in taking the logarithms in 50
// digits, where the cancellation he avoids costs at most log10 N of them.
//
// Why not boost::math::gamma_q and ibeta: in 50 digits they take 3 to 8 ms at n = 10^6 and 50 ms
// at N = 10^9, they underflow below 10^-646456993, and no error bound is documented. Here every
// term is positive and every error is bounded where it is made:
//   sum         relative 2^-96 + 4 K 2^-128 for K terms (below), too small, never too large;
//   point mass  Stirling's series within its first omitted term, 4e-32; logarithms within a few
//               2^-168 |log p|;
//   1 - P       P < 1/2, as x and k lie below the median there: no digit is lost.
// Together below 2^-90 for every n and N up to 2^60: 26 digits with room to spare.
//
// Two Gammas of unlike scales are a mixture of Gammas of one scale. With w < W, l the mean of 1/w
// and 1/W and r = (W - w) / (W + w), the product of the two moment generating functions is
//
//   ((1 - wt)(1 - Wt))^-n = (1 - r^2)^n (1 - t/l)^-2n (1 - r^2 (1 - t/l)^-2)^-n
//                         = sum over j of NB(j) (1 - t/l)^-(2n + 2j),
//   NB(j) = C(n+j-1, j) (1 - r^2)^n r^2j,
//
// so that P(w G1 + W G2 >= x) is the sum of NB(j) Q(2n+2j, l x): no term is negative. (The usual
// mixture of Gammas of scale w spreads over 4 times as many terms, or more; partial fractions
// alternate.) NB(j) is log-concave, and so is Q(k, y) in k, the distribution function of a
// log-concave law; hence the terms are, and what is left out on either side is bounded by the two
// outermost terms taken. Doubles propose where to begin; that bound decides. K terms err by
// 3 2^-98 for what is left out (before the first, after the last, and below the first Q) and by
// 12 K 2^-125 in their products: below 2^-90 for K up to 2^30, and never too large.
#include "verifier/stats/tail.h"

#include <algorithm>
#include <array>
#include <bit>
#include <boost/math/constants/constants.hpp>
#include <boost/multiprecision/cpp_bin_float.hpp>
#include <boost/multiprecision/cpp_int.hpp>
#include <cassert>
#include <cmath>
#include <limits>
#include <numeric>

namespace countermark::stats {
namespace {

// Software floating point: the same bits on every machine. 168 bits, exponent of 32 bits.
using Float = boost::multiprecision::number<boost::multiprecision::cpp_bin_float_50::backend_type,
                                            boost::multiprecision::et_off>;

__extension__ using Wide = unsigned __int128;

constexpr int kScoreBits = 20;  // a statistic counts units of 2^-20
constexpr std::uint64_t kMostWeight = (std::uint64_t{1} << 31) - 1;

// factor e^log: no exponent range is wide enough for e^log itself.
struct Magnitude {
  Float log;
  Float factor;
};

// mantissa 10^exponent, mantissa in [1, 10).
struct Decimal {
  Float mantissa = 1;
  std::int64_t exponent = 0;
};

// floor(2^128 numerator / denominator), numerator < denominator.
Wide fraction(Wide numerator, Wide denominator) {
  assert(numerator < denominator);
  if (denominator >> 64 == 0) {
    const Wide high = (numerator << 64) / denominator;
    const Wide rest = (numerator << 64) - high * denominator;
    return (high << 64) | ((rest << 64) / denominator);
  }
  Wide quotient = 0;
  for (int bit = 0; bit < 128; ++bit) {
    const bool carry = numerator >> 127 != 0;
    numerator <<= 1;
    quotient <<= 1;
    if (carry || numerator >= denominator) {
      numerator -= denominator;
      quotient |= 1;
    }
  }
  return quotient;
}

// floor(a b / 2^128).
Wide multiply_fractions(Wide a, Wide b) {
  constexpr Wide kLow = ~std::uint64_t{0};
  const Wide high_low = (a >> 64) * (b & kLow);
  const Wide low_high = (a & kLow) * (b >> 64);
  const Wide low_low = (a & kLow) * (b & kLow);
  const Wide middle = (high_low & kLow) + (low_high & kLow) + (low_low >> 64);
  return (a >> 64) * (b >> 64) + (high_low >> 64) + (low_high >> 64) + (middle >> 64);
}

// The multiples of a fraction below 1 that are themselves below 1, as floor(2^128 value) or one
// less; kept in 192 bits so that no division is needed for each.
class Multiples {
 public:
  Multiples(std::uint64_t numerator, std::uint64_t denominator)
      : high_(fraction(numerator, denominator)) {
    const Wide rest = ((Wide{numerator} << 64) % denominator << 64) % denominator;
    low_ = static_cast<std::uint64_t>((rest << 64) / denominator);
  }
  // multiple * numerator < denominator.
  Wide times(std::uint64_t multiple) const {
    return multiple * high_ + (Wide{multiple} * low_ >> 64);
  }

 private:
  Wide high_;
  std::uint64_t low_;
};

// 1 + w(1) + w(1) w(2) + …, for ratios w(i) < 1 that do not grow with i, given as fractions of
// 2^128 rounded down. Time O(number of terms), about 12 standard deviations of the law.
//
// The sum S is never too large. An error made in a term is multiplied by what follows that term,
// which is at most S; each of the K terms errs by less than 4 units of 2^-128, in its ratio and in
// its product. What is left out is at most the last term times S, and that term is below 2^-96.
template <typename Ratio>
Float sum_of_products(Ratio ratio) {
  std::uint64_t whole = 1;
  Wide part = 0;
  Wide term = ratio(std::uint64_t{1});
  for (std::uint64_t i = 2; term >> 32 != 0; ++i) {
    part += term;
    if (part < term) ++whole;
    term = multiply_fractions(term, ratio(i));
  }
  const Float high = static_cast<std::uint64_t>(part >> 64);
  const Float low = static_cast<std::uint64_t>(part);
  return whole + ldexp(high, -64) + ldexp(low, -128);
}

// From here on eight terms of Stirling's series are good to 43867/244188 / 64^17 < 4e-32.
constexpr std::uint64_t kStirlingFrom = 64;

// log k! - log(sqrt(2 pi k) (k/e)^k) for k >= kStirlingFrom: B(2i) / (2i (2i-1) k^(2i-1)), DLMF
// 5.11.1. The series envelops its value: the error is below the first omitted term.
Float stirling_correction(std::uint64_t k) {
  struct Coefficient {
    std::int64_t numerator, denominator;
  };
  constexpr std::array<Coefficient, 8> kCoefficients = {{{1, 12},
                                                         {-1, 360},
                                                         {1, 1260},
                                                         {-1, 1680},
                                                         {1, 1188},
                                                         {-691, 360360},
                                                         {1, 156},
                                                         {-3617, 122400}}};
  const Float step = 1 / (Float(k) * k);
  Float sum = 0;
  for (auto c = kCoefficients.rbegin(); c != kCoefficients.rend(); ++c) {
    sum = sum * step + Float(c->numerator) / c->denominator;
  }
  return sum / k;
}

Float logarithm(const Float& value) {
#ifdef __clang_analyzer__  // version 14 sees a dangling temporary inside Boost's log
  return value;
#else
  return log(value);
#endif
}

// pi(k; mean) = e^-mean mean^k / k!.
Magnitude poisson_mass(std::uint64_t k, const Float& mean) {
  if (k < kStirlingFrom) {
    Float factor = 1;
    for (std::uint64_t i = 1; i <= k; ++i) factor *= mean / i;
    return {-mean, factor};
  }
  const Float ratio = mean / k;
  const Float root = sqrt(boost::math::constants::two_pi<Float>() * k);
  return {k * logarithm(ratio) + (k - mean) - stirling_correction(k), 1 / root};
}

Magnitude binomial_mass(std::uint64_t trials, std::uint64_t k, std::uint64_t numerator,
                        std::uint64_t denominator) {
  const Float unit = Float(trials) / denominator;
  const Magnitude hits = poisson_mass(k, unit * numerator);
  const Magnitude misses = poisson_mass(trials - k, unit * (denominator - numerator));
  const Magnitude all = poisson_mass(trials, Float(trials));
  return {hits.log + misses.log - all.log, hits.factor * misses.factor / all.factor};
}

Decimal to_decimal(const Magnitude& value) {
  // 10^-(9 10^18) stands, as an upper bound, for everything below it.
  constexpr std::int64_t kLeastExponent = -9'000'000'000'000'000'000;
  const Float& ln10 = boost::math::constants::ln_ten<Float>();
  const Float tens = floor(value.log / ln10);
  if (tens < kLeastExponent) return {1, kLeastExponent};
  Decimal result{exp(value.log - tens * ln10) * value.factor, static_cast<std::int64_t>(tens)};
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
  return to_decimal({0, 1 - exp(value.log) * value.factor});
}

struct GammaTail {
  Decimal probability;
  double hazard = 0;  // -d log P / dx, approximately
};

GammaTail evaluate_gamma(std::uint64_t n, std::uint64_t statistic) {
  if (n == 0 || statistic == 0) return {};
  const Float x = ldexp(Float(statistic), -kScoreBits);
  if (Wide{n - 1} << kScoreBits < statistic) {
    // n = 1 has no second term, and no ratio to be a multiple of.
    const Multiples ratios(n > 1 ? std::uint64_t{1} << kScoreBits : 0, statistic);
    const Float sum = sum_of_products(
        [n, &ratios](std::uint64_t i) { return i < n ? ratios.times(n - i) : Wide{0}; });
    const Magnitude mass = poisson_mass(n - 1, x);
    return {to_decimal({mass.log, mass.factor * sum}), static_cast<double>(1 / sum)};
  }
  const Float sum = sum_of_products(
      [n, statistic](std::uint64_t i) { return fraction(statistic, (Wide{n} + i) << kScoreBits); });
  const Magnitude mass = poisson_mass(n, x);
  const Decimal probability = complement({mass.log, mass.factor * sum});
  const Float below =
      1 - probability.mantissa * pow(Float(10), static_cast<int>(probability.exponent));
  return {probability, static_cast<double>(below / (sum * (1 - below)) * n / x)};
}

Decimal evaluate_binomial(std::uint64_t trials, std::uint64_t successes, std::uint64_t numerator,
                          std::uint64_t denominator) {
  assert(numerator > 0 && numerator < denominator);
  assert(successes <= trials);
  successes = std::min(successes, trials);
  if (successes == 0) return {};
  const std::uint64_t divisor = std::gcd(numerator, denominator);
  const std::uint64_t hit = numerator / divisor;
  const std::uint64_t miss = denominator / divisor - hit;
  if (Wide{trials} * hit < Wide{successes} * (hit + miss) + miss) {
    const std::uint64_t rest = trials - successes;
    const Float sum = sum_of_products([=](std::uint64_t i) {
      return i <= rest ? fraction(Wide{rest - i + 1} * hit, (Wide{successes} + i) * miss) : Wide{0};
    });
    const Magnitude mass = binomial_mass(trials, successes, hit, hit + miss);
    return to_decimal({mass.log, mass.factor * sum});
  }
  const std::uint64_t last = successes - 1;
  const std::uint64_t above = trials - last;
  const Float sum = sum_of_products([=](std::uint64_t i) {
    return i <= last ? fraction(Wide{last - i + 1} * miss, (Wide{above} + i) * hit) : Wide{0};
  });
  const Magnitude mass = binomial_mass(trials, last, hit, hit + miss);
  return complement({mass.log, mass.factor * sum});
}

// mantissa 2^exponent, mantissa >= 2^127: a positive number of any size. Each operation rounds
// down, by less than 2^-125 of the result. Five times as fast as Float.
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

Positive operator*(const Positive& a, const Positive& b) {
  return normalized(multiply_fractions(a.mantissa, b.mantissa), a.exponent + b.exponent + 128);
}

Positive operator*(const Positive& a, std::uint64_t b) { return a * normalized(b, 0); }

Positive operator/(const Positive& a, std::uint64_t b) {
  const int shift = std::countl_zero(b);
  const std::uint64_t divisor = b << shift;
  const Wide half = a.mantissa >> 1;  // below 2^64 divisor
  const Wide high = half / divisor;
  const Wide low = ((half - high * divisor) << 64) / divisor;
  return normalized(high << 64 | low, a.exponent + 1 - 64 + shift);
}

Positive operator+(const Positive& a, const Positive& b) {
  if (a.exponent < b.exponent) return b + a;
  const std::int64_t shift = a.exponent - b.exponent;
  const Wide sum = a.mantissa + (shift < 128 ? b.mantissa >> shift : 0);
  if (sum >= a.mantissa) return {sum, a.exponent};
  return {sum >> 1 | Wide{1} << 127, a.exponent + 1};
}

// The sum of a log-concave sequence, taken in order. Where its terms fall, each ratio is at most
// the one before it: all that follow `last` are together at most last^2 / (before - last).
class ConcaveSum {
 public:
  explicit ConcaveSum(const Positive& first)
      : total_(first), first_(first), second_(first), before_(first), last_(first) {}
  void add(const Positive& term) {
    if (++count_ == 2) second_ = term;
    before_ = last_;
    last_ = term;
    total_ = total_ + term;
  }
  const Positive& total() const { return total_; }
  // What was left out after the last term, or before the first, is below 2^-98 of the sum.
  bool nothing_follows() const { return negligible(last_, before_); }
  bool nothing_precedes() const { return negligible(first_, second_); }

 private:
  bool negligible(const Positive& outer, const Positive& inner) const {
    const std::int64_t shift = inner.exponent - outer.exponent;
    if (shift < 0 || (shift == 0 && inner.mantissa <= outer.mantissa)) return false;
    // No less than half of this, for the digits that are shifted out.
    const Positive fall =
        normalized(inner.mantissa - (shift < 128 ? outer.mantissa >> shift : 0), inner.exponent);
    return 2 * (outer.exponent + 128) <= (fall.exponent + 126) + (total_.exponent + 127) - 98;
  }

  Positive total_;
  Positive first_;
  Positive second_;
  Positive before_;
  Positive last_;
  std::uint64_t count_ = 1;
};

// Q(k, y) in units of its last summand, pi(k-1; y), k >= 1: 1 + (k-1)/y + (k-1)(k-2)/y^2 + …
Positive sum_below(std::uint64_t k, const Float& y) {
  const Positive step = to_positive(1 / y);
  Positive term;
  ConcaveSum sum(term);
  while (--k != 0 && !sum.nothing_follows()) {
    term = term * (step * k);
    sum.add(term);
  }
  return sum.total();
}

Decimal evaluate_two_gamma(std::uint64_t n, std::uint64_t statistic, std::uint64_t weight_a,
                           std::uint64_t weight_b) {
  assert(weight_a > 0 && weight_a <= kMostWeight && weight_b > 0 && weight_b <= kMostWeight);
  if (n == 0 || statistic == 0) return {};
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
  if (at < least && at - least + least * std::log(least / at) > 70) return {};

  const Positive mean = to_positive(y);
  const Positive ratio = to_positive(difference != 0 ? share : Float(1));
  for (;;) {
    std::uint64_t k = 2 * (n + first);
    Positive below = sum_below(k, y);  // Q(k, y), in units of pi(k-1; y) for the first k
    Positive mass = mean / k;          // pi(k; y), in the same
    Positive weight;                   // NB(j), in units of NB(first)
    ConcaveSum terms(below);
    for (std::uint64_t j = first; difference != 0 && !terms.nothing_follows(); ++j, k += 2) {
      const Positive next = mass * mean / (k + 1);
      below = below + mass + next;
      mass = next * mean / (k + 2);
      weight = weight * ratio * (n + j) / (j + 1);
      terms.add(weight * below);
    }
    if (first == 0 || terms.nothing_precedes()) {
      const Magnitude choice = binomial_mass(n + first, first, difference * difference, sum * sum);
      const Magnitude unit = poisson_mass(2 * (n + first) - 1, y);
      return to_decimal({choice.log + unit.log,
                         choice.factor * unit.factor * to_float(terms.total()) * n / (n + first)});
    }
    first -= std::min(first, static_cast<std::uint64_t>(margin));
  }
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

}  // namespace

PValue gamma_tail(std::uint64_t n, std::uint64_t statistic) {
  return round_up(evaluate_gamma(n, statistic).probability);
}

PValue binomial_tail(std::uint64_t trials, std::uint64_t successes, std::uint64_t numerator,
                     std::uint64_t denominator) {
  return round_up(evaluate_binomial(trials, successes, numerator, denominator));
}

PValue two_gamma_tail(std::uint64_t n, std::uint64_t statistic, std::uint64_t weight_a,
                      std::uint64_t weight_b) {
  return round_up(evaluate_two_gamma(n, statistic, weight_a, weight_b));
}

PValue green_tail(std::uint64_t n, std::uint64_t greens, std::uint64_t green_size,
                  std::uint64_t vocab_size) {
  assert(green_size > 0 && green_size < vocab_size);
  assert(greens <= n);
  // The greens of one list are hypergeometric: in law a sum of as many independent Bernoulli
  // variables as it has pairs (V. A. Vatutin and V. G. Mikhailov, Theory Probab. Appl. 27, 1982),
  // of mean green_size / vocab_size each on average. So G is such a sum of n variables, with an
  // expectation of at most np, p = green_size / vocab_size, and P(G >= k) <= P(B >= k) for every
  // k >= np + 1, B ~ Binomial(n, p): W. Hoeffding, "On the distribution of the number of successes
  // in independent trials" (1956), theorem 4, read at P(G <= k-1) with k-1 >= np. (Of all sums with
  // one expectation the extreme ones consist of constants and a binomial, and a constant 0 or 1
  // only lowers the tail there: T. W. Anderson and S. M. Samuels, "Some inequalities among binomial
  // and Poisson probabilities", 1967.) For k <= np a list drawn to its
  // last token has a tail of 1.
  if (Wide{n} * green_size + vocab_size > Wide{greens} * vocab_size) return {};
  return binomial_tail(n, greens, green_size, vocab_size);
}

std::uint64_t gamma_critical(std::uint64_t n, PValue level) {
  assert(n >= 1);
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  const auto passes = [n, level](std::uint64_t c) { return gamma_tail(n, c) <= level; };
  if (level == PValue()) return 0;
  if (!passes(kMost)) return kMost;

  // Newton on log P, which is concave in x. The start n + sqrt(2 n t) + t, t = -log level, lies
  // right of the root (Boucheron, Lugosi and Massart, "Concentration inequalities", theorem 2.3
  // and section 2.4), and so do all further steps. Doubles only propose; `passes` decides.
  constexpr double kUnit = 1 << kScoreBits;
  constexpr double kMostUnits = 18446744073709549568.0;  // the largest double below 2^64
  const double shape = static_cast<double>(n);
  const double depth = -level.log10() * boost::math::constants::ln_ten<double>();
  double guess = (shape + std::sqrt(2 * shape * depth) + depth) * kUnit;
  for (int i = 0; i < 50; ++i) {
    guess = std::clamp(std::floor(guess), 1.0, kMostUnits);
    const GammaTail tail = evaluate_gamma(n, static_cast<std::uint64_t>(guess));
    const double excess = (round_up(tail.probability).log10() - level.log10()) *
                          boost::math::constants::ln_ten<double>();
    if (!(tail.hazard > 0)) break;
    const double step = excess / tail.hazard * kUnit;
    guess += step;
    if (std::abs(step) < 1) break;
  }

  // Bracket: passes(high), not passes(low), from the guess outwards in doubling steps.
  std::uint64_t high = static_cast<std::uint64_t>(std::clamp(guess, 1.0, kMostUnits));
  std::uint64_t low = high;
  if (passes(high)) {
    for (std::uint64_t step = 1;; step *= 2) {
      low = high > step ? high - step : 0;
      if (low == 0 || !passes(low)) break;
      high = low;
    }
  } else {
    for (std::uint64_t step = 1;; step *= 2) {
      high = kMost - low > step ? low + step : kMost;
      if (high == kMost || passes(high)) break;
      low = high;
    }
  }
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    (passes(middle) ? high : low) = middle;
  }
  return high;
}

std::string gamma_tail_digits(std::uint64_t n, std::uint64_t statistic, int digits) {
  return to_digits(evaluate_gamma(n, statistic).probability, digits);
}

std::string binomial_tail_digits(std::uint64_t trials, std::uint64_t successes,
                                 std::uint64_t numerator, std::uint64_t denominator, int digits) {
  return to_digits(evaluate_binomial(trials, successes, numerator, denominator), digits);
}

std::string two_gamma_tail_digits(std::uint64_t n, std::uint64_t statistic, std::uint64_t weight_a,
                                  std::uint64_t weight_b, int digits) {
  return to_digits(evaluate_two_gamma(n, statistic, weight_a, weight_b), digits);
}

}  // namespace countermark::stats
