// SPDX-License-Identifier: Apache-2.0
#include "watermark/utf8.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace countermark {
namespace {

using namespace std::string_literals;

// An independent definition: UTF-8 is what encoding the scalar values gives.
std::string encoded(std::uint32_t c) {
  const auto tail = [c](int shift) { return static_cast<char>(0x80 | (c >> shift & 0x3f)); };
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xc0 | c >> 6), tail(0)};
  if (c < 0x10000) return {static_cast<char>(0xe0 | c >> 12), tail(6), tail(0)};
  return {static_cast<char>(0xf0 | c >> 18), tail(12), tail(6), tail(0)};
}

TEST(Utf8, AcceptsEveryScalarValue) {
  for (std::uint32_t c = 0; c < 0x110000; ++c) {
    const bool is_surrogate = c >= 0xd800 && c < 0xe000;
    ASSERT_EQ(find_invalid_utf8(encoded(c)), is_surrogate ? 0 : kValidUtf8) << c;
  }
}

TEST(Utf8, AcceptsNothingElse) {
  // Of all sequences of two and three bytes, and of four with a lead of four and any last byte
  // that matters, exactly as many are valid as can be made of encoded scalar values.
  std::uint64_t valid = 0;
  std::string two(2, '\0');
  for (unsigned i = 0; i < 65536; ++i) {
    two[0] = static_cast<char>(i >> 8);
    two[1] = static_cast<char>(i);
    valid += find_invalid_utf8(two) == kValidUtf8;
  }
  EXPECT_EQ(valid, 128 * 128 + 1920U);
  valid = 0;
  std::string three(3, '\0');
  for (unsigned i = 0; i < 1U << 24; ++i) {
    three[0] = static_cast<char>(i >> 16);
    three[1] = static_cast<char>(i >> 8);
    three[2] = static_cast<char>(i);
    valid += find_invalid_utf8(three) == kValidUtf8;
  }
  EXPECT_EQ(valid, 128 * 128 * 128 + 2 * 128 * 1920U + (65536 - 2048 - 2048));
  valid = 0;
  std::string four(4, '\0');
  for (unsigned lead = 0xf0; lead < 0x100; ++lead)
    for (unsigned middle = 0; middle < 65536; ++middle)
      for (unsigned last = 0x7f; last <= 0xc0; ++last) {
        four[0] = static_cast<char>(lead);
        four[1] = static_cast<char>(middle >> 8);
        four[2] = static_cast<char>(middle);
        four[3] = static_cast<char>(last);
        valid += find_invalid_utf8(four) == kValidUtf8;
      }
  EXPECT_EQ(valid, 0x100000U);
}

struct Invalid {
  std::string bytes;
  std::size_t offset;
};

TEST(Utf8, FindsTheFirstBadByte) {
  const std::vector<Invalid> cases = {
      {"\x80", 0},
      {"abc\xff", 3},
      {"abcdefgh\xff", 8},
      {"abcdefghi\xc3", 9},
      {"é\xc3", 2},
      {"\xe2\x82", 0},
      {"€\xe2\x82", 3},
      {"a\xe2\x82z", 1},
      {"\xf0\x9f\x98", 0},
      {"😀\xf0\x9f", 4},
      {"\xc0\x80", 0},
      {"\xe0\x80\x80", 0},
      {"\xed\xa0\x80", 0},
      {"\xf0\x80\x80\x80", 0},
      {"\xf4\x90\x80\x80", 0},
      {"\xf5\x80", 0},
      {"\0\0\x80"s, 2},
      {std::string(1000, 'x') + "\xfe", 1000},
      {"aaaaaaa\xc3\xa9\xa9", 9},
  };
  for (const Invalid& c : cases) EXPECT_EQ(find_invalid_utf8(c.bytes), c.offset) << c.bytes;
  EXPECT_EQ(find_invalid_utf8(""), kValidUtf8);
  // A view that ends inside a character must not look past its end.
  const std::string euro = "€";
  EXPECT_EQ(find_invalid_utf8(std::string_view(euro).substr(0, 2)), 0U);
}

TEST(Utf8, ErrorCountsFromTheBase) {
  EXPECT_TRUE(check_utf8("fine", 10));
  const auto status = check_utf8("ab\xff", 10);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kInvalidInput);
  EXPECT_EQ(*status.error().offset, 12U);
}

TEST(Utf8, InvalidBytesAreReplaced) {
  EXPECT_EQ(replace_invalid_utf8("plain"), "plain");
  EXPECT_EQ(replace_invalid_utf8("a\xff\xe2\x82z"), "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz");
  EXPECT_EQ(replace_invalid_utf8("\xe2\x82\xac\xe2"), "\xe2\x82\xac\xef\xbf\xbd");
}

}  // namespace
}  // namespace countermark
