// SPDX-License-Identifier: Apache-2.0
// DeepSeek's older patterns: cuts one after the other, each of which isolates one class, the first
// of them newlines. Later cuts only add to where pieces begin.
#include <bit>

#include "verifier/text/character_table.h"
#include "verifier/text/scan.h"
#include "verifier/text/scan_text.h"

namespace countermark::text {
namespace {

struct Block {
  const Masks& masks;
  const Masks& after;
  Bits leads;
  Bits newline;
  Bits space;  // white space that is no newline
};

Block block_of(const Masks& masks, const Masks& after) {
  const auto& of = masks.of;
  return {masks, after, ~of[COUNTERMARK_CONTINUATION], of[COUNTERMARK_NEWLINE],
          of[COUNTERMARK_WHITE] & ~of[COUNTERMARK_NEWLINE]};
}

Bits letters(const Masks& masks) {
  return masks.of[COUNTERMARK_UPPER] | masks.of[COUNTERMARK_LOWER] | masks.of[COUNTERMARK_CASELESS];
}

// Newlines one by one, words and punctuation with the white space before them, ideographs, numbers
// one by one.
template <bool kWithLaterNumbers>
Bits coder_starts(const Block& block, ScanCarry& carry) {
  const auto& of = block.masks.of;
  const Bits word = letters(block.masks);
  const Bits punctuation = of[COUNTERMARK_PUNCTUATION];
  const Bits gap = ~(block.newline | word | punctuation);
  const Bits after_space = later(block.space, carry.space);
  Bits starts = block.newline | (gap & ~later(gap, carry.rest));
  starts |= ((word & ~later(word, carry.word)) | (punctuation & ~later(punctuation, carry.other))) &
            ~after_space;
  starts |= before_character(block.space, word | punctuation,
                             letters(block.after) | block.after.of[COUNTERMARK_PUNCTUATION],
                             block.masks, block.after);
  starts |= edges(of[COUNTERMARK_HAN], carry.han);
  Bits number = of[COUNTERMARK_NUMBER];
  if constexpr (kWithLaterNumbers) number |= of[COUNTERMARK_LATER_NUMBER];
  starts |= (number | later(number, carry.number)) & block.leads;
  carry.space = block.space;
  carry.rest = gap;
  carry.word = word;
  carry.other = punctuation;
  carry.han = of[COUNTERMARK_HAN];
  carry.number = number;
  return starts;
}

template <bool kWithLaterNumbers>
void find_coder(std::string_view /*text*/, std::size_t /*at*/, const Masks* blocks,
                std::size_t count, ScanCarry& carry, Bits* starts) {
  for (std::size_t i = 0; i < count; ++i)
    starts[i] = coder_starts<kWithLaterNumbers>(block_of(blocks[i], blocks[i + 1]), carry);
}

// The cased letters and the listed punctuation, to which ASCII letters and U+3000 also belong.
Bits cased(const Masks& masks) {
  const auto& of = masks.of;
  return ((of[COUNTERMARK_UPPER] | of[COUNTERMARK_LOWER]) & ~of[COUNTERMARK_HIGH]) |
         of[COUNTERMARK_CASED];
}

Bits listed(const Masks& masks) {
  const auto& of = masks.of;
  return ((of[COUNTERMARK_UPPER] | of[COUNTERMARK_LOWER] | of[COUNTERMARK_PUNCTUATION] |
           of[COUNTERMARK_SYMBOL]) &
          ~of[COUNTERMARK_HIGH]) |
         of[COUNTERMARK_LISTED];
}

// Whether `\s+$` cuts before the white space that begins at `at`, where no earlier cut does: the
// piece ends with it, at the end of the line or where an earlier cut divides it.
bool ends_in_spaces(std::string_view text, std::size_t at) {
  constexpr std::string_view kWide = "\u3000";  // white space and listed punctuation
  if (text.substr(at).starts_with(kWide)) {
    // Within punctuation.
    while (text.substr(at).starts_with(kWide)) at += kWide.size();
    if (at == text.size() || is_newline(text[at])) return true;
    const Character next = character_at(text.data() + at);
    const unsigned entry = CharacterTable::instance().of(next.code_point);
    return (entry & CharacterTable::kListed) == 0 || (entry & CharacterTable::kCased) != 0;
  }
  const std::size_t end = end_of_spaces(text, at);
  if (end == text.size() || is_newline(text[end])) return true;
  if (text.substr(at, end - at).find(kWide) != std::string_view::npos) return true;
  const unsigned entry = CharacterTable::instance().of(character_at(text.data() + end).code_point);
  return (entry & (CharacterTable::kCased | CharacterTable::kListed)) != 0;
}

Bits llm_starts(std::string_view text, std::size_t at, const Block& block, ScanCarry& carry) {
  const auto& of = block.masks.of;
  const Bits word = cased(block.masks);
  const Bits punctuation = listed(block.masks);
  const Bits plain = block.space & ~punctuation;
  // The second cut: cased letters.
  Bits starts = block.newline | later(block.newline, carry.newline);
  starts |= edges(word, carry.word) & ~(word & later(block.space, carry.space));
  const Bits before_word =
      before_character(block.space, word, cased(block.after), block.masks, block.after);
  starts |= before_word;
  // The third: punctuation, with white space before it that is in its piece.
  starts |= edges(punctuation, carry.listed) & ~(punctuation & later(plain, carry.white));
  const Bits wide = block.space & punctuation;
  const Bits wide_after = block.after.of[COUNTERMARK_WHITE] & listed(block.after);
  Bits joins = punctuation;
  Bits joins_after = listed(block.after);
  if ((wide | wide_after) != 0) {
    joins &= ~(wide & before_word);
    const Masks none{};
    joins_after &= ~before_character(wide_after, cased(block.after), 0, block.after, none);
  }
  starts |= before_character(plain, joins, joins_after, block.masks, block.after);
  // The fifth and sixth: ideographs and numbers.
  const Bits later_starts =
      edges(of[COUNTERMARK_HAN], carry.han) | edges(of[COUNTERMARK_NUMBER], carry.number);
  // The fourth: white space at the end of a piece.
  Bits left = block.space & ~later(block.space, carry.space) & ~(starts | later_starts);
  for (; left != 0; left &= left - 1)
    if (ends_in_spaces(text, at + static_cast<std::size_t>(std::countr_zero(left))))
      starts |= left & (~left + 1);
  carry.newline = block.newline;
  carry.word = word;
  carry.space = block.space;
  carry.listed = punctuation;
  carry.white = plain;
  carry.han = of[COUNTERMARK_HAN];
  carry.number = of[COUNTERMARK_NUMBER];
  return starts | later_starts;
}

void find_llm(std::string_view text, std::size_t at, const Masks* blocks, std::size_t count,
              ScanCarry& carry, Bits* starts) {
  for (std::size_t i = 0; i < count; ++i)
    starts[i] = llm_starts(text, at + 64 * i, block_of(blocks[i], blocks[i + 1]), carry);
}

}  // namespace

const Scan kDeepSeekCoderScan = {CharacterSets::kAll, find_coder<false>};
const Scan kDeepSeekCoderDigitsScan = {CharacterSets::kAll, find_coder<true>};
const Scan kDeepSeekLlmScan = {CharacterSets::kAll, find_llm};

}  // namespace countermark::text
