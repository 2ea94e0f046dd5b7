// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/character_table.h"

#include <utf8proc.h>

#include <charconv>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "verifier/text/kernels/kernel.h"
#include "verifier/text/known_patterns.h"
#include "verifier/text/pattern.h"

namespace countermark::text {
namespace {

constexpr std::uint32_t kCodePoints = 0x110000;

std::uint8_t kind_of(utf8proc_category_t category) {
  switch (category) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT:
      return COUNTERMARK_UPPER;
    case UTF8PROC_CATEGORY_LL:
      return COUNTERMARK_LOWER;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return COUNTERMARK_CASELESS;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
      return COUNTERMARK_MARK;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return COUNTERMARK_NUMBER;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
      return COUNTERMARK_PUNCTUATION;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO:
      return COUNTERMARK_SYMBOL;
    default:
      return COUNTERMARK_REST;
  }
}

std::uint8_t kind_of(std::string_view category) {
  if (category == "Lu") return COUNTERMARK_UPPER;
  if (category == "Ll") return COUNTERMARK_LOWER;
  if (category[0] == 'L') return COUNTERMARK_CASELESS;
  if (category[0] == 'M') return COUNTERMARK_MARK;
  if (category[0] == 'N') return COUNTERMARK_NUMBER;
  return category[0] == 'P' ? COUNTERMARK_PUNCTUATION : COUNTERMARK_SYMBOL;
}

// The code points of a class without its brackets: characters, \x09 and \x{3000}, and ranges.
std::vector<std::array<std::uint32_t, 2>> class_ranges(std::string_view members) {
  std::vector<std::array<std::uint32_t, 2>> ranges;
  const auto take = [&] {
    std::uint32_t c = 0;
    std::size_t size = 0;
    if (members.starts_with("\\x")) {
      const bool braced = members[2] == '{';
      const char* const digits = members.data() + (braced ? 3 : 2);
      const char* const end = braced ? members.data() + members.find('}') : digits + 2;
      std::from_chars(digits, end, c, 16);
      size = static_cast<std::size_t>(end - members.data()) + (braced ? 1 : 0);
    } else {
      utf8proc_int32_t point = 0;
      size = static_cast<std::size_t>(
          utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(members.data()),
                           static_cast<utf8proc_ssize_t>(members.size()), &point));
      c = static_cast<std::uint32_t>(point);
    }
    members.remove_prefix(size);
    return c;
  };
  while (!members.empty()) {
    const std::uint32_t first = take();
    ranges.push_back({first, first});
    if (!members.starts_with('-') || members.size() == 1) continue;
    members.remove_prefix(1);
    ranges.back()[1] = take();
  }
  return ranges;
}

}  // namespace

CharacterTable::CharacterTable() {
  std::vector<std::uint8_t> all(kCodePoints);
  for (std::uint32_t c = 0; c < kCodePoints; ++c)
    all[c] = kind_of(utf8proc_category(static_cast<utf8proc_int32_t>(c)));
  const auto each = [&](std::string_view members, auto&& change) {
    for (const auto& [first, last] : class_ranges(members))
      for (std::uint32_t c = first; c <= last; ++c) change(all[c]);
  };
  for (const auto& [category, members] : category_additions())
    each(members, [kind = kind_of(category)](std::uint8_t& entry) { entry = kind; });
  each(white_space_members(), [](std::uint8_t& entry) { entry = COUNTERMARK_WHITE; });
  each(later_number_members(), [](std::uint8_t& entry) { entry = COUNTERMARK_LATER_NUMBER; });
  each(kCasedLetters, [](std::uint8_t& entry) { entry |= kCased; });
  each(kListedPunctuation, [](std::uint8_t& entry) { entry |= kListed; });
  each(kHanAndKana, [](std::uint8_t& entry) { entry |= kHan; });

  std::map<std::string, std::uint16_t> known;
  for (std::size_t page = 0; page < page_.size(); ++page) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(page << 8);
    std::string entries(begin, begin + 256);
    const auto number = static_cast<std::uint16_t>(known.size());
    const auto [found, is_new] = known.try_emplace(std::move(entries), number);
    if (is_new) pages_.insert(pages_.end(), begin, begin + 256);
    page_[page] = found->second;
  }
}

const CharacterTable& CharacterTable::instance() {
  static const CharacterTable kTable;
  return kTable;
}

}  // namespace countermark::text
