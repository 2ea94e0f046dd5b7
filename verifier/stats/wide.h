// SPDX-License-Identifier: Apache-2.0
// Whole numbers of 128 bits. Not for use outside stats/.
#pragma once

#include <cstdint>

namespace countermark::stats {

__extension__ using Wide = unsigned __int128;
__extension__ using SignedWide = __int128;

// floor(a b / 2^128).
inline Wide multiply_fractions(Wide a, Wide b) {
  constexpr Wide kLow = ~std::uint64_t{0};
  const Wide high_low = (a >> 64) * (b & kLow);
  const Wide low_high = (a & kLow) * (b >> 64);
  const Wide low_low = (a & kLow) * (b & kLow);
  const Wide middle = (high_low & kLow) + (low_high & kLow) + (low_low >> 64);
  return (a >> 64) * (b >> 64) + (high_low >> 64) + (low_high >> 64) + (middle >> 64);
}

}  // namespace countermark::stats
