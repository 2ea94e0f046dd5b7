// SPDX-License-Identifier: Apache-2.0
// What kind of character a code point is, by Unicode 16.0 as pattern.h has it.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace countermark::text {

// Immutable; one for the process.
class CharacterTable {
 public:
  static const CharacterTable& instance();

  // An entry has a kind, COUNTERMARK_UPPER and so on, in its lower five bits, and the sets that
  // patterns of DeepSeek list in the others.
  static constexpr unsigned kKind = 0x1f;
  static constexpr unsigned kCased = 0x20;   // "[A-Za-zµÀ-Ö…]"
  static constexpr unsigned kListed = 0x40;  // "[!-/:-~！-／：-～‘-‟　-。]"
  static constexpr unsigned kHan = 0x80;     // "[一-龥぀-ゟ゠-ヿ]"

  // `code_point` is at most U+10FFFF.
  unsigned of(std::uint32_t code_point) const {
    return pages_[(std::size_t{page_[code_point >> 8]} << 8) + (code_point & 0xff)];
  }

 private:
  CharacterTable();

  std::array<std::uint16_t, 0x1100> page_{};
  std::vector<std::uint8_t> pages_{};  // 256 entries each; equal pages are one
};

}  // namespace countermark::text
