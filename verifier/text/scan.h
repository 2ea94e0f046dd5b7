// SPDX-License-Identifier: Apache-2.0
// Where pieces begin, as the known patterns cut: bit algebra over blocks of 64 bytes.
//
// A scan reads what each byte belongs to (kernels/kernel.h) and says of each whether a piece begins
// there. It is exactly what PCRE2 finds with the patterns; tests compare the two.
#pragma once

#include <cstddef>
#include <string_view>

#include "verifier/text/bits.h"
#include "verifier/text/kernels/kernel.h"

namespace countermark::text {

using Masks = CountermarkBytes;

// What one block leaves to the next; which of it, the scan knows.
struct ScanCarry {
  Bits word = 0;  // masks of the block before, of which the top bit counts
  Bits number = 0;
  Bits other = 0;
  Bits rest = 0;
  Bits white = 0;
  Bits blank = 0;
  Bits space = 0;
  Bits newline = 0;
  Bits tail = 0;
  Bits lower = 0;
  Bits caseless = 0;
  Bits listed = 0;
  Bits han = 0;
  Bits set = 0;    // of the block to come: pieces begin there all the same,
  Bits clear = 0;  // or do not,
  Bits taken = 0;  // or this is a letter of a contraction
  std::size_t contraction_end = 0;
  unsigned digits = 0;         // of the number that goes on, since a piece began
  bool next_of_other = false;  // next_characters and after_runs that go on
  bool lowers = false;
  bool ascii_word = false;
};

// Which sets of CharacterTable a scan reads as COUNTERMARK_CASED, LISTED and HAN.
enum class CharacterSets {
  kNone,
  kHan,  // HAN: kHan of the table
  kAll,  // all three; HAN: U+0800 to U+9FA5 and U+AC00 to U+D7FF
};

struct Scan {
  CharacterSets sets;
  // starts[i] for `count` blocks, of which the first begins at `at`; blocks[count] is there, too.
  // Behind the text stand blanks; bits there and the bit of the text's first byte mean nothing.
  void (*find)(std::string_view text, std::size_t at, const Masks* blocks, std::size_t count,
               ScanCarry& carry, Bits* starts);
};

extern const Scan kGpt2Scan;
extern const Scan kLlama3Scan;
extern const Scan kQwen2Scan;
extern const Scan kGpt4Scan;
extern const Scan kGpt4oScan;
extern const Scan kDeepSeek3Scan;
extern const Scan kDeepSeekCoderScan;
extern const Scan kDeepSeekCoderDigitsScan;
extern const Scan kDeepSeekLlmScan;

}  // namespace countermark::text
