// SPDX-License-Identifier: Apache-2.0
// The heat map: hostile text stays text, and every score is where its token is.
#include "verifier/render/heat_map.h"

#include <gtest/gtest.h>

#include <string>

namespace countermark::render {
namespace {

HeatMap map_of(std::vector<HeatToken> tokens) {
  HeatMap out;
  out.title = "a.txt";
  out.tokens = std::move(tokens);
  return out;
}

TEST(HeatMap, HostileTextStaysText) {
  const std::string hostile = "</div><script>alert(1)</script>\"' onclick=\u202e\x01\xff";
  HeatMap map = map_of({{hostile, HeatToken::Score{1, .4}, false},
                        {hostile, std::nullopt, false},
                        {hostile, std::nullopt, true}});
  map.title = hostile;
  map.facts = {{hostile, hostile}};
  map.notes = {hostile};
  map.spans = {{0, 1, hostile}};
  const std::string html = to_html(map);
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find("\u202e"), std::string::npos);
  EXPECT_EQ(html.find('\x01'), std::string::npos);
  EXPECT_EQ(html.find('\xff'), std::string::npos);
  EXPECT_NE(html.find("default-src 'none'"), std::string::npos);
}

TEST(HeatMap, ATokenHasTheClassOfItsP) {
  const auto html_of = [](double p) {
    return to_html(map_of({{"word", HeatToken::Score{2.5, p}, false}}));
  };
  EXPECT_NE(html_of(0.7).find("t h0\" data-s=\"token 0: score 2.5, p 0.7\">word<"),
            std::string::npos);
  EXPECT_NE(html_of(0.5).find("t h1\""), std::string::npos);
  EXPECT_NE(html_of(0.03).find("t h4\""), std::string::npos);
  EXPECT_NE(html_of(1e-9).find("t h6\" data-s=\"token 0: score 2.5, p 1e-09\""), std::string::npos);
}

TEST(HeatMap, SpansEncloseTheirTokens) {
  HeatMap map = map_of({{"a", std::nullopt, true},
                        {"b", std::nullopt, false},
                        {"c", std::nullopt, false},
                        {"d", std::nullopt, false}});
  map.spans = {{1, 3, "p 1.00e-9 or less"}};
  const std::string html = to_html(map);
  const std::size_t begin = html.find("<mark title");
  const std::size_t end = html.find("</mark>");
  const std::string inside = html.substr(begin, end - begin);
  EXPECT_NE(html.find("<span class=\"prompt\">a</span>"), std::string::npos);
  EXPECT_NE(inside.find(">b<"), std::string::npos);
  EXPECT_NE(inside.find(">c<"), std::string::npos);
  EXPECT_EQ(inside.find(">d<"), std::string::npos);
}

TEST(HeatMap, TheLegendCountsTokens) {
  const std::string html = to_html(map_of({{"a", HeatToken::Score{1, .4}, false},
                                           {"b", HeatToken::Score{3, .04}, false},
                                           {"c", std::nullopt, false}}));
  EXPECT_NE(html.find(".5 or less</td><td>2</td><td>100 %</td><td>50 % at most"),
            std::string::npos);
  EXPECT_NE(html.find(".05 or less</td><td>1</td><td>50 %</td><td>5 % at most"), std::string::npos);
}

}  // namespace
}  // namespace countermark::render
