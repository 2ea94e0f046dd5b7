// SPDX-License-Identifier: Apache-2.0
// Freedom from distortion: over random keys, texts follow the law of the model's distribution,
// token by token and jointly, however they were drawn. Laws of the null: null_laws_test.cpp.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "tests/support/random.h"
#include "tests/support/stat_test.h"
#include "tests/support/toy_engine.h"
#include "watermark/sampler.h"

namespace countermark::tests {
namespace {

// A distribution that does not depend on the context, so that joint laws are products.
const std::vector<double> kThree = {0.5, 0.3, 0.2};

std::vector<float> logits_of(const std::vector<double>& probabilities) {
  std::vector<float> out;
  for (const double p : probabilities) out.push_back(static_cast<float>(std::log(p)));
  return out;
}

// Draws from `probabilities` of the ids 0, 1, … .
struct Engine {
  explicit Engine(const std::vector<double>& probabilities) : logits(logits_of(probabilities)) {}

  Draw draw(const Response& response, std::uint32_t attempt = 0) {
    return sample({logits}, {}, response, {}, attempt, workspace).value();
  }

  std::vector<float> logits;
  SamplerWorkspace workspace{};
};

// The probabilities of all sequences of `length` independent tokens, in the order of `index`.
std::vector<double> product_law(const std::vector<double>& token, std::size_t length) {
  std::vector<double> out = {1};
  for (std::size_t i = 0; i < length; ++i) {
    std::vector<double> longer;
    for (const double head : out)
      for (const double tail : token) longer.push_back(head * tail);
    out = std::move(longer);
  }
  return out;
}

std::size_t index(TokenSpan sequence, std::size_t vocab_size) {
  std::size_t out = 0;
  for (const TokenId token : sequence) out = out * vocab_size + token;
  return out;
}

// Runs `write`, which returns a sequence of `length` tokens, under `trials` random keys and plain
// keys, and tests the joint law of the sequence. Every cell is expected 30 times at least, where
// the chi-square law of the statistic is close enough for tolerances of 1e-6.
using Writer = std::function<std::vector<TokenId>(SplitMix64&, Engine&)>;
void expect_joint_law(const std::vector<double>& token, std::size_t length, int trials,
                      std::uint64_t seed, const Writer& write) {
  const StatTest test{1e-6, 1};
  const std::vector<double> cells = product_law(token, length);
  std::vector<std::uint64_t> counts(cells.size());
  SplitMix64 random(seed);
  Engine engine(token);
  for (int trial = 0; trial < trials; ++trial) {
    const std::vector<TokenId> sequence = write(random, engine);
    ASSERT_EQ(sequence.size(), length);
    ++counts[index(sequence, token.size())];
  }
  EXPECT_LE(pearson(counts, cells), test.chi_square(cells.size() - 1));
}

std::vector<TokenId> text_after(const Response& response, std::size_t prefix) {
  return {response.tokens().begin() + static_cast<std::ptrdiff_t>(prefix), response.tokens().end()};
}

// Five tokens under a width of 1 with three ids: at most three draws are marked, the others stand
// at repeated contexts.
Writer five_tokens(std::size_t max_contexts, LayerKind kind) {
  return [max_contexts, profile = one_layer(1, kind)](SplitMix64& random, Engine& engine) {
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
  expect_joint_law(skewed, 1, 100'000, 1, [&](SplitMix64& random, Engine& engine) {
    const NativeMark mark = make_mark(random.epoch_key(), profile);
    Response response(mark, {}, "nonce", Secret<16>(), 2);
    response.commit(9);
    const Draw draw = engine.draw(response);
    EXPECT_EQ(draw.kind, DrawKind::kMarked);
    return std::vector<TokenId>{draw.token};
  });
}

TEST(Laws, OneTokenMarkedOfManyEqualOnes) {
  const Profile profile = one_layer(1);
  expect_joint_law(std::vector<double>(100, 0.01), 1, 50'000, 2,
                   [&](SplitMix64& random, Engine& engine) {
                     const NativeMark mark = make_mark(random.epoch_key(), profile);
                     Response response(mark, {}, "nonce", Secret<16>(), 2);
                     response.commit(9);
                     return std::vector<TokenId>{engine.draw(response).token};
                   });
}

// Over the plain key alone, at several positions of one response.
TEST(Laws, PlainTokensOverThePlainKey) {
  const NativeMark mark = make_mark(SplitMix64(3).epoch_key(), one_layer(1, LayerKind::kAccount));
  for (const bool is_redraw : {false, true}) {
    expect_joint_law(kThree, 5, 100'000, 4, [&](SplitMix64& random, Engine& engine) {
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
  expect_joint_law(kThree, 5, 100'000, 5, five_tokens(6, LayerKind::kShared));
}

TEST(Laws, TextsWithAHistoryThatFillsUp) {
  expect_joint_law(kThree, 5, 100'000, 6, five_tokens(1, LayerKind::kShared));
  expect_joint_law(kThree, 5, 100'000, 7, five_tokens(2, LayerKind::kShared));
}

// One text under the defaults' widths, long enough that the layers alternate.
TEST(Laws, TheEndOfALongerText) {
  const Identity identity{"cohort", "account"};
  const Profile profile = Profile::defaults();
  expect_joint_law({0.6, 0.4}, 8, 60'000, 8, [&](SplitMix64& random, Engine& engine) {
    const NativeMark mark = make_mark(random.epoch_key(), profile);
    Response response(mark, identity, "nonce", random.secret<16>(), 14);
    while (response.tokens().size() < 14) response.commit(engine.draw(response).token);
    return text_after(response, 6);
  });
}

TEST(Laws, SpeculationDoesNotDistort) {
  const Profile profile = one_layer(1);
  expect_joint_law(std::vector<double>(3, 1 / 3.0), 4, 30'000, 9, [&](SplitMix64& random, Engine&) {
    const NativeMark mark = make_mark(random.epoch_key(), profile);
    Response response(mark, {}, "nonce", random.secret<16>(), 5);
    response.commit(1);
    decode_speculatively(ToyModel{3, 0}, response, 5, random);
    return text_after(response, 1);
  });
}

// Re-draws of one position, which is marked at first, and of the next one are independent.
TEST(Laws, RedrawsAreIndependent) {
  const Profile profile = one_layer(1);
  expect_joint_law(kThree, 5, 100'000, 10, [&](SplitMix64& random, Engine& engine) {
    const NativeMark mark = make_mark(random.epoch_key(), profile);
    Response response(mark, {}, "nonce", random.secret<16>(), 5);
    response.commit(1);
    std::vector<TokenId> out;
    for (const std::uint32_t attempt : {0u, 1u, 2u})
      out.push_back(engine.draw(response, attempt).token);
    response.commit(out[0]);
    for (const std::uint32_t attempt : {1u, 0x10000u})
      out.push_back(engine.draw(response, attempt).token);
    return out;
  });
}

// Three accounts, and two slots of one of them: the first token of each, drawn at the same context,
// is independent of the others. (The slots of two nonces are the same in 1 of 65,536 trials.)
TEST(Laws, StreamsAreIndependent) {
  const Profile profile = one_layer(1, LayerKind::kAccount, 65'536);
  expect_joint_law(kThree, 4, 60'000, 11, [&](SplitMix64& random, Engine& engine) {
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
