// SPDX-License-Identifier: Apache-2.0
// What counts of marked text, in which order, and that nobody is accused by it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "tests/support/random_numbers.h"
#include "verifier/audit/walk.h"
#include "watermark/prf/hash.h"

namespace countermark::audit {
namespace {

using detect::TokenSegment;
using tests::RandomNumbers;

EpochKey key_of(std::uint32_t number) {
  return EpochKey::create(Secret<32>(sha256("walk")), "model", "epoch")
      ->decoy(as_bytes("walk"), number);
}

std::unique_ptr<const scan::Test> native(const char* profile, std::uint32_t key = 0,
                                         const char* account = "") {
  auto test = scan::make_test(key_of(key), *Profile::parse(profile), {.account = account}, {});
  return std::move(*test);
}

constexpr const char* kShared =
    R"({"scheme":"countermark/1","layers":[{"name":"shared","share":65536,"slots":1,"width":2}]})";
constexpr const char* kSlots =
    R"({"scheme":"countermark/1","layers":[{"name":"shared","share":65536,"slots":4,"width":2}]})";

std::vector<TokenId> run_of(TokenId first, std::size_t size) {
  std::vector<TokenId> out(size);
  std::iota(out.begin(), out.end(), first);
  return out;
}

Exhibit read(std::vector<TokenId> ids, std::vector<TokenId> predicted = {}) {
  return {{TokenSegment{std::move(ids), true, std::move(predicted)}}, {}};
}

Walk walked(const scan::Test& test, const Material& material,
            std::optional<std::uint64_t> planned = {}) {
  auto out = walk(test, material, planned);
  EXPECT_TRUE(out);
  return *std::move(out);
}

TEST(Walk, EachContextCountsOnce) {
  const auto test = native(kShared);
  const std::vector<TokenId> text = run_of(10, 102);
  const std::vector<TokenId> other(102, 7);
  const Walk once = walked(*test, {Order::kAsRead, {read(text)}, {}});
  EXPECT_EQ(once.all.tally.n, 100U);
  EXPECT_EQ(once.tokens, 102U);
  // Other tokens at contexts that have been seen.
  const Walk twice = walked(*test, {Order::kAsRead, {read(text), read(text, other)}, {}});
  EXPECT_EQ(twice.all.tally, once.all.tally);
  EXPECT_EQ(twice.repeated, 100U);
  // Of answers each tuple counts.
  EXPECT_EQ(walked(*test, {Order::kAsAnswered, {read(text), read(text, other)}, {}}).all.tally.n,
            200U);
  EXPECT_EQ(walked(*test, {Order::kAsAnswered, {read(text), read(text)}, {}}).all.tally.n, 100U);
}

TEST(Walk, WhereNothingWasPredictedNothingIsScored) {
  const auto test = native(kShared);
  Exhibit half = read(run_of(10, 102), std::vector<TokenId>(102, 7));
  for (std::uint32_t place = 2; place < 102; place += 2) half.text[0].unpredicted.push_back(place);
  // A response before it moves the places.
  half.text.insert(half.text.begin(), TokenSegment{run_of(900, 32), true});
  std::vector<scan::Sheet> sheets;
  ASSERT_TRUE(test->scorer(scan::Columns::kScoresAndContexts)->score(half.text, sheets));
  EXPECT_EQ(sheets[0].tally(0).n, 30 + 50U);
  EXPECT_EQ(sheets[0].contexts.size(), 80U);
  EXPECT_EQ(sheets[0].positions[31], 32U + 5);
}

TEST(Walk, TheFirstCount) {
  const auto test = native(kShared);
  const Material both{Order::kAsRead, {read(run_of(10, 102)), read(run_of(500, 102))}, {}};
  const Material first{Order::kAsRead, {read(run_of(10, 102)), read(run_of(500, 52))}, {}};
  const Walk planned = walked(*test, both, 150);
  EXPECT_EQ(planned.all.tally, walked(*test, first).all.tally);
  EXPECT_EQ(planned.behind_the_first, 50U);
}

TEST(Walk, WhatWasShownIsNotScored) {
  const auto test = native(kShared);
  const std::vector<TokenId> text = run_of(10, 102);
  const Exhibit shown{{TokenSegment{run_of(50, 40), false, {}}, TokenSegment{{1, 2}, true, {}}},
                      {}};
  for (const Order order : {Order::kAsRead, Order::kAsAnswered}) {
    // From then on.
    EXPECT_EQ(walked(*test, {order, {read(text), shown}, {}}).all.tally.n, 100U);
    EXPECT_LT(walked(*test, {order, {shown, read(text)}, {}}).all.tally.n, 65U);
  }
  // In any text, before it was shown or after.
  EXPECT_LT(walked(*test, {Order::kAsLogged, {read(text), shown}, {read(text)}}).all.tally.n, 65U);
}

TEST(Walk, OnlyWhatTheLogHasInItsOrder) {
  const auto test = native(kShared);
  const Material log{Order::kAsLogged,
                     {read(run_of(500, 102)), read(run_of(10, 102)), read(run_of(900, 102))},
                     {read(run_of(10, 102)), read(run_of(500, 102))}};
  const Walk all = walked(*test, log);
  EXPECT_EQ(all.all.tally.n, 200U);
  EXPECT_EQ(all.not_logged, 100U);
  EXPECT_EQ(walked(*test, log, 100).all.tally,
            walked(*test, {Order::kAsRead, {read(run_of(10, 102))}, {}}).all.tally);
}

TEST(Walk, ASlotThatIsKnown) {
  const auto test = native(kSlots);
  Exhibit text = read(run_of(10, 102));
  const Walk unknown = walked(*test, {Order::kAsRead, {text}, {}});
  EXPECT_EQ(unknown.all.tally.n, 400U);
  std::uint64_t sum = 0;
  for (std::uint32_t slot = 0; slot < 4; ++slot) {
    text.slots = {slot};
    const Walk known = walked(*test, {Order::kAsRead, {text}, {}});
    EXPECT_EQ(known.all.tally.n, 100U);
    sum += known.all.tally.sum;
    // The log tells it for what is answered.
    EXPECT_EQ(walked(*test, {Order::kAsLogged, {read(run_of(10, 102))}, {text}}).all.tally,
              known.all.tally);
  }
  EXPECT_EQ(sum, unknown.all.tally.sum);
  text.slots = {4};
  const auto wrong = walk(*test, {Order::kAsRead, {text}, {}}, {});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::kMismatch);
}

TEST(Walk, StreamsByThemselves) {
  const auto test = native(
      R"({"scheme":"countermark/1","layers":[{"name":"shared","share":32768,"slots":1,"width":2},
          {"name":"account","share":32768,"slots":1,"width":3}]})",
      0, "alice");
  const Walk both = walked(*test, {Order::kAsRead, {read(run_of(10, 1003))}, {}});
  ASSERT_EQ(both.streams.size(), 2U);
  EXPECT_EQ(both.streams[0].tally.n + both.streams[1].tally.n, both.all.tally.n);
  EXPECT_EQ(both.streams[0].tally.sum + both.streams[1].tally.sum, both.all.tally.sum);
  EXPECT_GT(both.streams[1].tally.n, 400U);
}

TEST(Walk, ListsThatDependOnTheTokenAreRefused) {
  const auto profile = ForeignProfile::parse(
      R"({"scheme":"hf-kgw/1","vocabSize":1000,"prf":"selfhash","contextWidth":4})");
  ASSERT_TRUE(profile) << profile.error().message;
  const auto test = scan::make_test(*ForeignKey::parse("int:1"), *profile, {}, {});
  ASSERT_TRUE(test);
  const auto out = walk(**test, {Order::kAsRead, {read(run_of(10, 102))}, {}}, {});
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, ErrorCode::kUnsupported);
}

// A suspect that copies what it reads, under keys that have marked the text: the law of N scores,
// and of the bet. 2,000 keys.
TEST(WalkLaws, ACopyIsNoEvidence) {
  constexpr std::uint32_t kKeys = 2'000;
  constexpr std::uint64_t kPlanned = 80;
  RandomNumbers random(11);
  std::uint64_t below = 0, above = 0, bet = 0, per_text = 0;
  for (std::uint32_t k = 0; k < kKeys; ++k) {
    const auto test = native(kShared, k);
    const auto scorer = test->scorer();
    // Of three candidates the text has the one with the highest score: few words, often repeated.
    std::vector<Exhibit> texts;
    for (int t = 0; t < 8; ++t) {
      std::vector<TokenId> ids = {static_cast<TokenId>(random.below(12)),
                                  static_cast<TokenId>(random.below(12))};
      for (int i = 0; i < 60; ++i) {
        std::vector<scan::Sheet> sheets;
        std::pair<std::uint32_t, TokenId> best{0, 0};
        for (int c = 0; c < 3; ++c) {
          const auto token = static_cast<TokenId>(random.below(12));
          const std::vector<TokenId> end = {*(ids.end() - 2), ids.back(), token};
          EXPECT_TRUE(scorer->score({TokenSegment{end, true, {}}}, sheets));
          best = std::max(best, std::pair(sheets[0].scores[0][0], token));
        }
        ids.push_back(best.second);
      }
      // What stood behind the last two tokens before, in any text.
      std::vector<TokenId> predicted(ids.size(), 0);
      for (std::size_t at = 2; at < ids.size(); ++at)
        for (const Exhibit& seen : texts)
          for (std::size_t i = 2; i < seen.text[0].ids.size(); ++i)
            if (seen.text[0].ids[i - 2] == ids[at - 2] && seen.text[0].ids[i - 1] == ids[at - 1])
              predicted[at] = seen.text[0].ids[i];
      texts.push_back(read(std::move(ids), std::move(predicted)));
    }
    const Walk out = walked(*test, {Order::kAsRead, texts, {}}, kPlanned);
    if (out.all.tally.n < kPlanned) continue;
    const double p = detect::tail(test->null_model(), out.all.tally).to_double();
    below += p <= 0.01 ? 1U : 0U;
    above += p >= 0.99 ? 1U : 0U;
    bet += out.all.most.p_value().to_double() <= 0.01 ? 1U : 0U;
    // With the rule off, each text by itself: the copy is found.
    detect::Tally each;
    for (const Exhibit& text : texts) each += walked(*test, {Order::kAsRead, {text}, {}}).all.tally;
    per_text += detect::tail(test->null_model(), each).to_double() <= 0.01 ? 1U : 0U;
  }
  // Binomial(2,000, .01): 45 is passed once in 10^6.
  EXPECT_LE(below, 45U);
  EXPECT_LE(above, 45U);
  EXPECT_GT(above + below, 10U);
  EXPECT_LE(bet, 45U);
  EXPECT_GT(per_text, kKeys / 2);
}

// Why what a later prompt shows is scored before. Somebody goes on from an answer where the key
// chose what the suspect, which knows nothing, does not expect; the answer is the next prompt then.
TEST(WalkLaws, WhetherSomebodyGoesOnDependsOnTheKey) {
  const auto test = native(kShared);
  const auto scorer = test->scorer();
  std::vector<scan::Sheet> sheets;
  std::vector<Exhibit> texts;
  for (TokenId context = 0; context < 40'000; context += 2) {
    const std::vector<TokenId> expected = {context, context + 1, 7};
    ASSERT_TRUE(scorer->score({TokenSegment{expected, true, {}}}, sheets));
    const bool is_chosen = static_cast<double>(sheets[0].scores[0][0]) / 0x1p20 > 0.5;
    texts.push_back({{TokenSegment{expected, true, {}}}, {}});
    if (is_chosen) continue;
    texts.push_back({{TokenSegment{{context, context + 1, 8}, false, {}},
                      TokenSegment{{context + 100'000, context + 100'001, 9}, true, {}}},
                     {}});
  }
  const auto mean = [&](Order order) {
    const auto tally =
        walked(*test, {order, texts, order == Order::kAsLogged ? texts : std::vector<Exhibit>{}})
            .all.tally;
    return static_cast<double>(tally.sum) / 0x1p20 / static_cast<double>(tally.n);
  };
  EXPECT_NEAR(mean(Order::kAsRead), 1, 0.035);  // five standard errors
  EXPECT_GT(mean(Order::kAsLogged), 1.2);       // hence the check `first-turns`
}

// Why predictions of a suspect with another tokenizer are refused of marked text. At each place two
// tokens are possible, of probability .6 and .4, and the key chooses as a server does. A suspect
// that knows nothing expects the first; but only where the first stands does one of its own tokens
// begin, so that only there it has a prediction.
TEST(WalkLaws, PlacesThatTheChosenTokenDecidesAreNoSample) {
  const auto test = native(kShared);
  const auto scorer = test->scorer();
  std::vector<scan::Sheet> sheets;
  const auto score_of = [&](TokenId context, TokenId token) {
    EXPECT_TRUE(scorer->score({TokenSegment{{context, context + 1, token}, true}}, sheets));
    return static_cast<double>(sheets[0].scores[0][0]) / 0x1p20;
  };
  // ln u / p is largest for the token that is drawn; a score is -ln(1 - u).
  const auto race = [](double score, double p) { return std::log(-std::expm1(-score)) / p; };
  double all = 0;
  double left = 0;
  int places = 0;
  constexpr TokenId kContexts = 20'000;
  for (TokenId context = 0; context < kContexts; ++context) {
    const double first = score_of(context, 1);
    const double second = score_of(context, 2);
    all += first;
    if (race(first, 0.6) < race(second, 0.4)) continue;
    left += first;
    ++places;
  }
  // Of independent scores the mean has a standard error of .007.
  EXPECT_NEAR(all / kContexts, 1, 0.035);
  EXPECT_NEAR(left / places, 1.36, 0.05);
}

}  // namespace
}  // namespace countermark::audit
