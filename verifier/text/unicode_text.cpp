// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/unicode_text.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>

namespace countermark::text {
namespace {

using Points = std::vector<utf8proc_int32_t>;

constexpr std::size_t kLongestDecomposition = 18;  // Unicode 15.0: of U+FDFA, by compatibility

// The canonical decomposition. utf8proc's own puts marks in order in quadratic time.
Points decompose(std::string_view text) {
  Points points;
  for (const std::uint32_t c : code_points(text)) {
    std::array<utf8proc_int32_t, kLongestDecomposition> parts{};
    int boundary = 0;
    const auto count = utf8proc_decompose_char(
        static_cast<utf8proc_int32_t>(c), parts.data(), parts.size(),
        static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE), &boundary);
    points.insert(points.end(), parts.begin(), parts.begin() + count);
  }
  const auto order = [](utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; };
  for (auto begin = points.begin(); begin != points.end();) {
    const auto end = std::find_if(begin, points.end(), [&](auto c) { return order(c) == 0; });
    std::stable_sort(begin, end, [&](auto a, auto b) { return order(a) < order(b); });
    begin = end == points.end() ? end : end + 1;
  }
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

std::string to_nfc(std::string_view text) {
  const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
  if (std::all_of(text.begin(), text.end(), is_ascii)) return std::string(text);
  Points points = decompose(text);
  const auto size =
      utf8proc_normalize_utf32(points.data(), static_cast<utf8proc_ssize_t>(points.size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  std::string composed;
  composed.reserve(text.size());
  for (utf8proc_ssize_t i = 0; i < size; ++i)
    append_character(static_cast<std::uint32_t>(points[static_cast<std::size_t>(i)]), composed);
  return composed;
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
