// SPDX-License-Identifier: Apache-2.0
// Where something begins to hold.
#pragma once

#include <cstdint>

namespace countermark::stats {

// The smallest c in [low, high] with holds(c), which once true stays true and is taken to be true
// at high, where it is not asked. O(log(high - low)).
template <typename Predicate>
std::uint64_t first_where(std::uint64_t low, std::uint64_t high, Predicate holds) {
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    if (holds(middle)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

}  // namespace countermark::stats
