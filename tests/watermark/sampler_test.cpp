// SPDX-License-Identifier: Apache-2.0
// What the sampler makes of one row: odd logits, truncation at its boundaries, ties, and that a
// draw is a pure function of its arguments. Its statistics are in laws_test.cpp.
#include "watermark/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "tests/support/random.h"

namespace countermark::tests {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

class Sampler : public ::testing::Test {
 protected:
  // A draw that carries no mark, with fresh noise for each attempt.
  Result<Draw> draw(const std::vector<float>& logits, const SamplingOptions& options = {},
                    std::uint32_t attempt = 1, const std::vector<TokenId>& ids = {}) {
    return sample({logits, ids}, options, response_, {}, attempt, workspace_);
  }

  // Every token that turns up in many draws. With `n` equal candidates one is missed with
  // probability n (1 - 1/n)^draws, below 1e-13 for the tests here.
  std::set<TokenId> drawn(const std::vector<float>& logits, const SamplingOptions& options = {},
                          const std::vector<TokenId>& ids = {}) {
    std::set<TokenId> out;
    for (std::uint32_t attempt = 1; attempt <= 400; ++attempt)
      out.insert(draw(logits, options, attempt, ids).value().token);
    return out;
  }

  // What the options leave of the row.
  const Distribution& left(const std::vector<float>& logits, const SamplingOptions& options = {},
                           const std::vector<TokenId>& ids = {}) {
    const Status status = truncate({logits, ids}, options, mark_.kernel(), workspace_.truncation,
                                   workspace_.distribution);
    EXPECT_TRUE(status.has_value());
    return workspace_.distribution;
  }

  std::size_t candidates(const std::vector<float>& logits, const SamplingOptions& options = {}) {
    return left(logits, options).ids.size();
  }

  SplitMix64 random_{1};
  NativeMark mark_ = make_mark(random_.epoch_key(), one_layer(1));
  Response response_{mark_, {}, "nonce", random_.secret<16>(), 100};
  SamplerWorkspace workspace_;
};

using Tokens = std::set<TokenId>;

TEST_F(Sampler, NanAndMinusInfinityAreNeverDrawn) {
  const std::vector<float> logits = {kNan, 0, -kInf, 0, kNan};
  EXPECT_EQ(drawn(logits), (Tokens{1, 3}));
  EXPECT_EQ(candidates(logits), 2u);
  for (const SamplingOptions& options :
       {SamplingOptions{0}, SamplingOptions{1, 1}, SamplingOptions{1, 5},
        SamplingOptions{1, 0, 0.9}, SamplingOptions{1, 0, 1, 0.5}})
    for (const TokenId token : drawn(logits, options)) EXPECT_TRUE(token == 1 || token == 3);
}

TEST_F(Sampler, ARowWithoutANumberIsAnError) {
  for (const auto& logits : {std::vector<float>{}, {-kInf}, {kNan, kNan}, {-kInf, kNan, -kInf}}) {
    for (const SamplingOptions& options : {SamplingOptions{}, SamplingOptions{0}}) {
      const auto result = draw(logits, options);
      ASSERT_FALSE(result.has_value());
      EXPECT_EQ(result.error().code, ErrorCode::kNoCandidate);
    }
  }
}

TEST_F(Sampler, PlusInfinityTakesAll) {
  EXPECT_EQ(drawn({0, kInf, 5, kInf, kNan, -kInf}), (Tokens{1, 3}));
  EXPECT_EQ(drawn({0, kInf, 5, kInf}, {0.5, 3, 0.99, 0.1}), (Tokens{1, 3}));
  EXPECT_EQ(draw({0, kInf, 5})->kind, DrawKind::kOneCandidate);
  EXPECT_EQ(draw({0, kInf, 5, kInf}, {0})->token, 1u);
  EXPECT_EQ(left({0, kInf, 5, kInf}).probability(3), 0.5);
  EXPECT_EQ(left({0, kInf, 5, kInf}, {1, 0, 0.9}).probability(0), 0);
}

TEST_F(Sampler, OneCandidate) {
  const Draw only = draw({-kInf, -3e38F}).value();
  EXPECT_EQ(only.token, 1u);
  EXPECT_EQ(only.kind, DrawKind::kOneCandidate);
  EXPECT_EQ(left({-kInf, -3e38F}).probability(1), 1);
  // Others whose probability is 0 in double precision do not count.
  const Draw alone = draw({0, -2000}).value();
  EXPECT_EQ(alone.token, 0u);
  EXPECT_EQ(alone.kind, DrawKind::kOneCandidate);
  EXPECT_EQ(draw({0, 1, 2}, {1, 1})->token, 2u);
}

TEST_F(Sampler, TemperatureZeroTakesTheLargestAndAmongEqualsTheLowestId) {
  const Draw greedy = draw({1, 7, 3, 7}, {0}).value();
  EXPECT_EQ(greedy.token, 1u);
  EXPECT_EQ(greedy.kind, DrawKind::kGreedy);
  EXPECT_EQ(left({1, 7, 3, 7}, {0}).ids, std::vector<TokenId>{1});
  EXPECT_EQ(draw({7, 7}, {0}, 1, {9, 4})->token, 4u);
  // The other options cannot exclude it.
  EXPECT_EQ(draw({1, 7, 3, 7}, {0, 1, 0.01, 1})->token, 1u);
}

TEST_F(Sampler, ExtremeTemperatures) {
  EXPECT_EQ(drawn({0, 1e-30F}, {5e-324}), Tokens{1});
  EXPECT_EQ(drawn({0, 0, -1}, {5e-324}), (Tokens{0, 1}));
  EXPECT_EQ(drawn({-3e38F, 3e38F, 0}, {1e308}), (Tokens{0, 1, 2}));
}

TEST_F(Sampler, TopKKeepsExactlyKAndTheLowestIdsAmongEquals) {
  EXPECT_EQ(drawn({0, 0, 0, 0, 0}, {1, 2}), (Tokens{0, 1}));
  EXPECT_EQ(drawn({0, 1, 0, 1, 0}, {1, 3}), (Tokens{0, 1, 3}));
  EXPECT_EQ(drawn({0, 0, 0, 0, 0}, {1, 2}, {50, 40, 30, 20, 10}), (Tokens{10, 20}));
  EXPECT_EQ(drawn({0, 0, 0}, {1, 3}), (Tokens{0, 1, 2}));
  EXPECT_EQ(drawn({0, 0, 0}, {1, 4'000'000'000}), (Tokens{0, 1, 2}));
  EXPECT_EQ(drawn({0.0F, -0.0F, 0.0F}, {1, 2}), (Tokens{0, 1}));
}

// Every k on rows that are hard on selection algorithms, against a full sort.
TEST_F(Sampler, TopKOnAdversarialRows) {
  constexpr std::size_t kSize = 257;
  std::vector<std::vector<float>> rows(6, std::vector<float>(kSize));
  for (std::size_t i = 0; i < kSize; ++i) {
    const auto x = static_cast<float>(i);
    rows[0][i] = 0.001F * x;
    rows[1][i] = -0.001F * x;
    rows[2][i] = 0.001F * static_cast<float>(i % 3);
    rows[3][i] = 0.001F * std::min(x, static_cast<float>(kSize) - x);
    rows[4][i] = std::nextafter(1.0F, i % 2 == 0 ? 2.0F : 0.0F);
    rows[5][i] = static_cast<float>(random_.below(5)) - 2.0F;
  }
  rows[5][7] = kNan;
  rows[5][8] = -kInf;
  for (const auto& row : rows) {
    std::vector<TokenId> order;
    for (TokenId id = 0; id < kSize; ++id)
      if (row[id] > -kInf) order.push_back(id);
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return row[a] > row[b]; });
    for (std::uint32_t k = 1; k <= kSize; k = k < 8 ? k + 1 : 2 * k - 3) {
      const std::size_t kept = std::min<std::size_t>(k, order.size());
      EXPECT_EQ(
          left(row, {1, k}).ids,
          std::vector<TokenId>(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept)))
          << k;
    }
  }
}

TEST_F(Sampler, TopPAtTheExactMass) {
  const std::vector<float> equal(4, -3);
  for (const auto& [top_p, kept] :
       {std::pair{0.25, 1u}, std::pair{std::nextafter(0.25, 1.0), 2u}, std::pair{0.5, 2u},
        std::pair{std::nextafter(0.5, 1.0), 3u}, std::pair{0.75, 3u},
        std::pair{std::nextafter(0.75, 0.0), 3u}, std::pair{1e-300, 1u},
        std::pair{std::nextafter(1.0, 0.0), 4u}, std::pair{1.0, 4u}})
    EXPECT_EQ(candidates(equal, {1, 0, top_p}), kept) << top_p;
  EXPECT_EQ(drawn(equal, {1, 0, 0.5}), (Tokens{0, 1}));
  // Probabilities 0.6, 0.3, 0.1 in another order.
  const std::vector<float> skewed = {std::log(0.1F), std::log(0.6F), std::log(0.3F)};
  EXPECT_EQ(drawn(skewed, {1, 0, 0.59}), Tokens{1});
  EXPECT_EQ(drawn(skewed, {1, 0, 0.61}), (Tokens{1, 2}));
  EXPECT_EQ(drawn(skewed, {1, 0, 0.89}), (Tokens{1, 2}));
  EXPECT_EQ(drawn(skewed, {1, 0, 0.91}), (Tokens{0, 1, 2}));
  // The mass is of what top-k kept, at the temperature: 2/3 and 1/3; then sqrt(2) to 1.
  EXPECT_EQ(drawn(skewed, {1, 2, 0.66}), Tokens{1});
  EXPECT_EQ(drawn(skewed, {1, 2, 0.67}), (Tokens{1, 2}));
  EXPECT_EQ(drawn(skewed, {2, 2, 0.58}), Tokens{1});
  EXPECT_EQ(drawn(skewed, {2, 2, 0.59}), (Tokens{1, 2}));
}

TEST_F(Sampler, MinPIsAFractionOfTheTop) {
  const std::vector<float> skewed = {std::log(0.1F), std::log(0.6F), std::log(0.3F)};
  EXPECT_EQ(drawn(skewed, {1, 0, 1, 0.16}), (Tokens{0, 1, 2}));
  EXPECT_EQ(drawn(skewed, {1, 0, 1, 0.17}), (Tokens{1, 2}));
  EXPECT_EQ(drawn(skewed, {1, 0, 1, 0.49}), (Tokens{1, 2}));
  EXPECT_EQ(drawn(skewed, {1, 0, 1, 0.51}), Tokens{1});
  EXPECT_EQ(drawn({0, 0, -1e-3F}, {1, 0, 1, 1}), (Tokens{0, 1}));
  EXPECT_EQ(drawn({-1e4F, 0, -1e3F}, {1, 0, 1, 0}), Tokens{1});
}

TEST_F(Sampler, OptionsOutOfRangeAreNamed) {
  EXPECT_TRUE(check_sampling_options({}).has_value());
  EXPECT_TRUE(check_sampling_options({0, 0xFFFFFFFF, 5e-324, 1}).has_value());
  EXPECT_TRUE(check_sampling_options({1e308, 0, 1, 0}).has_value());
  const double nan = kNan, inf = kInf;
  const auto expect_named = [](const SamplingOptions& options, const std::string& name) {
    const Status status = check_sampling_options(options);
    ASSERT_FALSE(status.has_value());
    EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(status.error().message.find(name), std::string::npos) << status.error().message;
  };
  for (const double bad : {-1e-300, -1.0, nan, inf, -inf})
    expect_named({bad, 0, 1, 0}, "temperature");
  for (const double bad : {0.0, -0.1, 1.0000001, nan, inf}) expect_named({1, 0, bad, 0}, "top-p");
  for (const double bad : {-0.1, 1.0000001, nan, inf}) expect_named({1, 0, 1, bad}, "min-p");
}

// Engines that switch top-k off by a number as large as the vocabulary get the same cut, to the
// last bit, and without a sort of the whole row. Where top-p asks for exactly the mass of a run,
// the order of a sum decides.
TEST_F(Sampler, ATopKThatKeepsAllIsNone) {
  for (int round = 0; round < 300; ++round) {
    std::vector<float> row(700 + random_.below(300));
    for (float& logit : row) logit = static_cast<float>(8 * random_.unit());
    const Distribution all = left(row);
    double mass = 0;
    for (std::size_t i = 0; i < row.size() / 2; ++i) mass += all.weights[i];
    const SamplingOptions options{1, 0, mass / all.total()};
    const std::size_t kept = candidates(row, options);
    for (const std::uint32_t extra : {0u, 1u, 100'000u}) {
      SamplingOptions with_top_k = options;
      with_top_k.top_k = static_cast<std::uint32_t>(row.size()) + extra;
      ASSERT_EQ(candidates(row, with_top_k), kept) << round;
    }
  }
}

// Such a row is refused before it is read.
TEST_F(Sampler, ARowHasAtMostAsManyEntriesAsThereAreIds) {
  const float one = 1;
  LogitsRow row(std::span<const float>(&one, 1));
  row.logits.size = (std::size_t{1} << 32) + 1;
  const auto result = sample(row, {}, response_, {}, 1, workspace_);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(Sampler, AsManyIdsAsLogits) {
  for (const auto& ids : {std::vector<TokenId>{1}, {1, 2, 3}}) {
    const auto result = draw({0, 0}, {}, 1, ids);
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
  }
}

// The engine may hand over its candidates in any order, or the dense row with the rest at -inf.
TEST_F(Sampler, ListsInAnyOrderAndDenseRowsDrawAlike) {
  response_.commit(3);
  for (int round = 0; round < 300; ++round) {
    std::vector<float> dense(200, -kInf);
    std::vector<TokenId> ids;
    for (TokenId id = 0; id < dense.size(); ++id) {
      if (random_.below(8) != 0) continue;
      ids.push_back(id);
      dense[id] = static_cast<float>(random_.below(6));  // with ties
    }
    if (ids.size() < 2) continue;
    const SamplingOptions options{0.25 * (1 + random_.below(8)), random_.below(12),
                                  random_.below(2) == 0 ? 1 : 0.8, random_.below(2) * 0.05};
    for (const std::uint32_t attempt : {0u, 1u}) {
      const Draw expected = draw(dense, options, attempt).value();
      for (int shuffle = 0; shuffle < 5; ++shuffle) {
        for (std::size_t i = ids.size(); i > 1; --i)
          std::swap(ids[i - 1], ids[random_.below(static_cast<std::uint32_t>(i))]);
        std::vector<float> logits;
        for (const TokenId id : ids) logits.push_back(dense[id]);
        const Draw listed = draw(logits, options, attempt, ids).value();
        EXPECT_EQ(listed.token, expected.token);
        EXPECT_EQ(listed.kind, expected.kind);
        const double probability = left(logits, options, ids).probability(listed.token);
        EXPECT_NEAR(left(dense, options).probability(listed.token), probability, 1e-14);
      }
    }
  }
}

TEST_F(Sampler, IsPureWhateverTheWorkspaceHeld) {
  const std::vector<float> row = {0, 1, 2, 3}, other(1000, 0.5F);
  response_.commit(5);
  const Draw first = draw(row, {1, 0, 0.9}, 0).value();
  EXPECT_EQ(first.kind, DrawKind::kMarked);
  EXPECT_EQ(draw(row, {1, 0, 0.9}, 1)->kind, DrawKind::kRedraw);
  const std::vector<TokenId> path = {1, 2, 3};
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(sample({other}, {}, response_, path, 0, workspace_).has_value());
    ASSERT_FALSE(draw({kNan}).has_value());
    const Draw again = draw(row, {1, 0, 0.9}, 0).value();
    EXPECT_EQ(again.token, first.token);
    EXPECT_EQ(again.kind, first.kind);
    SamplerWorkspace fresh;
    EXPECT_EQ(sample({row}, {1, 0, 0.9}, response_, {}, 0, fresh)->token, first.token);
  }
  EXPECT_EQ(response_.tokens().size(), 1u);
  EXPECT_EQ(response_.history().size(), 0u);
}

// Against softmax in extended precision, truncated as documented.
TEST_F(Sampler, ProbabilitiesAreTheSoftmax) {
  for (std::uint32_t round = 1; round <= 2000; ++round) {
    std::vector<float> logits(2 + random_.below(100));
    for (float& logit : logits) logit = static_cast<float>(20 * random_.unit() - 10);
    const double temperature = 0.1 + 2 * random_.unit();
    const std::uint32_t top_k = random_.below(2) * (1 + random_.below(20));
    const SamplingOptions options{temperature, top_k};
    const TokenId token = draw(logits, options, round)->token;
    std::vector<float> sorted = logits;
    std::sort(sorted.rbegin(), sorted.rend());
    if (top_k > 0 && top_k < sorted.size()) sorted.resize(top_k);
    const long double chosen = logits.at(token);
    ASSERT_GE(chosen, sorted.back());
    long double total = 0;
    for (const long double logit : sorted) total += std::exp((logit - chosen) / temperature);
    EXPECT_NEAR(left(logits, options).probability(token), static_cast<double>(1 / total), 1e-12);
  }
}

// The race over a whole row skips what cannot win; over the same row as a list it skips nothing.
TEST_F(Sampler, TheRaceOverARowIsTheRaceOverItsList) {
  std::vector<TokenId> tokens = {7};
  for (const TokenId token : tokens) response_.commit(token);
  std::set<TokenId> drawn;
  for (int round = 0; round < 3000; ++round) {
    std::vector<float> row(2 + random_.below(round % 10 == 0 ? 5000 : 300));
    const double spread = std::pow(10.0, 3 * random_.unit() - 1);
    for (float& logit : row) logit = static_cast<float>(spread * random_.unit());
    if (round % 3 == 0) row[random_.below(static_cast<std::uint32_t>(row.size()))] = -kInf;
    if (round % 5 == 0) row[random_.below(static_cast<std::uint32_t>(row.size()))] = kNan;
    if (round % 7 == 0) std::fill(row.begin(), row.end(), -2.5F);
    std::vector<TokenId> ids(row.size());
    std::iota(ids.begin(), ids.end(), 0u);
    const SamplingOptions options{round % 2 == 0 ? 1 : 0.05 + 3 * random_.unit()};
    const auto attempt = static_cast<std::uint32_t>(round % 4 == 0 ? 0 : round);
    const Draw whole = draw(row, options, attempt).value();
    const Draw listed = draw(row, options, attempt, ids).value();
    EXPECT_EQ(whole.token, listed.token) << round;
    EXPECT_EQ(whole.kind, listed.kind);
    drawn.insert(whole.token);
  }
  EXPECT_GT(drawn.size(), 300u);
}

TEST_F(Sampler, TheRaceOverARowAtItsEdges) {
  EXPECT_EQ(drawn(std::vector<float>(3, -3e38F)), (Tokens{0, 1, 2}));
  EXPECT_EQ(drawn({3e38F, -3e38F, 3e38F}), (Tokens{0, 2}));
  EXPECT_EQ(drawn({0, 0, -1}, {1e-4}), (Tokens{0, 1}));
  EXPECT_EQ(drawn({0, -1, -2}, {1e7}), (Tokens{0, 1, 2}));
}

// Top-p and min-p by themselves look at a part of the row first; what they keep is what a list,
// which is looked at whole, keeps.
TEST_F(Sampler, ASearchedRowIsCutLikeItsList) {
  std::vector<TokenId> ids(20'000);
  std::iota(ids.begin(), ids.end(), 0u);
  std::set<std::size_t> sizes;
  for (const double spread : {0.0, 0.5, 4.0, 30.0}) {
    std::vector<float> row(ids.size());
    for (float& logit : row) logit = static_cast<float>(spread * random_.unit());
    row[3] = kNan;
    row[4] = -kInf;
    for (const SamplingOptions& options :
         {SamplingOptions{1, 0, 0.5}, SamplingOptions{1, 0, 0.999},
          SamplingOptions{0.7, 0, 0.9, 0.1}, SamplingOptions{1, 0, 1, 0.01},
          SamplingOptions{1, 0, 1, 1}}) {
      const std::vector<TokenId> expected = left(row, options, ids).ids;
      EXPECT_EQ(left(row, options).ids, expected) << spread;
      sizes.insert(expected.size());
    }
  }
  EXPECT_GT(sizes.size(), 8u);
}

TEST_F(Sampler, RowsInHalfPrecision) {
  response_.commit(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::uint16_t> upper(700), half(700);
    std::vector<float> of_upper(700), of_half(700);
    for (std::size_t i = 0; i < upper.size(); ++i) {
      // Numbers between 1 and 16, exactly representable; binary16 has three exponent bits fewer.
      const std::uint32_t fraction = random_.below(128);
      const std::uint32_t exponent = random_.below(4);
      upper[i] = static_cast<std::uint16_t>((127 + exponent) << 7 | fraction);
      half[i] = static_cast<std::uint16_t>((15 + exponent) << 10 | fraction << 3);
      of_upper[i] = of_half[i] =
          static_cast<float>((1 + fraction / 128.0) * static_cast<double>(1u << exponent));
    }
    upper[9] = 0xff80;
    half[9] = 0xfc00;
    of_upper[9] = -kInf;
    const auto attempt = static_cast<std::uint32_t>(round);
    for (const SamplingOptions& options : {SamplingOptions{2}, SamplingOptions{3, 50, 0.95}}) {
      const TokenId expected = draw(of_upper, options, attempt)->token;
      EXPECT_EQ(sample(LogitsRow::bf16(upper), options, response_, {}, attempt, workspace_)->token,
                expected);
      EXPECT_EQ(sample(LogitsRow::f16(half), options, response_, {}, attempt, workspace_)->token,
                expected);
    }
  }
}

TEST_F(Sampler, EveryKindOfDrawHasItsName) {
  std::set<std::string> names;
  for (std::size_t kind = 0; kind < kDrawKinds; ++kind) {
    const std::string name = draw_kind_name(static_cast<DrawKind>(kind));
    EXPECT_FALSE(name.empty());
    EXPECT_TRUE(names.insert(name).second);
  }
  EXPECT_STREQ(draw_kind_name(static_cast<DrawKind>(kDrawKinds)), "");
}

}  // namespace
}  // namespace countermark::tests
