// SPDX-License-Identifier: Apache-2.0
// e^x, log x and 1 / sqrt x against Boost's own in twice the digits.
#include "verifier/stats/multiprecision.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/random_numbers.h"

namespace countermark::stats {
namespace {

using Long = boost::multiprecision::number<boost::multiprecision::cpp_bin_float<100>,
                                           boost::multiprecision::et_off>;

// |found - wanted| / scale in units of 2^-168.
double units(const Float& found, const Long& wanted, const Long& scale) {
  return static_cast<double>(ldexp(abs(Long(found) - wanted) / scale, 168));
}

// Of all sizes, and as near to 1 and to powers of e and 2 as they come.
std::vector<Float> positive_numbers() {
  tests::RandomNumbers random(1);
  std::vector<Float> out = {1, 2, 0.5, 3, exp(Float(1)), exp(Float(1) / 2)};
  for (int i = 0; i < 600; ++i) {
    const Float fraction = ldexp(Float(random.next() | 1), -64) + ldexp(Float(random.next()), -128);
    out.push_back(ldexp(1 + fraction, static_cast<int>(random.below(160)) - 80));
    out.push_back(1 + ldexp(fraction, -i / 4));
    out.push_back(1 - ldexp(fraction, -i / 4 - 1));
    out.push_back(Float(1 + random.below(100'000)) / (1 + random.below(100'000)));
  }
  return out;
}

TEST(Multiprecision, LogarithmsAndRootsOfAllSizes) {
  for (const Float& x : positive_numbers()) {
    const Long log_x = log(Long(x));
    EXPECT_LT(units(logarithm(x), log_x, 1 + abs(log_x)), 4) << x;
    const Long root = 1 / sqrt(Long(x));
    EXPECT_LT(units(reciprocal_root(x), root, root), 4) << x;
  }
}

TEST(Multiprecision, ExponentialsFromFarBelowToFarAbove) {
  for (const Float& x : positive_numbers()) {
    for (const Float& power : {x, Float(-x), Float(logarithm(x)), Float(logarithm(x) * 3)}) {
      if (abs(power) > 1e8) continue;
      const Long wanted = exp(Long(power));
      EXPECT_LT(units(exponential(power), wanted, wanted * (1 + abs(Long(power)))), 4) << power;
    }
  }
  EXPECT_EQ(exponential(0), 1);
}

}  // namespace
}  // namespace countermark::stats
