// SPDX-License-Identifier: Apache-2.0
// The patterns that are one list of alternatives: words, numbers, other characters, white space.
//
// All of them cut a text into runs of one class. They differ in what the last white space before a
// run and a lone other character join, in how numbers are cut, in whether newlines bind, and in
// contractions. A piece never depends on what stands before it, so that what follows is local but
// for runs, which additions find the ends of.
#include <bit>

#include "verifier/text/character_table.h"
#include "verifier/text/scan.h"
#include "verifier/text/scan_text.h"

namespace countermark::text {
namespace {

struct Rules {
  enum class Numbers { kRuns, kTriples, kSingle };
  // Where an apostrophe begins a piece; or where it follows a word, as part of it.
  enum class Contractions { kNone, kLower, kAnyCase, kSuffix };

  Numbers numbers;
  Contractions contractions;
  // A word takes any white space but newlines before it, or one other character; other characters
  // take the newlines behind them; and white space is cut behind its last newline. Without, words
  // and numbers take a blank, and nothing else is special.
  bool is_modern = true;
  bool ends_whole = false;  // white space at the end of the text is one piece
  bool cuts_case = false;   // words are cut where a capital follows a small letter, after GPT-4o
  bool is_deepseek = false;
};

// What the bytes of a block belong to.
struct Classes {
  Bits word;
  Bits number;
  Bits white;
  Bits other;  // what words may take one of
  Bits rest;   // what is in no class of DeepSeek's
  Bits han;    // what DeepSeek's second cut isolates, whatever else it is
};

template <Rules kRules>
Classes classes_of(const Masks& masks) {
  const auto& of = masks.of;
  Classes classes{};
  classes.word = of[COUNTERMARK_UPPER] | of[COUNTERMARK_LOWER] | of[COUNTERMARK_CASELESS];
  classes.number = of[COUNTERMARK_NUMBER];
  classes.white = of[COUNTERMARK_WHITE];
  if constexpr (kRules.is_deepseek) {
    classes.word |= of[COUNTERMARK_MARK];
    classes.other = of[COUNTERMARK_PUNCTUATION] | of[COUNTERMARK_SYMBOL];
    classes.rest = ~(classes.word | classes.number | classes.white | classes.other);
    classes.han = of[COUNTERMARK_HAN];
  } else {
    classes.other = ~(classes.word | classes.number | classes.white);
  }
  return classes;
}

template <Rules kRules>
class WordScan {
 public:
  WordScan(std::string_view text, ScanCarry& carry) : text_(text), carry_(carry) {}

  // Where pieces begin in the block at `at`.
  Bits find(std::size_t at, const Masks& masks, const Masks& after) {
    const auto& of = masks.of;
    const Classes next = classes_of<kRules>(after);
    Classes here = classes_of<kRules>(masks);
    if constexpr (kRules.cuts_case)
      if (of[COUNTERMARK_MARK] != 0) place_marks(masks, here);
    const Others others = others_of(masks, here.other);
    const Bits white = here.white & ~others.tail;
    const Bits newline = of[COUNTERMARK_NEWLINE] & ~others.tail;
    const Bits space = kRules.is_modern ? white & ~newline : white;
    const Bits joins =
        kRules.is_modern ? later(space, carry_.space) : later(of[COUNTERMARK_BLANK], carry_.blank);

    Bits word = here.word & ~later(here.word, carry_.word) & ~joins;
    Bits starts = others.starts | (white & ~later(white, carry_.white));
    starts |= last_spaces(masks, after, space, here, next);
    if constexpr (kRules.is_deepseek) {
      starts |= here.rest & ~later(here.rest, carry_.rest);
      starts |= last_rest(masks, after, here, next);
      word &= ~later(here.rest, carry_.rest);
      starts |= edges(here.han, carry_.han);
    }
    if constexpr (kRules.is_modern) {
      Bits joined = word & others.next;
      if constexpr (kRules.is_deepseek) {
        // Of ASCII, and ASCII letters alone.
        const Bits letters = here.word & ~of[COUNTERMARK_HIGH];
        joined &= letters;
        starts |= after_runs(joined, letters, carry_.ascii_word);
      }
      word &= ~joined;
      starts |= after_newlines(at, space, newline);
    }
    starts |= word | numbers(masks, here.number);

    if constexpr (kRules.contractions != Rules::Contractions::kNone) {
      const Bits set = carry_.set;
      const Bits clear = carry_.clear;
      const Bits taken = carry_.taken;
      carry_.set = carry_.clear = carry_.taken = 0;
      Contracted found{set, clear, taken};
      contractions(at, masks, after, here, others, found);
      starts = (starts & ~found.clear) | found.set;
      if constexpr (kRules.cuts_case) starts |= capitals(at, masks, here, found.taken);
    }

    carry_.word = here.word;
    carry_.number = here.number;
    carry_.other = others.other;
    carry_.tail = others.tail;
    carry_.rest = here.rest;
    carry_.han = here.han;
    carry_.white = white;
    carry_.space = space;
    carry_.newline = newline;
    carry_.blank = of[COUNTERMARK_BLANK];
    carry_.next_of_other = others.next_goes_on;
    return starts;
  }

 private:
  struct Others {
    Bits tail;    // what a piece of other characters takes behind them
    Bits other;   // without the slashes among that
    Bits starts;  // pieces that begin with another character
    Bits next;    // the character after each first one
    bool next_goes_on;
  };

  Others others_of(const Masks& masks, Bits other) const {
    Others found{};
    const Bits newline = masks.of[COUNTERMARK_NEWLINE];
    if constexpr (kRules.is_modern) {
      const Bits runs = kRules.cuts_case ? newline | masks.of[COUNTERMARK_SLASH] : newline;
      Bits from = (newline & later(other, carry_.other)) | (runs & carry_.tail >> 63);
      if constexpr (kRules.is_deepseek) from &= ~edges(masks.of[COUNTERMARK_HAN], carry_.han);
      found.tail = (runs & ~(runs + from)) | from;
    }
    found.other = other & ~found.tail;
    found.starts = found.other & ~later(found.other, carry_.other) &
                   ~later(masks.of[COUNTERMARK_BLANK], carry_.blank);
    if constexpr (kRules.is_deepseek)
      found.starts |= found.other & edges(masks.of[COUNTERMARK_HAN], carry_.han);
    found.next_goes_on = carry_.next_of_other;
    Bits alone = found.starts;
    if constexpr (kRules.is_deepseek) alone &= ~masks.of[COUNTERMARK_HIGH];
    found.next = next_characters(alone, masks.of[COUNTERMARK_CONTINUATION], found.next_goes_on);
    return found;
  }

  // A mark is of a word, unless it follows other characters that no word can take.
  void place_marks(const Masks& masks, Classes& here) const {
    const Bits marks = masks.of[COUNTERMARK_MARK];
    here.other &= ~marks;
    for (Bits first = marks & ~(marks << 1) & ~later(here.word, carry_.word); first != 0;
         first &= first - 1) {
      const Others others = others_of(masks, here.other);
      const Bits mark = first & (~first + 1);
      if ((mark & later(others.other, carry_.other) & ~others.next) != 0)
        here.other |= run_from(mark, marks);
    }
    here.word |= marks & ~here.other;
  }

  // The last white space of a run, unless the text or what is cut by itself ends there.
  static Bits last_spaces(const Masks& masks, const Masks& after, Bits space, const Classes& here,
                          const Classes& next) {
    constexpr auto kOthers = [](const Classes& classes) {
      const Bits cut = kRules.is_deepseek ? classes.han | classes.number : 0;
      return ~(classes.white | cut);
    };
    return before_character(space, kOthers(here), kOthers(next), masks, after);
  }

  // The last of the rest before a word, which takes it.
  static Bits last_rest(const Masks& masks, const Masks& after, const Classes& here,
                        const Classes& next) {
    if (here.rest == 0) return 0;
    return before_character(here.rest & ~here.han, here.word & ~here.han, next.word & ~next.han,
                            masks, after) |
           before_character(here.rest & here.han, here.word & here.han, next.word & next.han, masks,
                            after);
  }

  // White space behind the last newline of its run.
  Bits after_newlines(std::size_t at, Bits space, Bits newline) const {
    Bits found = space & later(newline, carry_.newline);
    if (found == 0) return 0;
    bool goes_on = false;
    const Bits ends = after_runs(found, space, goes_on);
    if (!goes_on && (ends & newline) == 0) return found;
    for (Bits left = found; left != 0; left &= left - 1) {
      const auto first = static_cast<std::size_t>(std::countr_zero(left));
      const std::size_t end = end_of_spaces(text_, at + first);
      const bool newline_follows = end < text_.size() && is_newline(text_[end]);
      if (newline_follows || (kRules.ends_whole && end == text_.size()))
        found &= ~(left & (~left + 1));
    }
    return found;
  }

  Bits numbers(const Masks& masks, Bits number) {
    const Bits continuation = masks.of[COUNTERMARK_CONTINUATION];
    const Bits first = number & ~later(number, carry_.number);
    if constexpr (kRules.numbers == Rules::Numbers::kSingle) return number & ~continuation;
    if constexpr (kRules.numbers == Rules::Numbers::kRuns)
      return first & ~later(masks.of[COUNTERMARK_BLANK], carry_.blank);
    if (number == 0) {
      carry_.digits = 0;
      return 0;
    }
    if ((number & continuation) != 0) return numbers_one_by_one(number, number & ~continuation);
    Bits third = first;
    if (carry_.digits != 0) {
      const Bits up_to = Bits{1} << (3 - carry_.digits);
      if ((~number & (up_to | (up_to - 1))) == 0) third |= up_to;
    }
    Bits starts = 0;
    const Bits three = number & number << 1 & number << 2;
    for (; third != 0; third = third << 3 & three) starts |= third;
    const bool goes_on = number >> 63 != 0;
    if (!goes_on) {
      carry_.digits = 0;
    } else {
      carry_.digits = static_cast<unsigned>(std::countl_zero(starts)) + 1;
    }
    return starts;
  }

  Bits numbers_one_by_one(Bits number, Bits leads) {
    const Bits goes_on = later(number, carry_.number);
    Bits starts = 0;
    for (; leads != 0; leads &= leads - 1) {
      const Bits lead = leads & (~leads + 1);
      if ((goes_on & lead) == 0 || carry_.digits == 3) carry_.digits = 0;
      if (carry_.digits++ == 0) starts |= lead;
    }
    if (number >> 63 == 0) carry_.digits = 0;
    return starts;
  }

  struct Contracted {
    Bits set;
    Bits clear;
    Bits taken;
  };

  void contractions(std::size_t at, const Masks& masks, const Masks& after, const Classes& here,
                    const Others& others, Contracted& found) {
    const auto& of = masks.of;
    constexpr bool kIsSuffix = kRules.contractions == Rules::Contractions::kSuffix;
    constexpr bool kAnyCase = kRules.contractions != Rules::Contractions::kLower;
    const auto letters = [](const Masks& block) {
      return block.of[COUNTERMARK_UPPER] | block.of[COUNTERMARK_LOWER];
    };
    Bits left = of[COUNTERMARK_APOSTROPHE] & earlier(letters(masks), letters(after), 1) &
                (kIsSuffix ? later(here.word, carry_.word) : others.starts);
    for (; left != 0; left &= left - 1) {
      const auto bit = static_cast<unsigned>(std::countr_zero(left));
      if (kIsSuffix && at + bit == carry_.contraction_end) continue;
      const unsigned size = contraction_size(text_, at + bit, kAnyCase);
      if (size == 0) continue;
      carry_.contraction_end = at + bit + size;
      const auto mark = [bit](unsigned offset, unsigned width, Bits& now, Bits& then) {
        const Bits bits = (Bits{1} << width) - 1;
        const unsigned from = bit + offset;
        if (from < 64) now |= bits << from;
        if (from >= 64) {
          then |= bits << (from - 64);
        } else if (from + width > 64) {
          then |= bits >> (64 - from);
        }
      };
      mark(kIsSuffix ? 0 : 1, kIsSuffix ? 2 : 1, found.clear, carry_.clear);
      mark(1, size - 1, found.taken, carry_.taken);
      mark(size, 1, found.set, carry_.set);
    }
  }

  // Capitals that begin a piece within a word; `taken` are letters of contractions.
  Bits capitals(std::size_t at, const Masks& masks, const Classes& here, Bits taken) {
    const auto& of = masks.of;
    const Bits lower = of[COUNTERMARK_LOWER] & ~taken;
    const Bits upper = of[COUNTERMARK_UPPER] & ~taken;
    const Bits both = of[COUNTERMARK_CASELESS] | (of[COUNTERMARK_MARK] & here.word);
    const Bits after_lower = later(lower, carry_.lower);
    Bits starts = upper & (after_lower | after_runs(both & after_lower, both, carry_.lowers));
    // The last capitals of a word, after a letter that may end the piece before them.
    for (Bits left = upper & later(both, carry_.caseless) & ~starts; left != 0; left &= left - 1)
      if (!word_goes_on(text_, at + static_cast<std::size_t>(std::countr_zero(left))))
        starts |= left & (~left + 1);
    carry_.lower = lower;
    carry_.caseless = both;
    return starts;
  }

  std::string_view text_;
  ScanCarry& carry_;
};

template <Rules kRules>
void find(std::string_view text, std::size_t at, const Masks* blocks, std::size_t count,
          ScanCarry& carry, Bits* starts) {
  ScanCarry local = carry;
  WordScan<kRules> scan(text, local);
  for (std::size_t i = 0; i < count; ++i)
    starts[i] = scan.find(at + 64 * i, blocks[i], blocks[i + 1]);
  carry = local;
}

using Numbers = Rules::Numbers;
using Contractions = Rules::Contractions;

constexpr Rules kGpt2{
    .numbers = Numbers::kRuns, .contractions = Contractions::kLower, .is_modern = false};
constexpr Rules kLlama3{.numbers = Numbers::kTriples, .contractions = Contractions::kAnyCase};
constexpr Rules kQwen2{.numbers = Numbers::kSingle, .contractions = Contractions::kAnyCase};
constexpr Rules kGpt4{
    .numbers = Numbers::kTriples, .contractions = Contractions::kAnyCase, .ends_whole = true};
constexpr Rules kGpt4o{
    .numbers = Numbers::kTriples, .contractions = Contractions::kSuffix, .cuts_case = true};
constexpr Rules kDeepSeek3{
    .numbers = Numbers::kTriples, .contractions = Contractions::kNone, .is_deepseek = true};

}  // namespace

const Scan kGpt2Scan = {CharacterSets::kNone, find<kGpt2>};
const Scan kLlama3Scan = {CharacterSets::kNone, find<kLlama3>};
const Scan kQwen2Scan = {CharacterSets::kNone, find<kQwen2>};
const Scan kGpt4Scan = {CharacterSets::kNone, find<kGpt4>};
const Scan kGpt4oScan = {CharacterSets::kNone, find<kGpt4o>};
const Scan kDeepSeek3Scan = {CharacterSets::kHan, find<kDeepSeek3>};

}  // namespace countermark::text
