// SPDX-License-Identifier: Apache-2.0
// What scans look up in the text itself, where masks of a block do not tell.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "verifier/text/bits.h"
#include "verifier/text/kernels/kernel.h"

namespace countermark::text {

// The character that begins at `at`.
struct Character {
  std::uint32_t code_point;
  unsigned size;  // bytes
};
inline Character character_at(const char* at) {
  const auto byte = [at](unsigned i) { return std::uint32_t{static_cast<unsigned char>(at[i])}; };
  const auto bits = [&](unsigned i) { return byte(i) & 0x3f; };
  if (byte(0) < 0x80) return {byte(0), 1};
  if (byte(0) < 0xe0) return {(byte(0) & 0x1f) << 6 | bits(1), 2};
  if (byte(0) < 0xf0) return {(byte(0) & 0xf) << 12 | bits(1) << 6 | bits(2), 3};
  return {(byte(0) & 7) << 18 | bits(1) << 12 | bits(2) << 6 | bits(3), 4};
}

constexpr bool is_newline(char c) { return c == '\n' || c == '\r'; }

// Where the white space ends, newlines apart, that begins at `at`. Linear in it.
std::size_t end_of_spaces(std::string_view text, std::size_t at);

// Whether a letter without case, a small one or a mark follows the capitals that begin at `at`.
// Linear in them.
bool word_goes_on(std::string_view text, std::size_t at);

// The size of the contraction that the apostrophe at `at` begins: 's, 't, 'm, 'd, 'll, 've, 're; 0
// if none. In any case, U+017F is an s.
unsigned contraction_size(std::string_view text, std::size_t at, bool any_case);

// The first bytes of those `characters` that stand before a character of `next`; `next_after` is
// that of the next block.
inline Bits before_character(Bits characters, Bits next, Bits next_after,
                             const CountermarkBytes& masks, const CountermarkBytes& after) {
  const Bits continuation = masks.of[COUNTERMARK_CONTINUATION];
  const Bits one = earlier(next, next_after, 1);
  if ((characters & continuation) == 0 && (after.of[COUNTERMARK_CONTINUATION] & 1) == 0)
    return characters & one;
  const auto continues = [&](unsigned by) {
    return earlier(continuation, after.of[COUNTERMARK_CONTINUATION], by);
  };
  Bits found = earlier(next, next_after, 4);
  for (unsigned size = 3; size != 0; --size)
    found = (continues(size) & found) | (~continues(size) & earlier(next, next_after, size));
  return characters & ~continuation & found;
}

}  // namespace countermark::text
