// SPDX-License-Identifier: Apache-2.0
// What the kernels with vectors have in common: the masks of a block, from four questions that
// each asks in its own way.
//
// Internal linkage: each file that includes it is compiled for another processor.
#pragma once

#include "verifier/text/kernels/kernel.h"

namespace {

// Of 64 bytes: Isa::within (first <= byte < first + size), equal, symbols, high.
template <typename Isa>
void write_masks(const typename Isa::Bytes& bytes, uint64_t* of) {
  const uint64_t upper = Isa::within(bytes, 'A', 26);
  const uint64_t lower = Isa::within(bytes, 'a', 26);
  const uint64_t number = Isa::within(bytes, '0', 10);
  const uint64_t blank = Isa::equal(bytes, ' ');
  const uint64_t white = Isa::within(bytes, '\t', 5) | blank;
  const uint64_t graph = Isa::within(bytes, '!', 94);
  const uint64_t symbol = Isa::symbols(bytes);
  const uint64_t high = Isa::high(bytes);
  of[COUNTERMARK_UPPER] = upper;
  of[COUNTERMARK_LOWER] = lower;
  of[COUNTERMARK_NUMBER] = number;
  of[COUNTERMARK_WHITE] = white;
  of[COUNTERMARK_PUNCTUATION] = graph & ~(upper | lower | number | symbol);
  of[COUNTERMARK_SYMBOL] = symbol;
  of[COUNTERMARK_REST] = ~(graph | white | high);
  of[COUNTERMARK_NEWLINE] = Isa::equal(bytes, '\n') | Isa::equal(bytes, '\r');
  of[COUNTERMARK_BLANK] = blank;
  of[COUNTERMARK_APOSTROPHE] = Isa::equal(bytes, '\'');
  of[COUNTERMARK_SLASH] = Isa::equal(bytes, '/');
  of[COUNTERMARK_HIGH] = high;
  of[COUNTERMARK_CONTINUATION] = Isa::within(bytes, 0x80, 0x40);
  for (size_t i = COUNTERMARK_CONTINUATION + 1; i < COUNTERMARK_MASKS; ++i) of[i] = 0;
}

}  // namespace
