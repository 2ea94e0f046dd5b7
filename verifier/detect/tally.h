// SPDX-License-Identifier: Apache-2.0
// The sums that a test is decided by.
#pragma once

#include <cstdint>

namespace countermark::detect {

// Scores of distinct tuples of one stream, in units of 2^-20. Exact integers: sums do not depend
// on order, thread count or machine. 2^39 tuples fit at least.
//
// Null law of `sum`, given `n`: bounded by Gamma(n, 1) (exponential_score.h).
struct Tally {
  std::uint64_t n = 0;
  std::uint64_t sum = 0;

  Tally& operator+=(const Tally& other) noexcept {
    n += other.n;
    sum += other.sum;
    return *this;
  }
  friend Tally operator+(Tally a, const Tally& b) noexcept { return a += b; }
  bool operator==(const Tally&) const = default;
};

}  // namespace countermark::detect
