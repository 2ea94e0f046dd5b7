// SPDX-License-Identifier: Apache-2.0
// Freedom from distortion: over random keys, texts follow the law of the model's distribution,
// token by token and jointly. Texts that are not drawn one token after the other:
// speculation_laws_test.cpp, redraw_laws_test.cpp; laws of the null: null_laws_test.cpp.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/support/laws.h"
#include "watermark/sampler.h"

namespace countermark::tests {
namespace {

// A distribution that does not depend on the context, so that joint laws are products.
const std::vector<double> kThree = {0.5, 0.3, 0.2};

// Five tokens under a width of 1 with three ids: at most three draws are marked, the others stand
// at repeated contexts.
Writer five_tokens(Engine& engine, std::size_t max_contexts) {
  return [&engine, max_contexts, profile = one_layer(1)](SplitMix64& random) {
    const NativeMark mark = make_mark(random.epoch_key(), profile);
    Response response(mark, {}, "nonce", random.secret<16>(), 6, max_contexts);
    response.commit(1);
    while (response.tokens().size() < 6) response.commit(engine.draw(response).token);
    return text_after(response, 1);
  };
}

TEST(Laws, OneTokenMarked) {
  const std::vector<double> skewed = {0.4, 0.25, 0.2, 0.1, 0.04, 0.009, 0.001};
  const Profile profile = one_layer(1);
  Engine engine(skewed);
  expect_law({skewed, 1}, 100'000, 1, [&](SplitMix64& random) {
    const NativeMark mark = make_mark(random.epoch_key(), profile);
    Response response(mark, {}, "nonce", Secret<16>(), 2);
    response.commit(9);
    const Draw draw = engine.draw(response);
    EXPECT_EQ(draw.kind, DrawKind::kMarked);
    return std::vector<TokenId>{draw.token};
  });
}

TEST(Laws, OneTokenMarkedOfManyEqualOnes) {
  const std::vector<double> equal(100, 0.01);
  Engine engine(equal);
  const Profile profile = one_layer(1);
  expect_law({equal, 1}, 50'000, 2, [&](SplitMix64& random) {
    const NativeMark mark = make_mark(random.epoch_key(), profile);
    Response response(mark, {}, "nonce", Secret<16>(), 2);
    response.commit(9);
    return std::vector<TokenId>{engine.draw(response).token};
  });
}

// Over the plain key alone, at several positions of one response.
TEST(Laws, PlainTokensOverThePlainKey) {
  const NativeMark mark = make_mark(SplitMix64(3).epoch_key(), one_layer(1, LayerKind::kAccount));
  Engine engine(kThree);
  for (const bool is_redraw : {false, true}) {
    expect_law({kThree, 5}, 100'000, 4, [&](SplitMix64& random) {
      Response response(mark, {}, "nonce", random.secret<16>(), 5);
      while (response.tokens().size() < 5) {
        const Draw draw = engine.draw(response, is_redraw ? 1 : 0);
        EXPECT_TRUE(draw.kind == DrawKind::kNoIdentity || draw.kind == DrawKind::kShortContext ||
                    draw.kind == DrawKind::kRedraw || draw.kind == DrawKind::kRepeated);
        response.commit(draw.token);
      }
      return text_after(response, 0);
    });
  }
}

TEST(Laws, TextsWithRepeatedContexts) {
  Engine engine(kThree);
  expect_law({kThree, 5}, 100'000, 5, five_tokens(engine, 6));
}

TEST(Laws, TextsWithAHistoryThatFillsUp) {
  Engine engine(kThree);
  expect_law({kThree, 5}, 100'000, 6, five_tokens(engine, 1));
  expect_law({kThree, 5}, 100'000, 7, five_tokens(engine, 2));
}

// One text under the defaults' widths, long enough that the layers alternate.
TEST(Laws, TheEndOfALongerText) {
  const Identity identity{"cohort", "account"};
  const Profile profile = Profile::defaults();
  const std::vector<double> coin = {0.6, 0.4};
  Engine engine(coin);
  expect_law({coin, 8}, 60'000, 8, [&](SplitMix64& random) {
    const NativeMark mark = make_mark(random.epoch_key(), profile);
    Response response(mark, identity, "nonce", random.secret<16>(), 14);
    while (response.tokens().size() < 14) response.commit(engine.draw(response).token);
    return text_after(response, 6);
  });
}

// Three accounts, and two slots of one of them: the first token of each, drawn at the same context,
// is independent of the others. (The slots of two nonces are the same in 1 of 65,536 trials.)
TEST(Laws, StreamsAreIndependent) {
  const Profile profile = one_layer(1, LayerKind::kAccount, 65'536);
  Engine engine(kThree);
  expect_law({kThree, 4}, 60'000, 11, [&](SplitMix64& random) {
    const NativeMark mark = make_mark(random.epoch_key(), profile);
    std::vector<TokenId> out;
    for (const auto& [account, nonce] :
         {std::pair{"a", "1"}, std::pair{"b", "1"}, std::pair{"a", "2"}, std::pair{"ab", "1"}}) {
      Response response(mark, {"", account}, nonce, Secret<16>(), 2);
      response.commit(9);
      const Draw draw = engine.draw(response);
      EXPECT_EQ(draw.kind, DrawKind::kMarked);
      out.push_back(draw.token);
    }
    return out;
  });
}

// A second channel starts its contexts anew, and many of them are repeated ones.
TEST(Laws, TextsInTwoChannels) {
  Engine engine(kThree);
  const Profile profile = one_layer(1);
  expect_law({kThree, 5}, 100'000, 13, [&](SplitMix64& random) {
    const NativeMark mark = make_mark(random.epoch_key(), profile);
    Response response(mark, {}, "nonce", random.secret<16>(), 5);
    while (response.tokens().size() < 5) {
      if (response.tokens().size() == 2) response.start_channel();
      response.commit(engine.draw(response).token);
    }
    return text_after(response, 0);
  });
}

// A decoder that forgets which contexts it has used repeats its choices.
TEST(Laws, AHistoryThatForgetsIsFoundOut) {
  Engine engine(kThree);
  const Profile profile = one_layer(1);
  expect_other_law({kThree, 3}, 5'000, 14, [&](SplitMix64& random) {
    const NativeMark mark = make_mark(random.epoch_key(), profile);
    const Secret<16> plain_key = random.secret<16>();
    std::vector<TokenId> text = {1};
    while (text.size() < 4) {
      Response response(mark, {}, "nonce", plain_key, 1);
      response.commit(text.back());
      text.push_back(engine.draw(response).token);
    }
    return std::vector<TokenId>(text.begin() + 1, text.end());
  });
}

// Two of n alternatives for one account: new contexts are marked, in slots of their own, and
// repeated ones are drawn with the plain key. (In a layer of one slot both copies would choose
// alike.)
Writer two_copies(Engine& engine, bool share_plain_key) {
  return [&engine, share_plain_key,
          profile = one_layer(1, LayerKind::kAccount, 65'536)](SplitMix64& random) {
    const NativeMark mark = make_mark(random.epoch_key(), profile);
    const Secret<16> plain_key = random.secret<16>();
    std::vector<TokenId> out;
    for (const char* nonce : {"1", "2"}) {
      Response response(mark, {"", "account"}, nonce,
                        share_plain_key ? plain_key : random.secret<16>(), 4);
      response.commit(0);
      while (response.tokens().size() < 4) response.commit(engine.draw(response).token);
      for (const TokenId token : response.tokens().last(3)) out.push_back(token);
    }
    return out;
  };
}

TEST(Laws, CopiesAreIndependent) {
  const std::vector<double> coin = {0.6, 0.4};
  Engine engine(coin);
  expect_law({coin, 6}, 40'000, 15, two_copies(engine, false));
}

TEST(Laws, CopiesThatShareAPlainKeyAreFoundOut) {
  const std::vector<double> coin = {0.6, 0.4};
  Engine engine(coin);
  expect_other_law({coin, 6}, 10'000, 15, two_copies(engine, true));
}

// The drawn token's word is the largest of k uniform ones, so its exponential is the largest of
// k: of mean 1 + 1/2 + … + 1/k and variance 1 + 1/4 + … + 1/k^2.
TEST(Laws, MarkedDrawsOfEqualTokensScoreTheHarmonicNumber) {
  const StatTest test{1e-6, 4};
  constexpr int kTrials = 40'000;
  const Profile profile = one_layer(2);
  SplitMix64 random(12);
  for (const std::size_t k : {2u, 3u, 16u, 100u}) {
    double mean = 0, variance = 0;
    for (std::size_t i = 1; i <= k; ++i) {
      mean += 1 / static_cast<double>(i);
      variance += 1 / static_cast<double>(i * i);
    }
    Engine engine(std::vector<double>(k, 1 / static_cast<double>(k)));
    double sum = 0;
    for (int trial = 0; trial < kTrials; ++trial) {
      const NativeMark mark = make_mark(random.epoch_key(), profile);
      Response response(mark, {}, "nonce", Secret<16>(), 3);
      response.commit(1);
      response.commit(2);
      const std::array<TokenId, 1> token{engine.draw(response).token};
      std::array<std::uint32_t, 1> word{};
      mark.words(mark.route(response.tokens()).value(), *response.tag(0), token, word);
      sum += exponential_score(word[0]);
    }
    // A score lies at most 6.17 units of 2^-20 below its exponential.
    EXPECT_NEAR(sum * 0x1p-20 / kTrials, mean,
                test.normal() * std::sqrt(variance / kTrials) + 6.17 * 0x1p-20)
        << k;
  }
}

}  // namespace
}  // namespace countermark::tests
