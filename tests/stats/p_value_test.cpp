// SPDX-License-Identifier: Apache-2.0
// PValue: every operation rounds up, by no more than it must, at any depth.
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "tests/stats/decimal.h"
#include "verifier/stats/p_value.h"

namespace countermark::stats {
namespace {

using testing::cpp_int;
using testing::cpp_rational;

// The double as a rational.
cpp_rational exact(double value) {
  int exponent = 0;
  const double fraction = std::frexp(value, &exponent);
  const cpp_int units = static_cast<cpp_int>(std::ldexp(fraction, 53));
  exponent -= 53;
  return exponent >= 0 ? cpp_rational(units << exponent)
                       : cpp_rational(units, cpp_int(1) << -exponent);
}

PValue smallest(cpp_rational value) {
  std::int64_t exponent = 0;
  for (; value < 1; --exponent) value *= 10;
  return testing::smallest_at_least(value, exponent);
}

TEST(PValue, DefaultIsOne) {
  EXPECT_EQ(PValue(), PValue::from_parts(1, 0));
  EXPECT_EQ(PValue(), PValue::from_double(1));
  EXPECT_EQ(PValue(), PValue::from_power_of_two(0));
  EXPECT_EQ(PValue().to_string(), "1");
  EXPECT_EQ(PValue().to_double(), 1);
  EXPECT_EQ(PValue().log10(), 0);
}

TEST(PValue, PrintsRoundedUp) {
  EXPECT_EQ(PValue::from_parts(3.791, -45).to_string(), "3.80e-45");
  EXPECT_EQ(PValue::from_parts(3.75, -45).to_string(), "3.75e-45");
  EXPECT_EQ(PValue::from_parts(3.75, -45).to_string(1), "4e-45");
  EXPECT_EQ(PValue::from_parts(3.75, -45).to_string(2), "3.8e-45");
  EXPECT_EQ(PValue::from_parts(3.75, -45).to_string(15), "3.75000000000000e-45");
  EXPECT_EQ(PValue::from_parts(9.991, -45).to_string(), "1.00e-44");
  EXPECT_EQ(PValue::from_parts(9.991, -45).to_string(1), "1e-44");
  EXPECT_EQ(PValue::from_parts(9.991, -1).to_string(), "1");
  EXPECT_EQ(PValue::from_parts(9.5, -1).to_string(), "9.50e-1");
  EXPECT_EQ(PValue::from_parts(1, -3820094661853).to_string(), "1.00e-3820094661853");
  // The double below 1.1 and the one above it: a digit is kept only if it is not too small.
  EXPECT_EQ(PValue::from_parts(std::nextafter(1.1, 1.0), -9).to_string(2), "1.1e-9");
  EXPECT_EQ(PValue::from_parts(std::nextafter(1.1, 2.0), -9).to_string(2), "1.2e-9");
}

TEST(PValue, FromDoubleIsTheSmallestNotBelow) {
  const std::array<double, 14> values = {
      0.5,    0.05,     1e-4,   1.0 / 3, 0.99999999999999989,  0.1, 3.7e-45, 1e-6, 1e-300,
      7e-301, 2.3e-308, 1e-310, 5e-324,  std::ldexp(1.0, -128)};
  for (const double value : values) {
    const PValue p = PValue::from_double(value);
    EXPECT_EQ(p, smallest(exact(value))) << value;
  }
  // Any bits of a double below 1.
  std::uint64_t bits = 1;
  for (int i = 0; i < 3000; ++i) {
    bits = bits * 6364136223846793005 + 1442695040888963407;
    const auto value = std::bit_cast<double>(bits % 0x3ff0'0000'0000'0000);
    EXPECT_EQ(PValue::from_double(value), smallest(exact(value))) << value;
  }
  EXPECT_EQ(PValue::from_double(std::numeric_limits<double>::denorm_min()).to_string(4),
            "4.941e-324");
  EXPECT_EQ(PValue::from_double(0.5), PValue::from_parts(5, -1));
  EXPECT_EQ(PValue::from_double(0.99999999999999989).to_string(15), "1");
}

TEST(PValue, FromDecimalIsWhatWasWritten) {
  EXPECT_EQ(PValue::from_decimal(1e-4), PValue::from_parts(1, -4));
  EXPECT_EQ(PValue::from_decimal(0.05), PValue::from_parts(5, -2));
  EXPECT_EQ(PValue::from_decimal(2.5e-300), PValue::from_parts(2.5, -300));
  EXPECT_EQ(PValue::from_decimal(5e-324), PValue::from_parts(5, -324));
  EXPECT_EQ(PValue::from_decimal(1), PValue());
}

TEST(PValue, ToDoubleIsNearest) {
  for (const double value : {0.5, 0.3, 1e-6, 1.0 / 3, 2.5e-300, 3e-308}) {
    const double back = PValue::from_double(value).to_double();
    EXPECT_GE(back, value);
    EXPECT_LE(back, value * (1 + 1e-15));
  }
  EXPECT_EQ(PValue::from_parts(2.5, -5).to_double(), 2.5e-5);
  EXPECT_EQ(PValue::from_parts(1, -308).to_double(), 1e-308);
  EXPECT_EQ(PValue::from_parts(9.9, -309).to_double(), 0);
  EXPECT_EQ(PValue::from_parts(1, -3820094661853).to_double(), 0);
}

TEST(PValue, PowersOfTwo) {
  EXPECT_EQ(PValue::from_power_of_two(1), PValue::from_parts(5, -1));
  EXPECT_EQ(PValue::from_power_of_two(3), PValue::from_parts(1.25, -1));
  EXPECT_EQ(PValue::from_power_of_two(128).to_string(10), "2.938735878e-39");
  EXPECT_EQ(PValue::from_power_of_two(256).to_string(6), "8.63617e-78");
  for (const unsigned bits : {1u, 64u, 128u, 1023u, 1074u}) {
    EXPECT_EQ(PValue::from_power_of_two(bits), smallest(cpp_rational(1, cpp_int(1) << bits)));
  }
  for (const unsigned bits : {1075u, 2048u, 4001u}) {
    const cpp_rational power(1, cpp_int(1) << bits);
    EXPECT_GE(PValue::from_power_of_two(bits), smallest(power));
    EXPECT_LE(PValue::from_power_of_two(bits),
              smallest(power * cpp_rational(100000000000001, 100000000000000)));
  }
  EXPECT_NEAR(PValue::from_power_of_two(std::numeric_limits<unsigned>::max()).log10(),
              -4294967295.0 * std::log10(2.0), 1e-5);
}

TEST(PValue, ScaledIsTheSmallestNotBelow) {
  EXPECT_EQ(PValue::from_parts(2.5, -7).scaled(3, 3), PValue::from_parts(2.5, -7));
  EXPECT_EQ(PValue::from_parts(5, -2).scaled(1, 5), PValue::from_parts(1, -2));
  EXPECT_EQ(PValue().scaled(7, 7), PValue());
  EXPECT_EQ(PValue::from_parts(5, -1).scaled(3, 1), PValue());
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  for (const std::uint64_t m : std::array<std::uint64_t, 5>{1, 3, 24'000, 123'456'789'012, kMost}) {
    for (const std::uint64_t k : std::array<std::uint64_t, 5>{1, 2, 7, 99'999'989, kMost}) {
      for (const double mantissa : {1.0, 1.1, 3.791, 9.9999999999999982}) {
        const cpp_rational value = exact(mantissa) * m / k / testing::power_of_ten(60);
        EXPECT_EQ(PValue::from_parts(mantissa, -60).scaled(m, k), smallest(value))
            << mantissa << " " << m << " " << k;
      }
    }
  }
}

TEST(PValue, TimesRoundsUpAndStopsAtOne) {
  EXPECT_EQ(PValue::from_parts(2.5, -7).times(1), PValue::from_parts(2.5, -7));
  EXPECT_EQ(PValue::from_parts(2.5, -7).times(2), PValue::from_parts(5, -7));
  EXPECT_EQ(PValue::from_parts(2.5, -7).times(4), PValue::from_parts(1, -6));
  EXPECT_EQ(PValue::from_parts(2.5, -1).times(4), PValue());
  EXPECT_EQ(PValue::from_parts(2.5, -1).times(5), PValue());
  EXPECT_EQ(PValue().times(1), PValue());
  EXPECT_EQ(PValue().times(std::numeric_limits<std::uint64_t>::max()), PValue());
  for (const std::uint64_t m : {3ull, 7ull, 24000ull, 24000000000ull, 18446744073709551615ull}) {
    for (const double mantissa : {1.0, 1.1, 3.791, 9.9999999999999982}) {
      const PValue product = PValue::from_parts(mantissa, -60).times(m);
      const cpp_rational value = exact(mantissa) * m / testing::power_of_ten(60);
      EXPECT_EQ(product, smallest(value)) << mantissa << " " << m;
    }
  }
}

TEST(PValue, PlusRoundsUpAndStopsAtOne) {
  const PValue quarter = PValue::from_double(0.25);
  EXPECT_EQ(quarter.plus(quarter), PValue::from_double(0.5));
  EXPECT_EQ(PValue::from_double(0.5).plus(PValue::from_double(0.5)), PValue());
  EXPECT_EQ(PValue().plus(PValue()), PValue());
  EXPECT_EQ(PValue().plus(PValue::from_parts(1, -1000)), PValue());
  for (const std::int64_t exponent : {-5, -6, -9, -20, -21, -22, -23}) {
    for (const double mantissa : {1.0, 1.1, 9.9999999999999982}) {
      const PValue a = PValue::from_parts(9.75, -5);
      const PValue b = PValue::from_parts(mantissa, exponent);
      const cpp_rational value =
          exact(9.75) / testing::power_of_ten(5) +
          exact(mantissa) / testing::power_of_ten(static_cast<unsigned>(-exponent));
      EXPECT_EQ(a.plus(b), smallest(value)) << mantissa << " " << exponent;
      EXPECT_EQ(b.plus(a), a.plus(b));
    }
  }
  // However small, what is added is not lost.
  const PValue p = PValue::from_parts(2.5, -5);
  EXPECT_GT(p.plus(PValue::from_parts(1, -3820094661853)), p);
}

TEST(PValue, ComparesByValue) {
  EXPECT_LT(PValue::from_parts(9.9, -46), PValue::from_parts(1.1, -45));
  EXPECT_LT(PValue::from_parts(1.1, -45), PValue::from_parts(1.2, -45));
  EXPECT_LT(PValue::from_parts(1, -3820094661853), PValue::from_parts(1, -3820094661852));
  EXPECT_GT(PValue(), PValue::from_parts(9.9, -1));
  EXPECT_LE(PValue(), PValue());
  EXPECT_NE(PValue(), PValue::from_parts(9.9, -1));
}

TEST(PValue, Log10) {
  EXPECT_DOUBLE_EQ(PValue::from_parts(3.75, -45).log10(), std::log10(3.75) - 45);
  EXPECT_DOUBLE_EQ(PValue::from_parts(1, -100000).log10(), -100000);
}

}  // namespace
}  // namespace countermark::stats
