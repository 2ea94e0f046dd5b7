// SPDX-License-Identifier: Apache-2.0
#include "watermark/json.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>

namespace countermark {
namespace {

using namespace std::string_literals;

JsonDocument parsed(std::string_view text) {
  auto document = JsonDocument::parse(text);
  EXPECT_TRUE(document) << document.error().describe();
  return document ? std::move(*document) : *JsonDocument::parse("null");
}

struct BadText {
  const char* name;
  std::string text;
  std::uint64_t offset;
  const char* field;

  friend void PrintTo(const BadText& value, std::ostream* out) { *out << value.name; }
};

class JsonRefuses : public testing::TestWithParam<BadText> {};

TEST_P(JsonRefuses, AtTheByte) {
  const auto document = JsonDocument::parse(GetParam().text);
  ASSERT_FALSE(document);
  EXPECT_EQ(document.error().code, ErrorCode::kInvalidInput);
  ASSERT_TRUE(document.error().offset);
  EXPECT_EQ(*document.error().offset, GetParam().offset) << document.error().describe();
  EXPECT_EQ(document.error().field, GetParam().field);
  EXPECT_FALSE(document.error().message.empty());
  EXPECT_EQ(document.error().message.find("parse_error"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    Texts, JsonRefuses,
    testing::Values(
        BadText{"Empty", "", 0, ""}, BadText{"OnlySpace", " \n", 2, ""},
        BadText{"TrailingBytes", "{} x", 3, ""}, BadText{"TrailingComma", "[1,]", 3, ""},
        BadText{"SecondValue", "1 2", 2, ""}, BadText{"Truncated", R"({"a": [1)", 8, ""},
        BadText{"TruncatedString", R"({"a": "xy)", 9, ""},
        BadText{"SingleQuote", "{'a': 1}", 1, ""}, BadText{"Comment", "[1] // one", 4, ""},
        BadText{"NotANumber", "[NaN]", 1, ""}, BadText{"ByteOrderMark", "\xef\xbb\xbf{}", 0, ""},
        BadText{"NulAfterTheValue", "{}\0"s, 2, ""}, BadText{"NulAndMore", "[1]\0garbage"s, 3, ""},
        BadText{"NulInside", "[1,\0 2]"s, 3, ""}, BadText{"NulInString", "\"a\0b\""s, 2, ""},
        BadText{"ControlInString", "\"a\nb\"", 2, ""}, BadText{"BadEscape", R"("a\x")", 3, ""},
        BadText{"LoneSurrogate", R"("\ud800")", 7, ""},
        BadText{"InvalidUtf8", "[\"a\xff\"]", 3, ""}, BadText{"Overlong", "[\"\xc0\xaf\"]", 2, ""},
        BadText{"EncodedSurrogate", "\"\xed\xa0\x80\"", 2, ""},
        BadText{"NumberTooLarge", "[1, 1e999]", 4, ""},
        BadText{"OnlyANumberTooLarge", "-1e999", 0, ""}, BadText{"LeadingZero", "[01]", 2, ""},
        BadText{"DuplicateKey", R"({"a": 1, "a": 2})", 9, "a"},
        BadText{"DuplicateEscapedKey", R"({"a\"b": 1, "\u0061\"b": 2})", 12, "a\"b"},
        BadText{"DuplicateBackslashKey", R"({"\\": 1, "\\": 2})", 10, "\\"},
        BadText{"DuplicateDeepKey", R"([{"k": {"a": {}, "a": 2}}])", 17, "a"}),
    [](const auto& bad) { return bad.param.name; });

TEST(Json, AcceptsTheSameKeyInDifferentObjects) {
  EXPECT_EQ(parsed(R"([{"a": {"a": 1}}, {"a": 2}])").root()[1]["a"], 2);
}

TEST(Json, BoundsNesting) {
  const auto nested = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  EXPECT_TRUE(JsonDocument::parse(nested(64)));
  const auto deep = JsonDocument::parse(nested(65));
  ASSERT_FALSE(deep);
  EXPECT_EQ(*deep.error().offset, 64U);
  // Neither time nor stack may grow with what comes after the bound.
  const auto very_deep = JsonDocument::parse(nested(1'000'000));
  ASSERT_FALSE(very_deep);
  EXPECT_EQ(very_deep.error().code, ErrorCode::kInvalidInput);
  std::string objects;
  for (int i = 0; i < 1'000'000; ++i) objects += "{\"a\":";
  EXPECT_FALSE(JsonDocument::parse(objects));
}

TEST(Json, LocatesValues) {
  const std::string text =
      R"( {"x" : "[\"{", "layers":[ {"share": 1}, {"share" :true, "a/b": 2}]})";
  const JsonDocument document = parsed(text);
  const auto offset = [&document](const std::string& pointer) {
    return *document.error_at(pointer, ErrorCode::kInvalidInput, "m").offset;
  };
  EXPECT_EQ(offset(""), 1U);
  EXPECT_EQ(offset("/x"), text.find("\"["));
  EXPECT_EQ(offset("/layers"), text.find("[ {"));
  EXPECT_EQ(offset("/layers/0"), text.find("{\"share\": 1"));
  EXPECT_EQ(offset("/layers/1/share"), text.find("true"));
  EXPECT_EQ(offset("/layers/1/a~1b"), text.find("2}"));
  EXPECT_EQ(offset("/layers/1/none"), text.find("{\"share\" :"));
  EXPECT_EQ(offset("/layers/7/none"), text.find("[ {"));
  EXPECT_EQ(offset("/x/y"), text.find("\"["));
  const Error error = document.error_at("/layers/1/a~1b", ErrorCode::kUnsupported, "m");
  EXPECT_EQ(error.field, "layers[1].a/b");
  EXPECT_EQ(error.code, ErrorCode::kUnsupported);
}

TEST(Json, TypedMembers) {
  const JsonDocument document = parsed(R"({"s": "é\u0000", "n": 7, "big": 18446744073709551615,
      "bigger": 18446744073709551616, "negative": -1, "real": 7.0, "null": null})");
  EXPECT_EQ(*document.string_at("/s"), "é\0"s);
  EXPECT_EQ(*document.unsigned_at("/n", 7, 7), 7U);
  EXPECT_EQ(*document.unsigned_at("/big", 0, UINT64_MAX), UINT64_MAX);
  for (const char* pointer : {"/bigger", "/negative", "/real", "/null", "/s", "/missing"}) {
    const auto value = document.unsigned_at(pointer, 0, UINT64_MAX);
    ASSERT_FALSE(value) << pointer;
    EXPECT_EQ(value.error().code, ErrorCode::kInvalidInput);
    EXPECT_EQ(value.error().field, pointer + 1);
  }
  EXPECT_FALSE(document.unsigned_at("/n", 8, 9));
  EXPECT_FALSE(document.unsigned_at("/n", 0, 6));
  EXPECT_EQ(document.unsigned_at("/n", 8, 9).error().message, "expected an integer from 8 to 9");
  EXPECT_EQ(document.string_at("/missing").error().message, "is missing");
  EXPECT_EQ(document.string_at("/n").error().message, "expected a string");
  EXPECT_EQ(document.string_at("/n/deeper").error().message, "is missing");
}

TEST(Json, OnlyMembers) {
  const std::string text = R"({"a": 1, "b": {"x/y": 2}})";
  const JsonDocument document = parsed(text);
  EXPECT_TRUE(document.only_members("", {"a", "b", "c"}));
  EXPECT_TRUE(document.only_members("/b", {"x/y"}));
  const auto unknown = document.only_members("/b", {"x"}, ErrorCode::kUnsupported);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().field, "b.x/y");
  EXPECT_EQ(unknown.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(*unknown.error().offset, text.find("2}"));
  EXPECT_EQ(document.only_members("/a", {}).error().message, "expected an object");
  EXPECT_EQ(document.only_members("/missing", {}).error().message, "expected an object");
}

TEST(Json, SkipsValues) {
  EXPECT_EQ(skip_json_value(R"({"a]": "}\""} ,)", 0), 13U);
  EXPECT_EQ(skip_json_value("12,3", 0), 2U);
  EXPECT_EQ(skip_json_value(R"("\\" x)", 0), 4U);
  EXPECT_EQ(skip_json_value("[1, 2", 0), std::string_view::npos);
  EXPECT_EQ(skip_json_value(R"("abc\")", 0), std::string_view::npos);
  EXPECT_EQ(skip_json_value(R"("abc\)", 0), std::string_view::npos);
  EXPECT_EQ(skip_json_value("]", 0), 0U);
  EXPECT_EQ(skip_json_value("", 0), 0U);
  EXPECT_EQ(skip_json_space(" \n\t\r1", 0), 4U);
  EXPECT_EQ(skip_json_space("  ", 0), 2U);
}

}  // namespace
}  // namespace countermark
