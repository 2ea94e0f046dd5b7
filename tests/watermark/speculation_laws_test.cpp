// SPDX-License-Identifier: Apache-2.0
// Texts of speculative decoding follow the target model's law over random keys, whichever test the
// engine accepts its drafts by. Draw-and-match also gives the text itself of plain decoding:
// speculation_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <vector>

#include "tests/support/laws.h"
#include "tests/support/toy_engine.h"

namespace countermark::tests {
namespace {

// Three ids under a width of 1: among four tokens contexts repeat often.
const ToyModel kTarget{3, 1, 17};
// Wrong often enough that many tokens come from residuals.
const ToyModel kDrafter{3, 4, 22};
constexpr std::array<TokenId, 1> kStart{1};
constexpr std::size_t kEnd = 5;  // tokens, with the start

// The law of the tokens after kStart.
JointLaw target_law() {
  return {kTarget.vocab_size, kEnd - 1,
          [](TokenSpan text) { return kTarget.probabilities(kStart, text); }};
}

// Texts of `decode(response, engine)`, which fills the response and draws the engine's own random
// numbers from the generator.
using Decoder = std::function<void(Response&, SplitMix64&)>;
Writer texts_of(const Decoder& decode) {
  return [decode, profile = one_layer(1)](SplitMix64& random) {
    const NativeMark mark = make_mark(random.epoch_key(), profile);
    Response response(mark, {}, "nonce", random.secret<16>(), kEnd);
    response.commit(kStart[0]);
    decode(response, random);
    return text_after(response, 1);
  };
}

TEST(SpeculationLaws, DrawAndMatch) {
  expect_law(target_law(), 40'000, 1, texts_of([](Response& response, SplitMix64& engine) {
               decode_speculatively(kTarget, response, kEnd, engine);
             }));
}

TEST(SpeculationLaws, DrawAndMatchOnTrees) {
  expect_law(target_law(), 40'000, 2, texts_of([](Response& response, SplitMix64& engine) {
               decode_by_trees(kTarget, response, kEnd, engine);
             }));
}

// Batches that are drawn and dropped, and tokens that are committed and taken back, whatever they
// say; and then everything again.
TEST(SpeculationLaws, CancelledBatches) {
  expect_law(target_law(), 40'000, 3, texts_of([](Response& response, SplitMix64& engine) {
               while (response.tokens().size() < kEnd) {
                 const std::size_t point = response.mark_point();
                 const std::size_t length = response.tokens().size();
                 decode_by_trees(kTarget, response, std::min(length + 2, kEnd), engine);
                 if (engine.below(2) == 0) response.rewind(point);
               }
             }));
}

// Drafts of 1 to 3 tokens from the drafter's law, with attempt 0 and so marked. In place of the
// first one that the ratio test rejects comes a draw from the residual; after a draft that stands
// to its end the target's row gives one token more.
Decoder by_ratio_test(std::uint32_t residual_attempt) {
  return [residual_attempt](Response& response, SplitMix64& engine) {
    while (response.tokens().size() < kEnd) {
      std::vector<TokenId> draft, text;
      for (std::uint32_t left = 1 + engine.below(3); left > 0; --left) {
        const Draw draw = kDrafter.draw(response, draft);
        EXPECT_TRUE(draw.kind == DrawKind::kMarked || draw.kind == DrawKind::kRepeated);
        draft.push_back(draw.token);
      }
      bool stands = true;
      for (std::size_t i = 0; i < draft.size() && stands; ++i) {
        RatioTest test{kTarget.probabilities(response.tokens(), text),
                       kDrafter.probabilities(response.tokens(), text)};
        stands = test.accept(draft[i], engine);
        text.push_back(stands ? draft[i] : test.residual(response, text, residual_attempt));
      }
      if (stands) text.push_back(kTarget.draw(response, text).token);
      for (const TokenId token : text) response.commit(token);
    }
  };
}

TEST(SpeculationLaws, RatioTest) {
  expect_law(target_law(), 40'000, 4, texts_of(by_ratio_test(1)));
}

// Attempt 0 of the position was the draft's.
TEST(SpeculationLaws, AResidualWithTheNoiseOfItsDraftIsFoundOut) {
  expect_other_law(target_law(), 40'000, 4, texts_of(by_ratio_test(0)));
}

// Two drafts for each position, the second of which gets its chance when the first is rejected: on
// what the first test left, and so on. Drafts below the one that is rejected are as if never drawn,
// so this draws none of them.
Decoder by_ratio_test_on_siblings(std::uint32_t residual_attempt) {
  return [residual_attempt](Response& response, SplitMix64& engine) {
    while (response.tokens().size() < kEnd) {
      std::vector<TokenId> text;
      for (int depth = 0; depth < 2; ++depth) {
        RatioTest test{kTarget.probabilities(response.tokens(), text),
                       kDrafter.probabilities(response.tokens(), text)};
        std::optional<TokenId> accepted;
        for (std::uint32_t sibling = 0; sibling < 2 && !accepted; ++sibling) {
          const TokenId draft = kDrafter.draw(response, text, sibling).token;
          if (test.accept(draft, engine)) accepted = draft;
        }
        text.push_back(accepted ? *accepted : test.residual(response, text, residual_attempt));
        if (!accepted) break;
      }
      for (const TokenId token : text) response.commit(token);
    }
  };
}

TEST(SpeculationLaws, RatioTestOnSiblings) {
  expect_law(target_law(), 40'000, 5, texts_of(by_ratio_test_on_siblings(2)));
}

// Attempt 1 of the position was the second sibling's.
TEST(SpeculationLaws, AResidualWithTheNoiseOfASiblingIsFoundOut) {
  expect_other_law(target_law(), 40'000, 5, texts_of(by_ratio_test_on_siblings(1)));
}

}  // namespace
}  // namespace countermark::tests
