// SPDX-License-Identifier: Apache-2.0
// Words of 64 bits as stretches of text: bit i is byte i of a block, and what happens at the edges
// is handed from one block to the next.
#pragma once

#include <cstdint>

namespace countermark::text {

using Bits = std::uint64_t;

// `mask` one byte later; `before` is the mask of the block before.
constexpr Bits later(Bits mask, Bits before) { return mask << 1 | before >> 63; }

// Where runs of ones begin, and the bits after them.
constexpr Bits edges(Bits mask, Bits before) { return mask ^ later(mask, before); }

// `mask` `by` bytes earlier, 1 to 63; `after` is the mask of the block after.
constexpr Bits earlier(Bits mask, Bits after, unsigned by) {
  return mask >> by | after << (64 - by);
}

// The run of ones in `runs` from the lowest bit of `from`, which is in it.
constexpr Bits run_from(Bits from, Bits runs) {
  from &= ~from + 1;
  return runs & ~(runs + from);
}

// The bit after every run of ones in `runs` that has a bit of `from`, at most one each. `carry`
// says of a run that it has gone on into the next block.
constexpr Bits after_runs(Bits from, Bits runs, bool& carry) {
  const Bits open = carry ? 1 : 0;
  from = (from | open) & runs;
  const Bits sum = runs + from;
  carry = sum < runs;
  return (sum & ~runs) | (open & ~runs);
}

// The first byte of the character after each that begins at a bit of `characters`.
constexpr Bits next_characters(Bits characters, Bits continuation, bool& carry) {
  const Bits second = characters << 1 | (carry ? 1 : 0);
  bool goes_on = false;
  const Bits end = after_runs(second, continuation, goes_on);
  carry = goes_on || characters >> 63 != 0;
  return (second & ~continuation) | end;
}

}  // namespace countermark::text
