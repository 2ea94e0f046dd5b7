// SPDX-License-Identifier: Apache-2.0
// Which tuples of a text enter, under which rule each of the others is left out, and that each PRF
// input counts once.
#include "verifier/detect/foreign_tape.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <set>
#include <tuple>

#include "tests/support/foreign.h"

namespace countermark::detect {
namespace {

using tests::foreign_key;
using tests::foreign_profile;
using Ids = std::vector<TokenId>;

constexpr TokenId kPad = 0xffffffff;
const std::string kGumbel = R"({"scheme":"vllm-gumbel/philox4x32-10-v1")";
const std::string kSglang = R"({"scheme":"sglang-gumbel/1","contextWidth":2)";

ForeignTuples tuples_of(const std::string& profile, const TokenText& text) {
  return collect(foreign_profile(profile), text).value();
}

Tally tally_of(const std::string& profile, const std::string& key, const TokenText& text) {
  const ForeignProfile parsed = foreign_profile(profile);
  return tally(*ForeignMark::create(parsed, foreign_key(key)).value(),
               collect(parsed, text).value());
}

TEST(ForeignTape, PadsWhereTheSourceDoes) {
  const ForeignTuples tuples = tuples_of(kGumbel + R"(,"contextWidth":2})", {{{5, 6, 7}, true}});
  EXPECT_EQ(tuples.width, 2U);
  EXPECT_EQ(tuples.contexts, (Ids{kPad, kPad, kPad, 5, 5, 6}));
  EXPECT_EQ(tuples.tokens, (Ids{5, 6, 7}));
  EXPECT_EQ(tuples.positions, (std::vector<std::uint64_t>{0, 1, 2}));
  EXPECT_EQ(tuples.dropped, Dropped{});
  EXPECT_EQ(tuples.text_tokens, 3U);
}

TEST(ForeignTape, BeginsWhereTheProfileSays) {
  const Ids ids = {5, 6, 7, 8, 9};
  const auto first = [&ids](const std::string& profile) {
    const ForeignTuples tuples = tuples_of(profile, {{ids, true}});
    EXPECT_EQ(tuples.dropped.short_context + tuples.tokens.size(), ids.size());
    EXPECT_EQ(tuples.positions.at(0), tuples.dropped.short_context);
    return tuples.tokens.at(0);
  };
  EXPECT_EQ(first(R"({"scheme":"hf-kgw/1","vocabSize":99})"), 6U);
  EXPECT_EQ(first(R"({"scheme":"hf-kgw/1","vocabSize":99,"firstPosition":3})"), 8U);
  // The token to come is part of its own window.
  EXPECT_EQ(first(R"({"scheme":"lm-watermarking/1","vocabSize":99})"), 8U);
  // These two begin one token later than they must.
  EXPECT_EQ(first(R"({"scheme":"three-bricks-greenlist/1","vocabSize":99})"), 7U);
  EXPECT_EQ(first(R"({"scheme":"textseal/1","contextWidth":2})"), 8U);
  EXPECT_EQ(first(R"({"scheme":"textseal/1","contextWidth":2,"firstPosition":2})"), 7U);
  EXPECT_EQ(first(kGumbel + R"(,"firstPosition":1})"), 6U);
}

TEST(ForeignTape, ATextShorterThanAContextHasNoTuples) {
  for (std::size_t size = 0; size <= 4; ++size) {
    const ForeignTuples tuples =
        tuples_of(R"({"scheme":"sglang-gumbel/1"})", {{Ids(size, 1), true}});
    EXPECT_TRUE(tuples.tokens.empty());
    EXPECT_EQ(tuples.dropped.short_context, size);
  }
  EXPECT_EQ(tally_of(R"({"scheme":"sglang-gumbel/1"})", "hex:1", {}), Tally{});
}

TEST(ForeignTape, ContextsReachIntoThePromptThatStandsBefore) {
  const Ids answer = {7, 8, 9};
  const ForeignTuples known = tuples_of(kSglang + "}", {{{1, 2, 3}, false}, {answer, true}});
  EXPECT_EQ(known.contexts, (Ids{2, 3, 3, 7, 7, 8}));
  EXPECT_EQ(known.tokens, answer);
  const ForeignTuples shorter = tuples_of(kSglang + "}", {{{3}, false}, {answer, true}});
  EXPECT_EQ(shorter.contexts, (Ids{3, 7, 7, 8}));
  EXPECT_EQ(shorter.dropped.short_context, 1U);
  const ForeignTuples unknown = tuples_of(kSglang + "}", {{answer, true}});
  EXPECT_EQ(unknown.contexts, (Ids{7, 8}));
  EXPECT_EQ(unknown.dropped.short_context, 2U);
  // Another response is no prompt.
  const ForeignTuples two = tuples_of(kSglang + "}", {{{1, 2, 3}, true}, {answer, true}});
  EXPECT_EQ(two.contexts, (Ids{1, 2, 7, 8}));
  EXPECT_EQ(two.positions, (std::vector<std::uint64_t>{2, 5}));
  // Where the source leaves its first positions out, it does so behind a prompt, too.
  const ForeignTuples later =
      tuples_of(kSglang + R"(,"firstPosition":2})", {{{1, 2, 3}, false}, {answer, true}});
  EXPECT_EQ(later.tokens, (Ids{9}));
  EXPECT_EQ(later.dropped.short_context, 2U);
}

TEST(ForeignTape, ContextsStayWithinTheResponseWhereTheSourceSaysSo) {
  const ForeignTuples tuples =
      tuples_of(kGumbel + R"(,"contextWidth":2})", {{{1, 2, 3}, false}, {{7, 8}, true}});
  EXPECT_EQ(tuples.contexts, (Ids{kPad, kPad, kPad, 7}));
}

TEST(ForeignTape, WhatTheAuthorWasShownIsLeftOut) {
  const std::string excluded = kSglang + R"(,"prompt":"excluded","firstPosition":2})";
  // The context at the end of a prompt is shown, too, where the response begins anew.
  const TokenText text = {{{1, 2, 3, 4}, false}, {{2, 3, 9, 3, 4, 9}, true}};
  const ForeignTuples fresh = tuples_of(excluded, text);
  EXPECT_EQ(fresh.contexts, (Ids{3, 9, 9, 3}));
  EXPECT_EQ(fresh.dropped.prompt_context, 2U);
  // Where contexts reach into the prompt, that context is the response's own first one.
  const ForeignTuples reaching = tuples_of(kSglang + "}", text);
  EXPECT_EQ(reaching.contexts, (Ids{3, 4, 4, 2, 3, 9, 9, 3}));
  EXPECT_EQ(reaching.dropped.prompt_context, 1U);
  EXPECT_EQ(reaching.dropped.repeated_context, 1U);
  // Later material counts as well: nobody knows when it was shown.
  EXPECT_EQ(tuples_of(excluded, {text[1], text[0]}).dropped.prompt_context, 2U);
}

// The rule as it is told: a queue of the latest contexts, repeats included.
std::vector<std::uint64_t> queued(const Ids& ids, std::size_t width, std::size_t limit) {
  std::deque<Ids> queue;
  std::vector<std::uint64_t> out;
  for (std::size_t i = width; i < ids.size(); ++i) {
    const auto at = ids.begin() + static_cast<std::ptrdiff_t>(i);
    const Ids context(at - static_cast<std::ptrdiff_t>(width), at);
    if (std::find(queue.begin(), queue.end(), context) == queue.end()) out.push_back(i);
    queue.push_back(context);
    if (limit > 0 && queue.size() > limit) queue.pop_front();
  }
  return out;
}

TEST(ForeignTape, ARepeatedContextIsLeftOutAsFarBackAsTheHistoryReaches) {
  tests::RandomNumbers random(7);
  for (int round = 0; round < 20; ++round) {
    const Ids ids = tests::random_ids(random, 300, 4);
    for (const std::size_t limit : {0u, 1u, 2u, 7u, 30u, 297u, 298u, 1'000u}) {
      const ForeignTuples tuples =
          tuples_of(kSglang + R"(,"historyLimit":)" + std::to_string(limit) + "}", {{ids, true}});
      EXPECT_EQ(tuples.positions, queued(ids, 2, limit)) << limit;
      EXPECT_EQ(tuples.dropped.repeated_context + tuples.tokens.size(), 298U);
    }
  }
}

// Positions that are not scored, and prompts, are part of the history all the same.
TEST(ForeignTape, AContextThatIsNotScoredIsRemembered) {
  const ForeignTuples tuples =
      tuples_of(kGumbel + R"(,"contextWidth":1,"firstPosition":3})", {{{1, 2, 3, 1, 2, 4}, true}});
  EXPECT_EQ(tuples.contexts, (Ids{3}));
  EXPECT_EQ(tuples.dropped.repeated_context, 2U);
  EXPECT_EQ(tuples.dropped.short_context, 3U);
}

TEST(ForeignTape, ResponsesHaveHistoriesOfTheirOwnAndShareTuples) {
  const Ids ids = {1, 2, 3, 4, 5};
  const std::string profile = kGumbel + R"(,"contextWidth":2})";
  const ForeignTuples twice = tuples_of(profile, {{ids, true}, {ids, true}});
  EXPECT_EQ(twice.tokens.size(), 10U);
  EXPECT_EQ(twice.dropped.repeated_context, 0U);
  EXPECT_EQ(tally_of(profile, "int:7", {{ids, true}, {ids, true}}),
            tally_of(profile, "int:7", {{ids, true}}));
  // Another token in the same place is another tuple.
  EXPECT_EQ(tally_of(profile, "int:7", {{ids, true}, {{1, 2, 3, 4, 6}, true}}).n, 6U);
}

TEST(ForeignTape, ATupleCountsOnceWhateverTheDedup) {
  Ids ids = {1, 2, 3, 4};
  for (int i = 0; i < 3; ++i) ids.insert(ids.end(), {1, 2, 3, 4});
  for (const char* dedup : {"none", "tuple", "context"})
    EXPECT_EQ(
        tally_of(R"({"scheme":"hf-kgw/1","vocabSize":99,"dedup":")" + std::string(dedup) + "\"}",
                 "int:12345678901", {{ids, true}})
            .n,
        4U)
        << dedup;
}

// A second look for repeated inputs is spared where there can be none.
TEST(ForeignTape, KnowsWhereNoContextRepeats) {
  const Ids ids = {1, 2, 1, 2, 1, 2, 3};
  const auto distinct = [](const std::string& fields, const TokenText& text) {
    return tuples_of(kGumbel + R"(,"contextWidth":1)" + fields + "}", text).distinct;
  };
  EXPECT_TRUE(distinct("", {{ids, true}}));
  EXPECT_TRUE(distinct("", {{ids, false}, {ids, true}}));
  EXPECT_TRUE(distinct(R"(,"historyLimit":0)", {{ids, true}}));
  EXPECT_TRUE(distinct(R"(,"historyLimit":7)", {{ids, true}}));
  EXPECT_FALSE(distinct(R"(,"historyLimit":1)", {{ids, true}}));
  EXPECT_FALSE(distinct(R"(,"dedup":"tuple")", {{ids, true}}));
  EXPECT_FALSE(distinct("", {{ids, true}, {ids, true}}));
  EXPECT_FALSE(distinct("", {}));
  // Both ways give the same.
  tests::RandomNumbers random(11);
  for (const char* width : {"1", "4", "5"}) {
    const ForeignProfile profile = foreign_profile(kGumbel + R"(,"contextWidth":)" + width + "}");
    const SharedForeignMark mark = ForeignMark::create(profile, foreign_key("int:77")).value();
    ForeignTuples tuples = collect(profile, {{tests::random_ids(random, 3'000, 9), true}}).value();
    ASSERT_TRUE(tuples.distinct);
    const Tally spared = tally(*mark, tuples);
    tuples.distinct = false;
    EXPECT_EQ(tally(*mark, tuples), spared);
    EXPECT_EQ(spared.n, tuples.tokens.size());
  }
}

// Tuples that a scheme cannot tell apart are one, under the keys where it cannot.
TEST(ForeignTape, APrfInputCountsOnce) {
  const auto n = [](const std::string& profile, const std::string& key, const Ids& ids) {
    return tally_of(profile, key, {{ids, true}}).n;
  };
  // transformers' SynthID keeps 16 bits of all: a token and that plus 2^16.
  const std::string table =
      R"({"scheme":"hf-synthid/1","contextWidth":1,"depth":2,"dedup":"tuple"})";
  EXPECT_EQ(n(table, "ints:1,2", {5, 7, 5, 65'543}), 2U);  // and that of context 7
  EXPECT_EQ(n(table, "ints:1,2", {5, 7, 5, 65'544}), 3U);
  EXPECT_EQ(n(R"({"scheme":"synthid-text/2025-06","contextWidth":1,"depth":2,"dedup":"tuple"})",
              "ints:1,2", {5, 7, 5, 65'543}),
            3U);
  // TextSeal's family of sums: (c1, c2, x) and (c1 - 821, c2 + 61, x + 76), whatever the key.
  const std::string sums = R"({"scheme":"textseal/1","contextWidth":2,"firstPosition":2})";
  EXPECT_EQ(n(sums, "int:42", {1'000, 2'000, 3'000, 179, 2'061, 3'076}), 3U);
  EXPECT_EQ(n(sums, "int:77", {1'000, 2'000, 3'000, 179, 2'061, 3'077}), 4U);
  // SGLang's hash of a context has 32 bits and no key.
  const Ids colliding = {55'826, 167'495, 9, 62'387, 187'178, 9};
  EXPECT_EQ(n(kSglang + "}", "hex:77", colliding), 3U);
  EXPECT_EQ(n(kGumbel + R"(,"contextWidth":2})", "int:77", colliding), 6U);
  // lefthash looks at one token of its window.
  EXPECT_EQ(n(R"({"scheme":"hf-kgw/1","vocabSize":99,"contextWidth":2,"firstPosition":2})",
              "int:12345678901", {1, 5, 8, 2, 5, 8}),
            3U);
  // Of two keys the first decides what is new; both have their score.
  EXPECT_EQ(n(R"({"scheme":"textseal/1","contextWidth":2,"firstPosition":2,"prf":"textseal"})",
              "ints:42,7", {1'000, 2'000, 3'000, 179, 2'061, 3'076}),
            3U);
}

TEST(ForeignTape, IdsBeyondTheVocabularyAreRefused) {
  const ForeignProfile profile = foreign_profile(R"({"scheme":"hf-kgw/1","vocabSize":99})");
  for (const bool scored : {true, false}) {
    const auto tuples = collect(profile, {{{1, 98}, true}, {{3, 4, 99}, scored}});
    ASSERT_FALSE(tuples);
    EXPECT_EQ(tuples.error().code, ErrorCode::kMismatch);
    EXPECT_NE(tuples.error().message.find("99 at index 2"), std::string::npos);
  }
  EXPECT_TRUE(collect(profile, {{{1, 98}, true}}));
  // Without lists there is no vocabulary.
  EXPECT_TRUE(collect(foreign_profile(kGumbel + "}"), {{{0xfffffffe}, true}}));
}

// Each tuple by itself, against many of them, whose scores are computed in pieces.
TEST(ForeignTape, ScoresAreThoseOfEachTupleAlone) {
  tests::RandomNumbers random(3);
  for (const SchemeInfo* scheme : foreign_schemes()) {
    SCOPED_TRACE(scheme->id);
    const ForeignProfile profile = foreign_profile(*scheme, 40);
    const SharedForeignMark mark =
        ForeignMark::create(profile, tests::random_foreign_key(profile, random)).value();
    // Tuples repeat: in another piece, and in another response.
    const std::vector<TokenId> ids = tests::random_ids(random, 1'500, 40);
    const TokenText text = {{ids, true}, {tests::random_ids(random, 1'500, 40), true}, {ids, true}};
    const ForeignTuples tuples = collect(profile, text).value();
    const ForeignScores found = score(*mark, tuples);

    std::set<std::tuple<std::uint64_t, std::uint64_t, TokenId>> seen;
    std::vector<std::uint32_t> indices;
    std::vector<std::uint64_t> sums;
    const NullModel model = mark->null_model();
    for (std::size_t i = 0; i < tuples.tokens.size(); ++i) {
      const TokenSpan context = TokenSpan(tuples.contexts).subspan(i * tuples.width, tuples.width);
      const TokenSpan token = TokenSpan(tuples.tokens).subspan(i, 1);
      std::uint64_t sum = 0;
      bool fresh = true;
      for (unsigned key = 0; key < mark->keys() && fresh; ++key) {
        PrfInput input;
        std::uint64_t raw = 0;
        std::uint32_t units = 0;
        mark->inputs(key, context, token, {&input, 1});
        if (key == 0) fresh = seen.insert({input.a, input.b, input.token}).second;
        mark->raw_values(key, {&input, 1}, {&raw, 1});
        scores(*mark, {&raw, 1}, {&units, 1});
        sum += mark->keys() == 1 ? units : (key == 0 ? model.a : model.b) * units;
      }
      if (!fresh) continue;
      indices.push_back(static_cast<std::uint32_t>(i));
      sums.push_back(sum);
    }
    EXPECT_EQ(found.tuples, indices);
    EXPECT_EQ(found.scores, sums);
    EXPECT_LT(indices.size(), tuples.tokens.size());

    Tally total;
    for (const std::uint64_t sum : sums) total += Tally{1, sum};
    EXPECT_EQ(tally(*mark, tuples), total);
    // Memory that is kept remembers nothing.
    ForeignTallier tallier;
    EXPECT_EQ(tallier.tally(*mark, tuples), total);
    EXPECT_EQ(tallier.tally(*mark, tuples), total);
    EXPECT_EQ(tallier.tally(*mark, collect(profile, {}).value()), Tally{});
  }
}

}  // namespace
}  // namespace countermark::detect
