// SPDX-License-Identifier: Apache-2.0
// How far portable_exp and portable_log are from the truth, against a wider type.
#include "watermark/portable_math.h"

#include <gtest/gtest.h>

#include <boost/multiprecision/cpp_bin_float.hpp>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "tests/support/random.h"

namespace countermark::tests {
namespace {

// The processor's extended precision is 2000 times finer than what is asked; where it has none,
// software's is used.
using Exact = std::conditional_t<(std::numeric_limits<long double>::digits >= 64), long double,
                                 boost::multiprecision::cpp_bin_float_quad>;
using std::abs, std::exp, std::log;

// What the header promises.
constexpr double kBound = 4e-16;
constexpr int kPoints = 100'000;

double relative_error(double value, const Exact& truth) {
  return static_cast<double>(abs((Exact(value) - truth) / truth));
}

// The largest error over the points, which is reported with the test.
template <typename Function, typename Truth>
double worst(const std::vector<double>& points, Function function, Truth truth) {
  double largest = 0, at = 0;
  for (const double x : points) {
    const double error = relative_error(function(x), truth(Exact(x)));
    if (!(error <= largest)) {
      largest = error;
      at = x;
    }
  }
  ::testing::Test::RecordProperty("worst",
                                  std::to_string(largest * 1e16) + "e-16 at " + std::to_string(at));
  return largest;
}

double worst_exp(const std::vector<double>& points) {
  return worst(points, portable_exp, [](const Exact& x) -> Exact { return exp(x); });
}

double worst_log(const std::vector<double>& points) {
  return worst(points, portable_log, [](const Exact& x) -> Exact { return log(x); });
}

TEST(PortableMath, ExpOverItsRange) {
  SplitMix64 random(1);
  std::vector<double> points;
  for (int i = 0; i < kPoints; ++i) {
    points.push_back(-708 * random.unit());
    points.push_back(-2 * random.unit());
  }
  for (int e = -60; e < 0; ++e) points.push_back(-std::ldexp(1 + random.unit(), e));
  EXPECT_LT(worst_exp(points), kBound);
}

// Where the argument reduction changes its integer: at (k + 1/2) ln 2.
TEST(PortableMath, ExpAtTheSeams) {
  std::vector<double> points = {-708, std::nextafter(-708.0, 0), -0x1p-1074, -0x1p-53, -1};
  for (int k = 0; k < 1021; ++k) {
    double seam = -(k + 0.5) * 0.6931471805599453;
    for (int step = 0; step < 4; ++step) seam = std::nextafter(seam, -1000.0);
    for (int step = 0; step < 9; ++step, seam = std::nextafter(seam, 0.0))
      if (seam >= -708) points.push_back(seam);
  }
  EXPECT_LT(worst_exp(points), kBound);
}

TEST(PortableMath, ExpIsExactAtZeroAndZeroBelowItsRange) {
  EXPECT_EQ(portable_exp(0), 1);
  EXPECT_EQ(portable_exp(-0.0), 1);
  EXPECT_GE(portable_exp(-708), std::numeric_limits<double>::min());
  for (const double x : {std::nextafter(-708.0, -709.0), -708.5, -745.0, -1e9, -1e300,
                         -std::numeric_limits<double>::infinity()})
    EXPECT_EQ(portable_exp(x), 0) << x;
}

// u of the draw: the centres of the cells of 32-bit words.
TEST(PortableMath, LogOverTheDrawsArguments) {
  SplitMix64 random(2);
  std::vector<double> points;
  for (int i = 0; i < kPoints; ++i) {
    points.push_back((random.below(0xFFFFFFFF) + 0.5) * 0x1p-32);
    points.push_back((static_cast<double>(random.next() >> random.below(64) >> 32) + 0.5) *
                     0x1p-32);
    points.push_back(1 - (static_cast<double>(random.next() >> random.below(64) >> 32) + 0.5) *
                             0x1p-32);
  }
  for (double u : {0x1p-33, 3 * 0x1p-33, 1 - 0x1p-33, 1 - 3 * 0x1p-33, 0.5 + 0x1p-33, 0.5 - 0x1p-33,
                   0.7071067811865475})
    for (int step = 0; step < 20; ++step, u = std::nextafter(u, 0.0)) points.push_back(u);
  EXPECT_LT(worst_log(points), kBound);
}

TEST(PortableMath, LogOverAllNormalNumbersAndNextToPowersOfTwo) {
  SplitMix64 random(3);
  std::vector<double> points;
  for (int i = 0; i < kPoints; ++i)
    points.push_back(std::ldexp(1 + random.unit(), static_cast<int>(random.below(2046)) - 1022));
  for (int e = -1022; e < 1024; ++e) {
    for (const double m : {1.0, 1.4142135623730949, 1.4142135623730951, 1.4142135623730954}) {
      const double x = std::ldexp(m, e);
      points.push_back(std::nextafter(x, std::numeric_limits<double>::max()));
      if (x != 1) points.push_back(x);
      if (x > std::numeric_limits<double>::min()) points.push_back(std::nextafter(x, 0.0));
    }
  }
  EXPECT_LT(worst_log(points), kBound);
  EXPECT_EQ(portable_log(1), 0);
}

TEST(PortableMath, LogOfEveryPowerOfTwoIsRounded) {
  for (int e = -1022; e < 1024; ++e) {
    const Exact truth = e * log(Exact(2));
    EXPECT_EQ(portable_log(std::ldexp(1.0, e)), static_cast<double>(truth)) << e;
  }
}

}  // namespace
}  // namespace countermark::tests
