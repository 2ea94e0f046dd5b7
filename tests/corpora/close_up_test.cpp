// SPDX-License-Identifier: Apache-2.0
// A document token by token, by the embedded tokenizer: where each score stands.
#include "verifier/scan/close_up.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>

#include "watermark/prf/hash.h"

namespace countermark::scan {
namespace {

const std::string kTokenizer =
    std::string(COUNTERMARK_SOURCE_DIR) + "/corpora/model/tokenizer.json";

struct CloseUp : testing::Test {
  void SetUp() override {
    auto loaded = text::load_tokenizer(kTokenizer);
    ASSERT_TRUE(loaded) << loaded.error().describe();
    tokenizer = std::move(*loaded);
    const EpochKey key =
        EpochKey::create(Secret<32>(sha256("k")), "model", "epoch")->decoy(as_bytes("k"), 0);
    test = std::move(*make_test(key, Profile::defaults(), {}, {}));
  }

  static text::Document document_of(const std::string& prompt, const std::string& answer) {
    text::Document out;
    out.id = "a";
    out.segments = {{prompt, {}, false, false}, {answer, {}, false, true}};
    return out;
  }

  std::unique_ptr<const text::Tokenizer> tokenizer;
  std::unique_ptr<const scan::Test> test;
};

TEST_F(CloseUp, TokensGiveBackTheText) {
  const std::string answer = "The server \U0001f600 \u4f60\u597d <b>  said.\n";
  const auto map = close_up(document_of("Say:", answer), *tokenizer, *test, {});
  ASSERT_TRUE(map) << map.error().describe();
  std::string prompt;
  std::string rest;
  for (const render::HeatToken& token : map->tokens) {
    (token.prompt ? prompt : rest) += token.text;
    // Cut at whole characters.
    EXPECT_TRUE(token.text.empty() || (static_cast<unsigned char>(token.text[0]) & 0xc0U) != 0x80);
    EXPECT_FALSE(token.prompt && token.score);
  }
  EXPECT_EQ(prompt, "Say:");
  EXPECT_EQ(rest, answer);
  EXPECT_TRUE(map->notes.empty());
}

TEST_F(CloseUp, EveryScoreOfTheSumIsShown) {
  const text::Document document = document_of(
      "Go on.", "If the input is closed, the server sends the connection to the next client.");
  const auto map = close_up(document, *tokenizer, *test, {});
  ASSERT_TRUE(map);
  std::vector<Sheet> sheets;
  const auto tokens = detect::tokenize(document, tokenizer.get());
  ASSERT_TRUE(test->scorer()->score(*tokens, sheets));
  double sum = 0;
  std::size_t scored = 0;
  for (const render::HeatToken& token : map->tokens) {
    if (!token.score) continue;
    ++scored;
    sum += token.score->value;
    EXPECT_NEAR(token.score->p, std::exp(-token.score->value), 1e-9);
  }
  EXPECT_EQ(scored, sheets[0].scores[0].size());
  EXPECT_GT(scored, 5U);
  EXPECT_DOUBLE_EQ(sum, static_cast<double>(sheets[0].tally(0).sum) * 0x1p-20);
}

TEST_F(CloseUp, AGreenTokenHasTheShareOfGreenOnes) {
  const auto profile = ForeignProfile::parse(R"({"scheme":"hf-kgw/1","vocabSize":4096})");
  ASSERT_TRUE(profile) << profile.error().describe();
  const auto key = ForeignKey::parse("int:15485863\n");
  ASSERT_TRUE(key) << key.error().describe();
  const auto green = make_test(*key, *profile, {});
  ASSERT_TRUE(green) << green.error().describe();
  const auto map = close_up(
      document_of("", "If the input is closed, the server sends the connection to the next one."),
      *tokenizer, **green, {});
  ASSERT_TRUE(map);
  for (const render::HeatToken& token : map->tokens) {
    if (!token.score) continue;
    EXPECT_TRUE(token.score->value == 0 || token.score->value == 1);
    EXPECT_DOUBLE_EQ(token.score->p, token.score->value == 1 ? 0.25 : 1);
  }
}

TEST_F(CloseUp, TokenBytesAreThoseOfAll) {
  const auto ids = tokenizer->encode("a  b\u00e9\U0001f600\n\n x");
  const auto bytes = token_bytes(*tokenizer, *ids);
  ASSERT_TRUE(bytes);
  std::string whole;
  for (const std::string& one : *bytes) whole += one;
  EXPECT_EQ(whole, *tokenizer->decode(*ids));
  EXPECT_EQ(bytes->size(), ids->size());
}

}  // namespace
}  // namespace countermark::scan
