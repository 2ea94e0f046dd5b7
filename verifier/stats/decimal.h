// SPDX-License-Identifier: Apache-2.0
// A probability on its way from what computed it to a PValue. Not for use outside stats/.
#pragma once

#include <cstdint>
#include <string>

#include "verifier/stats/multiprecision.h"
#include "verifier/stats/p_value.h"

namespace countermark::stats {

// factor e^log: no exponent range is wide enough for e^log itself. |factor| within 10^±1300.
struct Magnitude {
  Float log;
  Float factor;
};

// mantissa 10^exponent, mantissa in [1, 10).
struct Decimal {
  Float mantissa = 1;
  std::int64_t exponent = 0;
};

// 10^-(9 10^18) stands, as an upper bound, for everything below it.
Decimal to_decimal(const Magnitude& value);

// Of 1 - value, value at most 1/2.
Decimal complement(const Magnitude& value);

// An upper bound, for a relative error below 2^-80; at most 1.
PValue round_up(const Decimal& value);

// "d.ddde-N" with so many significant digits, 1 to 40, rounded to nearest.
std::string to_digits(const Decimal& value, int digits);

}  // namespace countermark::stats
