// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/unicode_text.h"

#include <simdjson.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "watermark/utf8.h"

namespace countermark::text {
namespace {

using Points = std::vector<utf8proc_int32_t>;

constexpr std::size_t kLongestDecomposition = 18;  // Unicode 15.0: of U+FDFA, by compatibility

struct CodeRange {
  std::uint32_t first;
  std::uint32_t last;
};

// Characters with a compatibility decomposition that are younger than Unicode 9.0.
constexpr CodeRange kLaterCompatibility[] = {
    {0x32ff, 0x32ff},   {0xa7f2, 0xa7f4},   {0xab69, 0xab69},   {0x10781, 0x107ba},
    {0x1e030, 0x1e06d}, {0x1f16c, 0x1f16c}, {0x1fbf0, 0x1fbf9},
};

// Marks that are younger than Unicode 9.0, and U+11938 with the second of its two parts.
constexpr CodeRange kLaterMarks[] = {
    {0x7fd, 0x7fd},     {0x898, 0x89f},     {0x8ca, 0x8d3},     {0x9fe, 0x9fe},
    {0xc3c, 0xc3c},     {0xd3b, 0xd3c},     {0xeba, 0xeba},     {0x1715, 0x1715},
    {0x1abf, 0x1ace},   {0x1df6, 0x1dfa},   {0xa82c, 0xa82c},   {0x10d24, 0x10d27},
    {0x10eab, 0x10eac}, {0x10efd, 0x10eff}, {0x10f46, 0x10f50}, {0x10f82, 0x10f85},
    {0x11070, 0x11070}, {0x1133b, 0x1133b}, {0x1145e, 0x1145e}, {0x11839, 0x1183a},
    {0x11930, 0x11930}, {0x11938, 0x11938}, {0x1193d, 0x1193e}, {0x11943, 0x11943},
    {0x119e0, 0x119e0}, {0x11a34, 0x11a34}, {0x11a47, 0x11a47}, {0x11a99, 0x11a99},
    {0x11d42, 0x11d42}, {0x11d44, 0x11d45}, {0x11d97, 0x11d97}, {0x11f41, 0x11f42},
    {0x16ff0, 0x16ff1}, {0x1e08f, 0x1e08f}, {0x1e130, 0x1e136}, {0x1e2ae, 0x1e2ae},
    {0x1e2ec, 0x1e2ef}, {0x1e4ec, 0x1e4ef},
};

// In ranges that ascend.
bool is_in(std::span<const CodeRange> ranges, std::uint32_t c) {
  const auto range =
      std::lower_bound(ranges.begin(), ranges.end(), c,
                       [](const CodeRange& r, std::uint32_t at) { return r.last < at; });
  return range != ranges.end() && range->first <= c;
}

bool is_later_mark(utf8proc_int32_t c) { return is_in(kLaterMarks, static_cast<std::uint32_t>(c)); }

// By which marks are put in order; 0: not a mark.
int combining_class(utf8proc_int32_t c) {
  const int order = utf8proc_get_property(c)->combining_class;
  return order != 0 && is_later_mark(c) ? 0 : order;
}

// Capital letters of Unicode 16.0 and 17.0 in ranges that are moved as one.
struct LaterCase {
  std::uint32_t first;
  std::uint32_t last;
  std::uint32_t lower;  // of the first
};
constexpr LaterCase kLaterCases[] = {
    {0x1c89, 0x1c89, 0x1c8a},    {0xa7cb, 0xa7cb, 0x264},  {0xa7cc, 0xa7cc, 0xa7cd},
    {0xa7ce, 0xa7ce, 0xa7cf},    {0xa7d2, 0xa7d2, 0xa7d3}, {0xa7d4, 0xa7d4, 0xa7d5},
    {0xa7da, 0xa7da, 0xa7db},    {0xa7dc, 0xa7dc, 0x19b},  {0x10d50, 0x10d65, 0x10d70},
    {0x16ea0, 0x16eb8, 0x16ebb},
};

// The decomposition, canonical or also by compatibility. utf8proc's own puts marks in order in
// quadratic time.
Points decompose(std::string_view text, bool by_compatibility = false) {
  Points points;
  for (const std::uint32_t c : code_points(text)) {
    if (is_in(kLaterMarks, c)) {
      points.push_back(static_cast<utf8proc_int32_t>(c));
      continue;
    }
    const int compatibility =
        by_compatibility && !is_in(kLaterCompatibility, c) ? UTF8PROC_COMPAT : 0;
    std::array<utf8proc_int32_t, kLongestDecomposition> parts{};
    int boundary = 0;
    const auto count = utf8proc_decompose_char(
        static_cast<utf8proc_int32_t>(c), parts.data(), parts.size(),
        static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE | compatibility),
        &boundary);
    points.insert(points.end(), parts.begin(), parts.begin() + count);
  }
  for (auto begin = points.begin(); begin != points.end();) {
    const auto end =
        std::find_if(begin, points.end(), [](auto c) { return combining_class(c) == 0; });
    std::stable_sort(begin, end,
                     [](auto a, auto b) { return combining_class(a) < combining_class(b); });
    begin = end == points.end() ? end : end + 1;
  }
  return points;
}

// Between later marks, with which and across which nothing is joined.
Points compose(Points points) {
  constexpr auto kOptions = static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE);
  auto out = points.begin();
  for (auto begin = points.begin(); begin != points.end();) {
    const auto end = std::find_if(begin, points.end(), is_later_mark);
    const auto size = utf8proc_normalize_utf32(&*begin, end - begin, kOptions);
    out = std::copy(begin, begin + size, out);
    begin = end;
    if (begin != points.end()) *out++ = *begin++;
  }
  points.erase(out, points.end());
  return points;
}

bool is_ideograph(std::uint32_t c) {
  // The ranges of BasicTokenizer; U+2B820 is U+2B920 in Hugging Face's and llama.cpp's.
  constexpr std::array<std::array<std::uint32_t, 2>, 8> kRanges = {{{0x4e00, 0x9fff},
                                                                    {0x3400, 0x4dbf},
                                                                    {0x20000, 0x2a6df},
                                                                    {0x2a700, 0x2b73f},
                                                                    {0x2b740, 0x2b81f},
                                                                    {0x2b920, 0x2ceaf},
                                                                    {0xf900, 0xfaff},
                                                                    {0x2f800, 0x2fa1f}}};
  return std::any_of(kRanges.begin(), kRanges.end(),
                     [c](const auto& range) { return range[0] <= c && c <= range[1]; });
}

bool is_white_space(std::uint32_t c, utf8proc_category_t category) {
  return c == '\t' || c == '\n' || c == '\r' || category == UTF8PROC_CATEGORY_ZS ||
         category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
}

bool is_control(std::uint32_t c, utf8proc_category_t category) {
  return c == 0xfffd || category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
         category == UTF8PROC_CATEGORY_CO;
}

bool is_punctuation(std::uint32_t c, utf8proc_category_t category) {
  const bool ascii = (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
                     (c >= '{' && c <= '~');
  return ascii || (category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO);
}

}  // namespace

Status check_text(std::string_view text) {
  if (simdjson::validate_utf8(text)) return {};
  return check_utf8(text);
}

std::vector<std::uint32_t> code_points(std::string_view text) {
  std::vector<std::uint32_t> points;
  points.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    utf8proc_int32_t c = 0;
    const auto size = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data() + at),
                                       static_cast<utf8proc_ssize_t>(text.size() - at), &c);
    at += static_cast<std::size_t>(size);
    points.push_back(static_cast<std::uint32_t>(c));
  }
  return points;
}

void append_character(std::uint32_t code_point, std::string& text) {
  std::array<utf8proc_uint8_t, 4> bytes{};
  const auto size = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code_point), bytes.data());
  text.append(bytes.begin(), bytes.begin() + size);
}

bool is_surely_nfc(std::string_view text) {
  // U+0300, the first character that may have to be moved or joined, begins with this byte.
  constexpr std::uint8_t kFirst = 0xcc;
  std::uint8_t most = 0;
  for (const char c : text) most = std::max(most, static_cast<std::uint8_t>(c));
  return most < kFirst;
}

std::string to_form(std::string_view text, Form form) {
  const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
  // No form changes ASCII.
  if (form == Form::kNfc ? is_surely_nfc(text) : std::all_of(text.begin(), text.end(), is_ascii))
    return std::string(text);
  Points points = decompose(text, form == Form::kNfkc || form == Form::kNfkd);
  if (form == Form::kNfc || form == Form::kNfkc) points = compose(std::move(points));
  std::string formed;
  formed.reserve(text.size());
  for (const utf8proc_int32_t point : points)
    append_character(static_cast<std::uint32_t>(point), formed);
  return formed;
}

bool is_space(std::uint32_t c) {
  return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
         c == 0x3000;
}

std::string to_lower(std::string_view text) {
  constexpr std::uint32_t kDottedCapitalI = 0x130;
  std::string lower;
  lower.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::uint32_t c = read_character(text, at);
    auto low = static_cast<std::uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
    for (const LaterCase& later : kLaterCases)
      if (later.first <= c && c <= later.last) low = later.lower + (c - later.first);
    if (c == kDottedCapitalI) {  // the only one that becomes two
      lower += "i\u0307";
    } else {
      append_character(low, lower);
    }
  }
  return lower;
}

std::vector<std::string> bert_words(std::string_view text) {
  std::vector<std::string> words;
  bool is_open = false;  // whether the next letter belongs to the last word
  for (const utf8proc_int32_t point : decompose(text)) {
    const auto c = static_cast<std::uint32_t>(point);
    const utf8proc_category_t category = utf8proc_category(point);
    if (is_white_space(c, category)) {
      is_open = false;
    } else if (!is_control(c, category) && category != UTF8PROC_CATEGORY_MN) {
      const bool is_word = is_punctuation(c, category) || is_ideograph(c);
      if (is_word || !is_open) words.emplace_back();
      append_character(static_cast<std::uint32_t>(utf8proc_tolower(point)), words.back());
      is_open = !is_word;
    }
  }
  return words;
}

}  // namespace countermark::text
