// SPDX-License-Identifier: Apache-2.0
// Pictures: the same numbers give the same bytes, and nothing in them leaves its place.
#include "verifier/render/chart.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "verifier/render/markup.h"

namespace countermark::render {
namespace {

TEST(Markup, EscapesWhatHasAMeaning) {
  EXPECT_EQ(escaped("a<b>&\"c'"), "a&lt;b&gt;&amp;&quot;c&#39;");
  EXPECT_EQ(escaped("\u00e4\U0001f600\n\t"), "\u00e4\U0001f600\n\t");
}

TEST(Markup, ReplacesWhatIsNoText) {
  EXPECT_EQ(escaped(std::string_view("\0\x1b\x7f", 3)), "\ufffd\ufffd\ufffd");
  EXPECT_EQ(escaped("\xff"
                    "a\xc3"),
            "\ufffd"
            "a\ufffd");
  // An overlong '<', half of a surrogate pair, a code beyond Unicode.
  for (const char* bytes : {"\xc0\xbc", "\xed\xa0\x80", "\xf4\x90\x80\x80"})
    EXPECT_EQ(escaped(bytes).find('<'), std::string::npos) << bytes;
  EXPECT_EQ(escaped("\xed\xa0\x80"), "\ufffd\ufffd\ufffd");
  EXPECT_EQ(escaped("\xef\xbf\xbf"), "\ufffd");
}

TEST(Markup, SpellsOutWhatTurnsTheText) {
  EXPECT_EQ(escaped_visibly("a\u202eb"),
            "a\u2039U+202E\u203a"
            "b");
  EXPECT_EQ(escaped_visibly(std::string_view("\0", 1)), "\u2039U+0000\u203a");
  EXPECT_EQ(escaped_visibly("<\u05d0\n"), "&lt;\u05d0\n");
}

TEST(Markup, NumbersHaveOneForm) {
  EXPECT_EQ(number(3.5, 2), "3.5");
  EXPECT_EQ(number(100, 0), "100");
  EXPECT_EQ(number(-0.001, 2), "0");
  EXPECT_EQ(number(2.345678, 3), "2.346");
}

TEST(Chart, AxesEndAtRoundNumbers) {
  EXPECT_EQ(axis_end(0), 1);
  EXPECT_EQ(axis_end(7), 8);
  EXPECT_EQ(axis_end(10), 10);
  EXPECT_EQ(axis_end(11), 15);
  EXPECT_EQ(axis_end(850), 1000);
  EXPECT_DOUBLE_EQ(axis_end(0.3), 0.3);
}

std::vector<Picture> all_of(const std::string& text) {
  const Frame frame{text, text, {text, 0, 10}, {text, -3, 0, true}};
  const std::vector<std::uint64_t> counts{1, 2, 3};
  const std::vector<Point> points{{1, -1}, {200, -2}, {3, -9}};
  const std::vector<Series> series{{text, points}, {text, points, true}};
  const std::vector<double> decoys{1, 2, 3, 50};
  return {histogram({text, text, {text, 0, 1}, {text, 0, 5}}, counts, {2, 1, 3}),
          lines(frame, series), dots(frame, points, -1.5, text), strip(frame, decoys, 9)};
}

TEST(Chart, TextIsEscapedWhereverItStands) {
  const std::string svg = to_svg(all_of("<script>&\"'"));
  EXPECT_EQ(svg.find("<script"), std::string::npos);
  EXPECT_EQ(svg.find("&\""), std::string::npos);
  EXPECT_NE(svg.find("&lt;script&gt;&amp;&quot;&#39;"), std::string::npos);
}

TEST(Chart, TheSameNumbersGiveTheSameBytes) { EXPECT_EQ(to_svg(all_of("a")), to_svg(all_of("a"))); }

TEST(Chart, ValuesBeyondAnAxisAreDrawnAtItsEnd) {
  const Frame frame{"", "", {"", 0, 10}, {"", 0, 1}};
  const std::vector<Point> inside{{10, 1}};
  const std::vector<Point> outside{{1e9, 7}};
  EXPECT_EQ(dots(frame, inside, 0, "").body, dots(frame, outside, 0, "").body);
}

TEST(Chart, BarsStandOnTheAxisAndAreAsHighAsTheirCounts) {
  const Frame frame{"", "", {"", 0, 1}, {"", 0, 10}};
  const std::vector<std::uint64_t> counts{10, 5, 0};
  const std::string body = histogram(frame, counts, {5, 4, 6}).body;
  // 190 pixels stand for 10.
  EXPECT_NE(body.find("y=\"58\" width=\"183\" height=\"190\""), std::string::npos) << body;
  EXPECT_NE(body.find("y=\"153\" width=\"183\" height=\"95\""), std::string::npos) << body;
}

TEST(Chart, PicturesStandBelowEachOther) {
  const std::vector<Picture> pictures = all_of("a");
  const std::string svg = to_svg(pictures);
  EXPECT_NE(svg.find("height=\"1070\""), std::string::npos);
  EXPECT_NE(svg.find("translate(0 900)"), std::string::npos);
}

}  // namespace
}  // namespace countermark::render
