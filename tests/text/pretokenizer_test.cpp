// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/pretokenizer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "verifier/text/named_pretokenizers.h"
#include "verifier/text/pattern.h"
#include "verifier/text/unicode_text.h"

namespace countermark::text {
namespace {

using Strings = std::vector<std::string>;

Strings cut(const Pretokenizer& pretokenizer, std::string_view text) {
  Strings found;
  Pieces pieces(pretokenizer, text);
  for (;;) {
    const auto piece = pieces.next();
    EXPECT_TRUE(piece) << piece.error().describe();
    if (!piece || piece->empty()) return found;
    found.emplace_back(*piece);
  }
}

Strings named(std::string_view name, std::string_view text) {
  const auto pretokenizer = named_pretokenizer(name);
  EXPECT_TRUE(pretokenizer) << pretokenizer.error().describe();
  return pretokenizer ? cut(pretokenizer->pretokenizer, text) : Strings();
}

Strings by_pattern(std::string_view pattern, std::string_view text,
                   Cut::Keep keep = Cut::Keep::kAll) {
  const auto rewritten = pcre2_pattern(pattern);
  EXPECT_TRUE(rewritten) << rewritten.error().describe();
  const auto pretokenizer = Pretokenizer::create({{*rewritten, keep}});
  EXPECT_TRUE(pretokenizer) << pretokenizer.error().describe();
  return pretokenizer ? cut(*pretokenizer, text) : Strings();
}

TEST(NamedPretokenizers, CutAsTheirFamilies) {
  const std::string text = "I'VE 1234 \u00e9t\u00e9\n\n x!\n";
  EXPECT_EQ(named("gpt-2", text),
            (Strings{"I", "'", "VE", " 1234", " \u00e9t\u00e9", "\n\n", " x", "!", "\n"}));
  EXPECT_EQ(named("llama-bpe", text),
            (Strings{"I", "'VE", " ", "123", "4", " \u00e9t\u00e9", "\n\n", " x", "!\n"}));
  EXPECT_EQ(named("qwen2", text),
            (Strings{"I", "'VE", " ", "1", "2", "3", "4", " \u00e9t\u00e9", "\n\n", " x", "!\n"}));
  EXPECT_EQ(named("cl100k_base", "a\n b\n  "), (Strings{"a", "\n", " b", "\n  "}));
  EXPECT_EQ(named("llama-bpe", "a\n b\n  "), (Strings{"a", "\n", " b", "\n", "  "}));
  EXPECT_EQ(named("gpt-4o", "HTTPServer'S x/\n/ 12345"),
            (Strings{"HTTPServer'S", " x", "/\n/", " ", "123", "45"}));
  EXPECT_EQ(named("starcoder", "a12 34 b"), (Strings{"a", "1", "2", " ", "3", "4", " b"}));
  EXPECT_EQ(named("falcon", "x12345 (y).\u00bd"),
            (Strings{"x", "123", "45", " ", "(", "y", ").", "\xc2", "\xbd"}));
  EXPECT_EQ(named("deepseek-llm", "Ab 12\n \u4f60\u597d,x  "),
            (Strings{"Ab", " ", "12", "\n", " ", "\u4f60\u597d", ",", "x", "  "}));
  EXPECT_EQ(named("deepseek-coder", "a 12.b"), (Strings{"a", " ", "1", "2", ".", "b"}));
  EXPECT_EQ(named("deepseek-v3", "f(x)=12345\u3042a"),
            (Strings{"f", "(x", ")=", "123", "45", "\u3042", "a"}));
  EXPECT_TRUE(named_pretokenizer("llama3")->whole_pieces);
  EXPECT_FALSE(named_pretokenizer("dbrx")->whole_pieces);
}

TEST(NamedPretokenizers, KnowUnicode16AndTheLongS) {
  // U+11F02, a letter, U+11F50, a digit, U+16D43: all younger than PCRE2's tables; U+017F folds.
  EXPECT_EQ(named("llama-bpe", "a\U00011f02\U00016d43\U00011f50'\u017f!"),
            (Strings{"a\U00011f02\U00016d43", "\U00011f50", "'\u017f", "!"}));
  EXPECT_EQ(named("gpt-4o", "\ua7cb\ua7cd"), (Strings{"\ua7cb\ua7cd"}));
  EXPECT_EQ(named("gpt-4o", "\ua7cd\ua7cb"), (Strings{"\ua7cd", "\ua7cb"}));
  // U+180E is no white space.
  EXPECT_EQ(named("llama-bpe", "\u3000\u180e"), (Strings{"\u3000", "\u180e"}));
}

TEST(Patterns, KeepWhatTheCutSays) {
  EXPECT_EQ(by_pattern(" ", "a b"), (Strings{"a", " ", "b"}));
  EXPECT_EQ(by_pattern(" ", " a  b", Cut::Keep::kGaps), (Strings{"a", "b"}));
  EXPECT_EQ(by_pattern(" ", "a b", Cut::Keep::kMatches), (Strings{" "}));
  EXPECT_EQ(by_pattern(" ", "", Cut::Keep::kAll), Strings());
  EXPECT_EQ(by_pattern(literal_pattern("(.)"), "a(.)b(x)"), (Strings{"a", "(.)", "b(x)"}));
}

TEST(Patterns, LongMatchesNeedNoStack) {
  const std::string text(1'000'000, 'a');
  EXPECT_EQ(by_pattern("(?:a|b|cd)+", text), (Strings{text}));
}

TEST(Patterns, DollarEndsALine) {
  EXPECT_EQ(by_pattern(R"(\s+$)", "a  \nb \n \n"), (Strings{"a", "  ", "\nb", " \n \n"}));
  EXPECT_EQ(by_pattern(R"(\s+$)", "a \r\n b"), (Strings{"a", " \r", "\n b"}));
  EXPECT_EQ(by_pattern(R"(b\s++$)", "b \nb "), (Strings{"b \n", "b "}));
}

TEST(Patterns, WhatIsNotKnownIsNamed) {
  for (const auto& [pattern, part] :
       std::vector<std::pair<const char*, const char*>>{{R"(a\b)", R"('\b')"},
                                                        {R"(\w+)", R"('\w')"},
                                                        {R"(\p{Greek})", R"('\p{Greek}')"},
                                                        {R"(\p{L)", R"('\p{L')"},
                                                        {R"([^\S])", R"('\S')"},
                                                        {"[a[b]]", "'[b'"},
                                                        {"[a&&b]", "'&&'"},
                                                        {"[]a]", "']'"},
                                                        {"[ab", "lacks"},
                                                        {"^a", "'^a'"},
                                                        {"a.b", "'.b'"},
                                                        {"(?<=a)b", "'(?<'"},
                                                        {"(?i:ss)", "'(?i'"},
                                                        {"a{1,3}+", "'{1,3}+'"},
                                                        {"a{2}?", "'{2}?'"},
                                                        {"a{,3}", "'{,3}"},
                                                        {R"(a\)", R"('\')"}}) {
    const auto rewritten = pcre2_pattern(pattern);
    ASSERT_FALSE(rewritten) << pattern;
    EXPECT_EQ(rewritten.error().code, ErrorCode::kUnsupported);
    EXPECT_NE(rewritten.error().message.find(part), std::string::npos) << rewritten.error().message;
  }
  EXPECT_FALSE(Pretokenizer::create({{"a*"}}));
  EXPECT_FALSE(Pretokenizer::create({{"(a"}}));
}

TEST(UnicodeText, ComposesToFormC) {
  EXPECT_EQ(to_nfc("e\u0301"), "\u00e9");
  EXPECT_EQ(to_nfc("\u212b \u1100\u1161\u11a8"), "\u00c5 \uac01");
  EXPECT_EQ(to_nfc("a\u0301\u0323"), "\u1ea1\u0301");
  EXPECT_EQ(to_nfc("\ufb01 \u0958"), "\ufb01 \u0915\u093c");  // no compatibility; an exclusion
  EXPECT_EQ(to_nfc("plain"), "plain");
  // Marks out of order, a million of them: sorting by exchange would take hours.
  std::string marks = "a";
  for (int i = 0; i < 500'000; ++i) marks += "\u0301";
  for (int i = 0; i < 500'000; ++i) marks += "\u0323";
  EXPECT_TRUE(to_nfc(marks).starts_with("\u1ea1\u0323"));
}

}  // namespace
}  // namespace countermark::text
