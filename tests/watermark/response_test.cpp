// SPDX-License-Identifier: Apache-2.0
// What a response remembers: that undoing and starting over lead to the same text, that no context
// is marked twice, and that the verifier scores what was marked. Speculation: speculation_test.cpp.
#include "watermark/response.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tests/support/toy_engine.h"
#include "verifier/detect/tape.h"

namespace countermark::tests {
namespace {

const Identity kIdentity{"cohort", "account"};

std::vector<TokenId> copy(TokenSpan tokens) { return {tokens.begin(), tokens.end()}; }

void expect_same_draw(const Draw& a, const Draw& b) {
  EXPECT_EQ(a.token, b.token);
  EXPECT_STREQ(draw_kind_name(a.kind), draw_kind_name(b.kind));
  EXPECT_EQ(a.layer, b.layer);
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

TEST(Response, RewindEqualsRebuilt) {
  SplitMix64 random(1);
  const ToyModel model;
  for (const Profile& profile : profiles()) {
    for (const std::size_t max_contexts : {0u, 1u, 5u, 20u, 300u}) {
      const NativeMark mark = make_mark(random.epoch_key(), profile);
      const Secret<16> plain_key = random.secret<16>();
      Response response(mark, kIdentity, "nonce", plain_key, 200, max_contexts);
      std::vector<std::size_t> points;
      for (int step = 0; step < 250; ++step) {
        if (random.below(8) == 0) points.push_back(response.mark_point());
        if (random.below(6) == 0 && !response.tokens().empty()) {
          // To a remembered point that is still reached, or a few tokens back.
          std::size_t to = response.tokens().size() -
                           random.below(std::min<std::uint32_t>(
                               7, static_cast<std::uint32_t>(response.tokens().size())));
          if (!points.empty() && points.back() <= response.tokens().size() && random.below(9) == 0)
            to = points[random.below(static_cast<std::uint32_t>(points.size()))];
          response.rewind(std::min(to, response.tokens().size()));
        } else {
          response.commit(random.below(3));
        }
        Response rebuilt(mark, kIdentity, "nonce", plain_key, 200, max_contexts);
        for (const TokenId token : response.tokens()) rebuilt.commit(token);
        ASSERT_EQ(copy(rebuilt.tokens()), copy(response.tokens()));
        ASSERT_EQ(rebuilt.history().size(), response.history().size());
        for (TokenId token = 0; token < 3; ++token) {
          const std::vector<TokenId> path = {token, random.below(3), token};
          for (std::size_t drafts = 0; drafts <= path.size(); ++drafts)
            expect_same_draw(model.draw(response, TokenSpan(path).first(drafts)),
                             model.draw(rebuilt, TokenSpan(path).first(drafts)));
        }
      }
    }
  }
}

TEST(Response, AllContextsEverSeenAreHeldAndNothingElse) {
  SplitMix64 random(2);
  const NativeMark mark = make_mark(random.epoch_key(), Profile::defaults());
  Response response(mark, kIdentity, "nonce", random.secret<16>(), 500);
  std::set<std::uint64_t> expected;
  for (int t = 0; t < 500; ++t) {
    if (const auto route = mark.route(response.tokens())) expected.insert(route->fingerprint());
    ASSERT_TRUE(response.commit(random.below(6)));
    ASSERT_EQ(response.history().size(), expected.size());
    for (const std::uint64_t fingerprint : expected)
      ASSERT_TRUE(response.history().contains(fingerprint));
  }
  response.rewind(0);
  EXPECT_EQ(response.history().size(), 0u);
  for (const std::uint64_t fingerprint : expected)
    EXPECT_FALSE(response.history().contains(fingerprint));
}

TEST(Response, APathIsAsIfItWereCommitted) {
  SplitMix64 random(4);
  for (const Profile& profile : profiles()) {
    for (const std::size_t max_contexts : {2u, 12u, 100u}) {
      const ToyModel model{3, 1};
      const NativeMark mark = make_mark(random.epoch_key(), profile);
      Response response(mark, kIdentity, "nonce", random.secret<16>(), 100, max_contexts);
      for (int step = 0; step < 60; ++step) {
        std::vector<TokenId> path(random.below(25));
        for (TokenId& token : path) token = random.below(3);
        for (const std::uint32_t attempt : {0u, 2u}) {
          const Draw drafted = model.draw(response, path, attempt);
          Response committed = response;
          for (const TokenId token : path) committed.commit(token);
          expect_same_draw(drafted, model.draw(committed, {}, attempt));
        }
        response.commit(random.below(3));
      }
    }
  }
}

TEST(Response, AFullHistoryEndsTheMark) {
  SplitMix64 random(5);
  const ToyModel model{50, 1};
  const NativeMark mark = make_mark(random.epoch_key(), one_layer(1));
  Response response(mark, {}, "nonce", random.secret<16>(), 200, 10);
  const auto draws = decode(model, response, 200);
  // Ten new contexts are marked; from then on only the reason changes.
  std::size_t marked = 0;
  for (const Draw& draw : draws) {
    marked += draw.kind == DrawKind::kMarked;
    EXPECT_EQ(draw.kind == DrawKind::kHistoryFull,
              marked == 10 && draw.kind != DrawKind::kMarked && draw.kind != DrawKind::kRepeated);
  }
  EXPECT_EQ(marked, 10u);
  EXPECT_TRUE(response.history().full());
  EXPECT_EQ(response.history().size(), 10u);
  // Room again after a return to before it was full.
  response.rewind(5);
  EXPECT_FALSE(response.history().full());
  EXPECT_NE(model.draw(response).kind, DrawKind::kHistoryFull);

  Response none(mark, {}, "nonce", random.secret<16>(), 50, 0);
  for (const Draw& draw : decode(model, none, 50)) EXPECT_NE(draw.kind, DrawKind::kMarked);
}

TEST(Response, WithoutAMaximumOfContextsItIsNeverFull) {
  SplitMix64 random(6);
  const NativeMark mark = make_mark(random.epoch_key(), one_layer(1));
  Response response(mark, {}, "nonce", random.secret<16>(), 40);
  for (TokenId token = 0; token < 40; ++token) {
    EXPECT_TRUE(response.commit(token));
    EXPECT_EQ(ToyModel().draw(response).kind, DrawKind::kMarked);
  }
}

TEST(Response, EndsAtMaxTokens) {
  SplitMix64 random(7);
  const NativeMark mark = make_mark(random.epoch_key(), one_layer(1));
  Response response(mark, {}, "nonce", random.secret<16>(), 3);
  for (TokenId token = 0; token < 3; ++token) EXPECT_TRUE(response.commit(token));
  const std::size_t contexts = response.history().size();
  EXPECT_FALSE(response.commit(9));
  EXPECT_EQ(copy(response.tokens()), (std::vector<TokenId>{0, 1, 2}));
  EXPECT_EQ(response.history().size(), contexts);
  response.rewind(2);
  EXPECT_TRUE(response.commit(9));
  EXPECT_FALSE(response.commit(9));
  EXPECT_EQ(copy(response.tokens()), (std::vector<TokenId>{0, 1, 9}));
  Response empty(mark, {}, "nonce", random.secret<16>(), 0);
  EXPECT_FALSE(empty.commit(1));
}

TEST(Response, AChannelStartsItsContextsAnewAndKeepsItsHistory) {
  SplitMix64 random(11);
  const ToyModel model;
  const NativeMark mark = make_mark(random.epoch_key(), one_layer(2));
  Response response(mark, kIdentity, "nonce", random.secret<16>(), 100);
  for (const TokenId token : {1u, 2u, 3u}) response.commit(token);
  EXPECT_EQ(model.draw(response).kind, DrawKind::kMarked);
  const std::size_t before = response.mark_point();
  ASSERT_TRUE(response.start_channel());
  EXPECT_EQ(response.channel().size(), 0u);
  EXPECT_EQ(model.draw(response).kind, DrawKind::kShortContext);
  for (const TokenId token : {1u, 2u}) response.commit(token);
  // (1, 2) was followed by 3 in the first channel: the history goes on.
  EXPECT_EQ(model.draw(response).kind, DrawKind::kRepeated);
  response.commit(7);
  EXPECT_EQ(model.draw(response).kind, DrawKind::kMarked);
  EXPECT_EQ(copy(response.tokens()), (std::vector<TokenId>{1, 2, 3, 1, 2, 7}));

  response.rewind(before);
  EXPECT_EQ(copy(response.channel()), (std::vector<TokenId>{1, 2, 3}));
  EXPECT_EQ(model.draw(response).kind, DrawKind::kMarked);
  for (std::size_t i = 0; i < Response::kMaxChannels; ++i) EXPECT_TRUE(response.start_channel());
  EXPECT_FALSE(response.start_channel());
}

TEST(Response, LayersWithoutAnIdentityAreDrawnUnmarked) {
  SplitMix64 random(8);
  const ToyModel model{50, 1};
  const NativeMark mark = make_mark(random.epoch_key(), Profile::defaults());
  for (const Identity& identity :
       {Identity{}, Identity{"cohort", ""}, Identity{"", "account"}, kIdentity}) {
    Response response(mark, identity, "nonce", random.secret<16>(), 600);
    const bool has[] = {true, !identity.cohort.empty(), !identity.account.empty()};
    for (std::uint8_t layer = 0; layer < 3; ++layer)
      EXPECT_EQ(response.tag(layer).has_value(), has[layer]);
    int marked[3] = {}, unmarked[3] = {};
    std::set<std::uint64_t> contexts;
    while (response.tokens().size() < 600) {
      const Draw draw = model.draw(response);
      if (const auto route = mark.route(response.tokens())) {
        contexts.insert(route->fingerprint());
        if (draw.kind == DrawKind::kMarked) {
          EXPECT_EQ(draw.layer, route->layer);
          ++marked[route->layer];
        }
        unmarked[route->layer] += draw.kind == DrawKind::kNoIdentity;
      }
      response.commit(draw.token);
    }
    // A context is recorded whether its draw was marked or not.
    EXPECT_EQ(response.history().size(), contexts.size());
    for (std::size_t layer = 0; layer < 3; ++layer) {
      EXPECT_EQ(marked[layer] > 0, has[layer]);
      EXPECT_EQ(unmarked[layer] > 0, !has[layer]);
    }
  }
}

TEST(Response, TagsAndSlotsAreTheMarks) {
  SplitMix64 random(9);
  const NativeMark mark = make_mark(random.epoch_key(), Profile::defaults());
  std::set<std::uint32_t> slots;
  for (int i = 0; i < 200; ++i) {
    const std::string nonce = std::to_string(i);
    const Response response(mark, kIdentity, nonce, Secret<16>(), 1);
    EXPECT_EQ(response.slot(0), 0u);
    EXPECT_EQ(response.slot(1), 0u);
    EXPECT_EQ(response.slot(2), mark.slot(2, nonce));
    EXPECT_EQ(response.tag(0), mark.tag(0, "", 0));
    EXPECT_EQ(response.tag(1), mark.tag(1, "cohort", 0));
    EXPECT_EQ(response.tag(2), mark.tag(2, "account", response.slot(2)));
    slots.insert(response.slot(2));
  }
  EXPECT_EQ(slots, (std::set<std::uint32_t>{0, 1, 2, 3, 4, 5, 6, 7}));
}

// The embedder and the verifier agree on which positions carry evidence.
TEST(Response, NoContextIsMarkedTwiceAndTheTapeHoldsEveryMarkedDraw) {
  SplitMix64 random(10);
  for (const Profile& profile : profiles()) {
    for (int round = 0; round < 20; ++round) {
      const ToyModel model{2 + random.below(20), 2};
      const NativeMark mark = make_mark(random.epoch_key(), profile);
      Response response(mark, kIdentity, "nonce", random.secret<16>(), 300);
      const auto draws = decode(model, response, 300);
      // By the tokens themselves, not by fingerprints.
      std::set<std::vector<TokenId>> used;
      std::set<std::uint64_t> first, marked;
      for (std::size_t t = 0; t < draws.size(); ++t) {
        const auto route = mark.route(response.tokens().first(t));
        if (!route) {
          EXPECT_EQ(draws[t].kind, DrawKind::kShortContext);
          continue;
        }
        const auto context = response.tokens().first(t).last(route->width);
        const bool is_new = used.insert(copy(context)).second;
        if (is_new) first.insert(t);
        if (draws[t].kind == DrawKind::kMarked) marked.insert(t);
        EXPECT_EQ(draws[t].kind == DrawKind::kMarked, is_new);
        EXPECT_EQ(draws[t].kind == DrawKind::kRepeated, !is_new);
      }
      detect::Tape tape(mark);
      tape.add(response.tokens());
      std::set<std::uint64_t> scored;
      for (std::uint8_t layer = 0; layer < mark.layers().size(); ++layer)
        scored.insert(tape.layer(layer).positions.begin(), tape.layer(layer).positions.end());
      EXPECT_EQ(scored, first);
      EXPECT_EQ(marked, first);
      EXPECT_EQ(tape.dropped().repeated_context + tape.dropped().short_context + scored.size(),
                300u);
    }
  }
}

}  // namespace
}  // namespace countermark::tests
