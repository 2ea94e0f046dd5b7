// SPDX-License-Identifier: Apache-2.0
// Any machine: eight bytes at a time through two tables, whose bits are then transposed.
#include "verifier/text/kernels/kernel.h"

namespace {

constexpr bool is_symbol(unsigned c) {
  return c == '$' || c == '+' || c == '<' || c == '=' || c == '>' || c == '^' || c == '`' ||
         c == '|' || c == '~';
}

// Of every byte, what masks it is in: bit i is mask `first` + i.
struct Table {
  uint8_t masks[256];
};

constexpr Table table_from(unsigned first) {
  Table table{};
  for (unsigned c = 0; c < 256; ++c) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool lower = c >= 'a' && c <= 'z';
    const bool number = c >= '0' && c <= '9';
    const bool white = c == ' ' || (c >= '\t' && c <= '\r');
    const bool graph = c > ' ' && c < 0x7f;
    const bool punctuation = graph && !upper && !lower && !number && !is_symbol(c);
    const bool masks[16] = {upper,
                            lower,
                            number,
                            white,
                            punctuation,
                            is_symbol(c),
                            !graph && !white && c < 0x80,
                            c == '\n' || c == '\r',
                            c == ' ',
                            c == '\'',
                            c == '/',
                            c >= 0x80,
                            c >= 0x80 && c < 0xc0};
    for (unsigned i = 0; i < 8; ++i)
      if (masks[first + i]) table.masks[c] = static_cast<uint8_t>(table.masks[c] | 1U << i);
  }
  return table;
}

constexpr Table kKinds = table_from(0);
constexpr Table kBytes = table_from(8);

// Eight entries as eight masks: byte i of the result has bit i of every entry.
uint64_t transposed(const Table* table, const uint8_t* text) {
  uint64_t x = 0;
  for (unsigned i = 0; i < 8; ++i) x |= static_cast<uint64_t>(table->masks[text[i]]) << (8 * i);
  uint64_t swap = (x ^ (x >> 7)) & 0x00aa00aa00aa00aa;
  x ^= swap ^ (swap << 7);
  swap = (x ^ (x >> 14)) & 0x0000cccc0000cccc;
  x ^= swap ^ (swap << 14);
  swap = (x ^ (x >> 28)) & 0x00000000f0f0f0f0;
  return x ^ swap ^ (swap << 28);
}

void classify(const uint8_t* text, size_t count, CountermarkBytes* out) {
  for (size_t block = 0; block < count; ++block) {
    CountermarkBytes bytes = {};
    for (size_t group = 0; group < 8; ++group) {
      const uint8_t* const from = text + 64 * block + 8 * group;
      const uint64_t kinds = transposed(&kKinds, from);
      const uint64_t rest = transposed(&kBytes, from);
      for (unsigned i = 0; i < 8; ++i) {
        bytes.of[i] |= (kinds >> (8 * i) & 0xff) << (8 * group);
        bytes.of[8 + i] |= (rest >> (8 * i) & 0xff) << (8 * group);
      }
    }
    out[block] = bytes;
  }
}

size_t positions(const uint64_t* words, size_t count, uint32_t base, uint32_t* out) {
  uint32_t* end = out;
  for (size_t i = 0; i < count; ++i)
    for (uint64_t word = words[i]; word != 0; word &= word - 1)
      *end++ = base + static_cast<uint32_t>(64 * i) + static_cast<uint32_t>(__builtin_ctzll(word));
  return static_cast<size_t>(end - out);
}

int supported() { return 1; }

}  // namespace

extern "C" constinit const CountermarkTextKernel countermark_text_kernel_portable = {
    "portable", supported, classify, positions};
