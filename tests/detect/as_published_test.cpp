// SPDX-License-Identifier: Apache-2.0
// The sources' own numbers against those of the slow references (tests/reference/foreign).
#include "verifier/detect/as_published.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/support/vectors.h"
#include "verifier/detect/foreign_detector.h"

namespace countermark::detect {
namespace {

using nlohmann::json;

struct Case {
  SharedForeignMark mark;
  ForeignKey key;
};

Case case_of(const std::string& profile, const std::string& key) {
  ForeignKey parsed = ForeignKey::parse(key).value();
  return {ForeignMark::create(ForeignProfile::parse(profile).value(), parsed).value(), parsed};
}

// To the twelve digits that the references give.
void expect_digits(double value, const json& given) {
  const double expected = given.get<double>();
  EXPECT_NEAR(value, expected, 1e-11 * std::abs(expected)) << given;
}

void expect_numbers(const AsPublished& numbers, const json& given) {
  EXPECT_EQ(numbers.scored, given.at("n"));
  if (given.at("statistic").is_number_integer())
    EXPECT_EQ(std::get<std::uint64_t>(numbers.statistic), given.at("statistic"));
  else
    expect_digits(std::get<double>(numbers.statistic), given.at("statistic"));
  EXPECT_EQ(numbers.weighted_mean.has_value(), given.contains("weighted"));
  if (numbers.weighted_mean) expect_digits(*numbers.weighted_mean, given.at("weighted"));
  EXPECT_EQ(numbers.z.has_value(), given.contains("z"));
  if (numbers.z) expect_digits(*numbers.z, given.at("z"));
  EXPECT_EQ(numbers.decision.has_value(), given.contains("decision"));
  if (numbers.decision) {
    EXPECT_EQ(*numbers.decision, given.at("decision"));
  }
  EXPECT_EQ(numbers.p.has_value(), given.contains("p"));
  if (!numbers.p) return;
  expect_digits(numbers.p->p, given.at("p"));
  EXPECT_NEAR(numbers.p->log10_p, std::log10(given.at("p").get<double>()), 1e-10);
}

TEST(AsPublished, ReproducesTheReferences) {
  const json vectors = tests::load_foreign_vectors("published");
  std::set<std::string_view> schemes;
  for (const json& given : vectors.at("cases")) {
    SCOPED_TRACE(given.at("name"));
    const auto [mark, key] = case_of(given.at("profile").dump(), given.at("key"));
    const std::vector<TokenId> prompt = given.at("prompt");
    const std::vector<TokenId> ids = vectors.at("sequences").at(given.at("sequence"));
    const TokenText text = {{prompt, false}, {ids, true}};
    const auto numbers = as_published(*mark, key, text);
    ASSERT_TRUE(numbers);
    EXPECT_EQ(numbers->by, mark->scheme().owner);
    expect_numbers(*numbers, given);
    if (prompt.empty()) {
      expect_numbers(as_published(*mark, key, {{ids, true}}).value(), given);
    }
    schemes.insert(mark->scheme().id);
  }
  // All but text-generation-inference, which has no detector.
  EXPECT_EQ(schemes.size() + 1, foreign_schemes().size());
}

TEST(AsPublished, TextSealPrintsNothingSmallerThanItsFloor) {
  const auto [mark, key] = case_of(R"({"scheme":"textseal/1","prf":"greenlist"})", "int:42");
  // Each token green behind the one before it, and new: p would be 2^-800.
  std::vector<TokenId> ids = {0, 1};
  for (TokenId next = 2; ids.size() < 802; ++next) {
    PrfInput input;
    std::uint64_t green = 0;
    mark->inputs(0, {&ids.back(), 1}, {&next, 1}, {&input, 1});
    mark->raw_values(0, {&input, 1}, {&green, 1});
    if (green == 1) ids.push_back(next);
  }
  const auto numbers = as_published(*mark, key, {{ids, true}});
  ASSERT_TRUE(numbers && numbers->p);
  EXPECT_EQ(std::get<std::uint64_t>(numbers->statistic), 800U);
  EXPECT_EQ(numbers->p->p, 1e-200);
  EXPECT_NEAR(numbers->p->log10_p, -200, 1e-12);
}

TEST(AsPublished, IsAbsentWhereTheSourceSaysNothing) {
  const std::vector<TokenId> ids = {1, 2, 3, 4, 5, 6, 7, 8};
  const auto [tgi, tgi_key] = case_of(R"({"scheme":"tgi-kgw/1","vocabSize":100})", "int:1");
  EXPECT_FALSE(as_published(*tgi, tgi_key, {{ids, true}}));
  const auto [mark, key] = case_of(R"({"scheme":"hf-kgw/1","vocabSize":100})", "int:1");
  EXPECT_TRUE(as_published(*mark, key, {{ids, true}}));
  EXPECT_FALSE(as_published(*mark, key, {}));
  EXPECT_FALSE(as_published(*mark, key, {{ids, false}}));
  EXPECT_FALSE(as_published(*mark, key, {{{7}, true}}));               // no token behind a context
  EXPECT_FALSE(as_published(*mark, key, {{ids, true}, {ids, true}}));  // which response?
}

// SynthID's queue begins with zeros and forgets: a context counts again once it has left.
TEST(AsPublished, SynthIdForgets) {
  std::vector<TokenId> ids;
  for (TokenId id = 0; id < 12; ++id) ids.push_back(id);
  ids.insert(ids.end(), ids.begin(), ids.end());
  const std::string profile = R"({"scheme":"hf-synthid/1","contextWidth":2,"depth":2)";
  for (const auto& [limit, scored] : {std::pair{"12", 12U}, {"11", 22U}, {"1024", 12U}}) {
    const auto [mark, key] = case_of(profile + R"(,"historyLimit":)" + limit + "}", "ints:654,400");
    EXPECT_EQ(as_published(*mark, key, {{ids, true}})->scored, scored) << limit;
  }
}

TEST(AsPublished, StandsBesideTheVerdictOnlyWhenAskedFor) {
  const auto profile = ForeignProfile::parse(R"({"scheme":"hf-kgw/1","vocabSize":100})").value();
  const ForeignKey key = ForeignKey::parse("int:15485863").value();
  std::vector<TokenId> ids;
  for (TokenId id = 0; id < 60; ++id) ids.push_back(id * 7 % 100);
  const auto detect = [&](bool as_published) {
    return ForeignDetector::create(key, profile, {}, 0, {}, as_published)->detect({{ids, true}});
  };
  EXPECT_FALSE(detect(false)->as_published);
  const Detection with = detect(true).value();
  ASSERT_TRUE(with.as_published);
  EXPECT_EQ(with.as_published->scored, 59U);
  EXPECT_EQ(with.verdict, detect(false)->verdict);
  EXPECT_EQ(with.evidence.p, detect(false)->evidence.p);
}

}  // namespace
}  // namespace countermark::detect
