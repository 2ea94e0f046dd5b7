// SPDX-License-Identifier: Apache-2.0
// Each tail is one point mass times a sum of falling products of ratios:
//
//   P(G >= x)  = pi(n-1; x) (1 + (n-1)/x + (n-1)(n-2)/x^2 + …)                       x > n - 1
//              = 1 - pi(n; x) (1 + x/(n+1) + x^2/((n+1)(n+2)) + …)                   otherwise
//   P(B >= k)  = b(k) (1 + (N-k)p/((k+1)q) + …)                                      above the mean
//              = 1 - b(k-1) (1 + (k-1)q/((N-k+2)p) + …)                              otherwise
//
// (DLMF 8.4.8, 8.7.1, 8.17.21 written as sums), with the point masses pi(k; m) = e^-m m^k / k! and
// b(k) of mass.h. Two Gammas of unlike scales: two_gamma.cpp.
//
// Why not boost::math::gamma_q and ibeta: in 50 digits they take 3 to 8 ms at n = 10^6 and 50 ms
// at N = 10^9, they underflow below 10^-646456993, and no error bound is documented. Here every
// term is positive and every error is bounded where it is made:
//   sum         relative 2^-96 + 4 K 2^-128 for K terms (below), too small, never too large;
//   point mass  Stirling's series within its first omitted term, 4e-32; its logarithm within a few
//               2^-168 (N + |log p|);
//   1 - P       P < 1/2, as x and k lie below the median there: no digit is lost.
// Together below 2^-90 for every n and N up to 2^60: 26 digits with room to spare.
#include "verifier/stats/tail.h"

#include <algorithm>
#include <boost/math/constants/constants.hpp>
#include <cassert>
#include <cmath>
#include <limits>
#include <numeric>

#include "verifier/stats/decimal.h"
#include "verifier/stats/mass.h"
#include "verifier/stats/two_gamma.h"
#include "verifier/stats/wide.h"

namespace countermark::stats {
namespace {

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

Decimal evaluate_two_gamma(std::uint64_t n, std::uint64_t statistic, std::uint64_t weight_a,
                           std::uint64_t weight_b) {
  if (n == 0 || statistic == 0) return {};
  return to_decimal(two_gamma_probability(n, statistic, weight_a, weight_b));
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
