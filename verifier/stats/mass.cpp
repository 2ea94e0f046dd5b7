// SPDX-License-Identifier: Apache-2.0
#include "verifier/stats/mass.h"

#include <array>
#include <boost/math/constants/constants.hpp>

namespace countermark::stats {
namespace {

// From here on eight terms of Stirling's series are good to 43867/244188 / 64^17 < 4e-32.
constexpr std::uint64_t kStirlingFrom = 64;

// log k! - log(sqrt(2 pi k) (k/e)^k) for k >= kStirlingFrom: B(2i) / (2i (2i-1) k^(2i-1)), DLMF
// 5.11.1. The series envelops its value: the error is below the first omitted term.
Float stirling_correction(std::uint64_t k) {
  static const std::array<Float, 8> kCoefficients = {
      Float(1) / 12,   Float(-1) / 360,      Float(1) / 1260, Float(-1) / 1680,
      Float(1) / 1188, Float(-691) / 360360, Float(1) / 156,  Float(-3617) / 122400};
  const Float inverse = 1 / Float(k);
  const Float step = inverse * inverse;
  Float sum = 0;
  for (auto c = kCoefficients.rbegin(); c != kCoefficients.rend(); ++c) sum = sum * step + *c;
  return sum * inverse;
}

}  // namespace

Magnitude poisson_mass(std::uint64_t k, const Float& mean) {
  if (k < kStirlingFrom) {
    Float power = 1;
    Float factorial = 1;
    for (std::uint64_t i = 1; i <= k; ++i) {
      power *= mean;
      factorial *= i;
    }
    return {-mean, power / factorial};
  }
  return {k * logarithm(mean / k) + (k - mean) - stirling_correction(k),
          reciprocal_root(boost::math::constants::two_pi<Float>() * k)};
}

Magnitude binomial_mass(std::uint64_t trials, std::uint64_t k, std::uint64_t numerator,
                        std::uint64_t denominator) {
  const Float unit = Float(trials) / denominator;
  const Magnitude hits = poisson_mass(k, unit * numerator);
  const Magnitude misses = poisson_mass(trials - k, unit * (denominator - numerator));
  const Magnitude all = poisson_mass(trials, Float(trials));
  return {hits.log + misses.log - all.log, hits.factor * misses.factor / all.factor};
}

}  // namespace countermark::stats
