// SPDX-License-Identifier: Apache-2.0
// Speculation by draw-and-match leaves no trace: whatever was drafted, dropped or taken back, the
// text and the state are those of plain decoding. Their laws: speculation_laws_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "tests/support/toy_engine.h"

namespace countermark::tests {
namespace {

const Identity kIdentity{"cohort", "account"};

std::vector<TokenId> copy(TokenSpan tokens) { return {tokens.begin(), tokens.end()}; }

void expect_same_draws(const std::vector<Draw>& draws, const std::vector<Draw>& expected) {
  ASSERT_EQ(draws.size(), expected.size());
  for (std::size_t t = 0; t < draws.size(); ++t) {
    EXPECT_EQ(draws[t].token, expected[t].token);
    EXPECT_STREQ(draw_kind_name(draws[t].kind), draw_kind_name(expected[t].kind));
    EXPECT_EQ(draws[t].layer, expected[t].layer);
  }
}

// Profiles from the narrowest to one whose contexts straddle everything.
std::vector<Profile> profiles() {
  return {one_layer(1), Profile::defaults(),
          Profile::create({{LayerKind::kShared, 1, 20'000, 1},
                           {LayerKind::kAccount, 5, 20'000, 4},
                           {LayerKind::kCohort, 16, kShareTotal - 40'000, 1}},
                          std::nullopt)
              .value()};
}

// Runs `test(model, one, other, random)` on pairs of equal empty responses: with and without
// channels, with histories that are never, soon or always full, with texts that repeat themselves.
template <typename Test>
void for_equal_responses(std::uint64_t seed, const Test& test) {
  SplitMix64 random(seed);
  for (const Profile& profile : profiles()) {
    for (const std::size_t max_contexts : {0u, 1u, 3u, 10u, 30u, 500u}) {
      for (int round = 0; round < 8; ++round) {
        ToyModel model{2 + random.below(8), 3 * random.unit()};
        if (round % 2 == 1) model.channel_end = 0;
        const NativeMark mark = make_mark(random.epoch_key(), profile);
        const Response one(mark, kIdentity, "nonce", random.secret<16>(), 120, max_contexts);
        test(model, Response(one), Response(one), random);
        if (::testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

TEST(Speculation, GivesTheTextOfPlainDecoding) {
  std::map<DrawKind, int> kinds;
  std::size_t channels = 0;
  for_equal_responses(1, [&](const ToyModel& model, Response one, Response other, auto& random) {
    const std::vector<Draw> expected = decode(model, one, 120);
    Response third = other;
    expect_same_draws(decode_speculatively(model, other, 120, random), expected);
    expect_same_draws(decode_by_trees(model, third, 120, random), expected);
    for (const Draw& draw : expected) ++kinds[draw.kind];
    channels += one.mark_point() - one.tokens().size();
    for (const Response* speculated : {&other, &third}) {
      ASSERT_EQ(copy(speculated->tokens()), copy(one.tokens()));
      ASSERT_EQ(speculated->mark_point(), one.mark_point());
      ASSERT_EQ(speculated->history().size(), one.history().size());
    }
  });
  for (const DrawKind kind :
       {DrawKind::kMarked, DrawKind::kShortContext, DrawKind::kRepeated, DrawKind::kHistoryFull})
    EXPECT_GE(kinds[kind], 500) << draw_kind_name(kind);
  EXPECT_GE(channels, 500u);
}

TEST(Speculation, CancelledBatchesLeaveNoTrace) {
  for_equal_responses(2, [&](const ToyModel& model, Response one, Response other, auto& random) {
    const std::vector<Draw> expected = decode(model, one, 120);
    while (other.tokens().size() < 120) {
      const std::size_t point = other.mark_point();
      const std::size_t before = other.tokens().size();
      const std::vector<Draw> draws = decode_by_trees(
          model, other, std::min<std::size_t>(before + 1 + random.below(9), 120), random);
      const auto first = expected.begin() + static_cast<std::ptrdiff_t>(before);
      expect_same_draws(draws, {first, first + static_cast<std::ptrdiff_t>(draws.size())});
      if (random.below(2) == 0) other.rewind(point);
    }
    ASSERT_EQ(copy(other.tokens()), copy(one.tokens()));
    ASSERT_EQ(other.history().size(), one.history().size());
  });
}

// Commits, channels, trees of drafts and returns to any point, in random order, against a response
// that only ever saw what is left.
TEST(Speculation, RewindEqualsRebuilt) {
  for_equal_responses(3, [&](const ToyModel& model, Response one, const Response& fresh,
                             auto& random) {
    // A token, or nothing for the start of a channel.
    std::vector<std::optional<TokenId>> log;
    for (int step = 0; step < 60; ++step) {
      switch (random.below(6)) {
        case 0:
          log.resize(random.below(static_cast<std::uint32_t>(log.size()) + 1));
          one.rewind(log.size());
          break;
        case 1:
          if (one.start_channel()) log.emplace_back();
          break;
        case 2: {
          const std::size_t before = one.tokens().size();
          ToyModel without_channels = model;
          without_channels.channel_end.reset();
          decode_by_trees(without_channels, one, std::min<std::size_t>(before + 8, 120), random);
          for (const TokenId token : one.tokens().subspan(before)) log.emplace_back(token);
          break;
        }
        default: {
          const TokenId token = random.below(model.vocab_size);
          if (one.commit(token)) log.emplace_back(token);
        }
      }
      Response rebuilt = fresh;
      for (const auto& event : log) event ? rebuilt.commit(*event) : rebuilt.start_channel();
      ASSERT_EQ(one.mark_point(), log.size());
      ASSERT_EQ(copy(one.tokens()), copy(rebuilt.tokens()));
      ASSERT_EQ(copy(one.channel()), copy(rebuilt.channel()));
      ASSERT_EQ(one.history().size(), rebuilt.history().size());
      DraftTrees tree;
      tree.grow(model, one, 6, random);
      for (const auto& path : tree.paths)
        expect_same_draws({model.draw(one, path)}, {model.draw(rebuilt, path)});
    }
  });
}

}  // namespace
}  // namespace countermark::tests
