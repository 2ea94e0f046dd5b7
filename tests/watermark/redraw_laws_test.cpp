// SPDX-License-Identifier: Apache-2.0
// Texts of which tokens were drawn a second time, because a grammar or a validator did not want the
// first, follow the law that the engine would have without a mark.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "tests/support/laws.h"

namespace countermark::tests {
namespace {

const std::vector<double> kThree = {0.5, 0.3, 0.2};

// Re-draws of one position, which is marked at first, and of the next one are independent.
TEST(RedrawLaws, RedrawsAreIndependent) {
  Engine engine(kThree);
  const Profile profile = one_layer(1);
  expect_law({kThree, 5}, 100'000, 10, [&](SplitMix64& random) {
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

// A grammar that allows four of six ids, in an engine that looks at it only when a draw breaks it:
// then the row is masked, truncated to the top three once more, and drawn again.
const std::vector<double> kSix = {0.3, 0.2, 0.18, 0.14, 0.1, 0.08};
constexpr std::array<bool, 6> kAllowed = {false, true, false, true, true, true};
const SamplingOptions kTopThree{1, 3};

// The law of that engine: of the first draw where it is allowed, else of the second.
std::vector<double> grammar_law() {
  const auto top_three = [](std::vector<double> row) {
    std::vector<double> sorted = row;
    std::sort(sorted.rbegin(), sorted.rend());
    for (double& p : row) p = p < sorted[2] ? 0 : p / (sorted[0] + sorted[1] + sorted[2]);
    return row;
  };
  std::vector<double> masked = kSix;
  for (std::size_t id = 0; id < masked.size(); ++id)
    if (!kAllowed[id]) masked[id] = 0;
  const std::vector<double> first = top_three(kSix), second = top_three(masked);
  double broken = 0;
  for (std::size_t id = 0; id < first.size(); ++id)
    if (!kAllowed[id]) broken += first[id];
  std::vector<double> law;
  for (std::size_t id = 0; id < first.size(); ++id)
    law.push_back((kAllowed[id] ? first[id] : 0) + broken * second[id]);
  return law;
}

// Three tokens, as their indices among the ids that can be the outcome: 1, 3 and 4.
constexpr std::array<TokenId, 3> kOutcomes = {1, 3, 4};

JointLaw grammar_text_law() {
  const std::vector<double> law = grammar_law();
  return {{law[1], law[3], law[4]}, 3};
}

Writer grammar_texts(std::uint32_t redraw_attempt) {
  const Engine row(kSix);
  std::vector<float> masked = row.logits;
  for (std::size_t id = 0; id < masked.size(); ++id)
    if (!kAllowed[id]) masked[id] = -std::numeric_limits<float>::infinity();
  return [=, logits = row.logits, profile = one_layer(1)](SplitMix64& random) {
    const NativeMark mark = make_mark(random.epoch_key(), profile);
    Response response(mark, {}, "nonce", random.secret<16>(), 4);
    response.commit(1);
    SamplerWorkspace workspace;
    std::vector<TokenId> out;
    while (response.tokens().size() < 4) {
      TokenId token = sample({logits}, kTopThree, response, {}, 0, workspace)->token;
      if (!kAllowed[token])
        token = sample({masked}, kTopThree, response, {}, redraw_attempt, workspace)->token;
      response.commit(token);
      out.push_back(static_cast<TokenId>(std::find(kOutcomes.begin(), kOutcomes.end(), token) -
                                         kOutcomes.begin()));
    }
    return out;
  };
}

TEST(RedrawLaws, AGrammarThenTopK) {
  EXPECT_EQ(grammar_law()[0] + grammar_law()[2] + grammar_law()[5], 0);
  expect_law(grammar_text_law(), 40'000, 1, grammar_texts(1));
}

// With the noise of attempt 0 the ids that lost against the forbidden one would be at a
// disadvantage against those that top-k lets in only now.
TEST(RedrawLaws, AGrammarsRedrawWithTheSameNoiseIsFoundOut) {
  expect_other_law(grammar_text_law(), 10'000, 1, grammar_texts(0));
}

// A validator that looks at the first two tokens, and does not want them alike. The engine then
// takes them back, once, and writes the text anew.
Writer retried_texts(Engine& engine, std::uint32_t rest_attempt) {
  return [&engine, rest_attempt, profile = one_layer(1)](SplitMix64& random) {
    const NativeMark mark = make_mark(random.epoch_key(), profile);
    Response response(mark, {}, "nonce", random.secret<16>(), 5);
    response.commit(1);
    while (response.tokens().size() < 3) response.commit(engine.draw(response).token);
    std::uint32_t rest = 0;
    if (response.tokens()[1] == response.tokens()[2]) {
      response.rewind(1);
      while (response.tokens().size() < 3) response.commit(engine.draw(response, 1).token);
      rest = rest_attempt;
    }
    while (response.tokens().size() < 5) response.commit(engine.draw(response, rest).token);
    return text_after(response, 1);
  };
}

JointLaw retried_law() {
  JointLaw law(kThree, 4);
  double alike = 0;
  for (const double p : kThree) alike += p * p;
  for (std::size_t cell = 0; cell < law.cells.size(); ++cell) {
    const std::vector<TokenId> text = law.sequence(cell);
    law.cells[cell] *= alike + (text[0] == text[1] ? 0 : 1);
  }
  return law;
}

TEST(RedrawLaws, ARetryWhoseRestIsPlain) {
  Engine engine(kThree);
  expect_law(retried_law(), 60'000, 2, retried_texts(engine, 1));
}

// Even if the two tokens are drawn with fresh noise: the context that was rejected for what follows
// it is not in the history, and is marked with that noise when it comes back.
TEST(RedrawLaws, ARetryThatReturnsToTheMarkIsFoundOut) {
  Engine engine(kThree);
  expect_other_law(retried_law(), 60'000, 2, retried_texts(engine, 0));
}

}  // namespace
}  // namespace countermark::tests
