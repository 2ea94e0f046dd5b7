// SPDX-License-Identifier: Apache-2.0
// Every foreign scheme from end to end: the embedded model writes with its mark, and its scores
// show it under the key and not under another.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ostream>
#include <set>
#include <tuple>

#include "corpora/answer.h"

namespace countermark::corpora {
namespace {

constexpr std::size_t kTokens = 400;

struct Written {
  const char* profile;
  const char* key;
  const char* other_key;
};

void PrintTo(const Written& written, std::ostream* out) { *out << written.profile; }

const LanguageModel& embedded_model() {
  static const LanguageModel model = LanguageModel::load(std::string(COUNTERMARK_SOURCE_DIR) +
                                                         "/corpora/model/weights.safetensors")
                                         .value();
  return model;
}

SharedForeignMark mark_of(const char* profile, const std::string& key) {
  return ForeignMark::create(ForeignProfile::parse(profile).value(), ForeignKey::parse(key).value())
      .value();
}

// How many standard deviations the sum of the scores of distinct tuples lies above its mean, if the
// text had nothing to do with the key. Only whole contexts of the answer itself are read.
double standard_score(const ForeignMark& mark, TokenSpan ids) {
  const std::size_t width = mark.context_tokens();
  std::set<std::tuple<std::uint64_t, std::uint64_t, TokenId>> seen;
  std::vector<TokenId> contexts, tokens;
  for (std::size_t i = width; i < ids.size(); ++i) {
    PrfInput input;
    mark.inputs(0, ids.subspan(i - width, width), ids.subspan(i, 1), {&input, 1});
    if (!seen.insert({input.a, input.b, input.token}).second) continue;
    contexts.insert(contexts.end(), ids.begin() + static_cast<std::ptrdiff_t>(i - width),
                    ids.begin() + static_cast<std::ptrdiff_t>(i));
    tokens.push_back(ids[i]);
  }
  std::array<double, 2> sums{};
  for (unsigned key = 0; key < mark.keys(); ++key) {
    std::vector<PrfInput> inputs(tokens.size());
    std::vector<std::uint64_t> raw(tokens.size());
    std::vector<std::uint32_t> each(tokens.size());
    mark.inputs(key, contexts, tokens, inputs);
    mark.raw_values(key, inputs, raw);
    scores(mark, raw, each);
    for (const std::uint32_t score : each) sums[key] += score;
  }
  const auto n = static_cast<double>(tokens.size());
  const NullModel model = mark.null_model();
  const auto a = static_cast<double>(model.a);
  const auto b = static_cast<double>(model.b);
  switch (model.law) {
    case NullLaw::kExponentialBound:
      return (sums[0] * 0x1p-20 - n) / std::sqrt(n);
    case NullLaw::kTwoExponentialBounds:
      return (a * sums[0] * 0x1p-20 + b * sums[1] * 0x1p-20 - (a + b) * n) /
             std::sqrt(n * (a * a + b * b));
    case NullLaw::kGreenList:
    case NullLaw::kGreen:
      return (sums[0] - n * a / b) / std::sqrt(n * a / b * (1 - a / b));
    case NullLaw::kBits:
      return (sums[0] - n * a / 2) / std::sqrt(n * a / 4);
  }
  return 0;
}

Answer write(const SharedForeignMark& mark, bool marked = true) {
  AnswerRequest request;
  request.prompt = {300, 301, 302, 303, 304};
  request.plain_key = Secret<16>(std::array<std::uint8_t, 16>{7});
  request.sampling.top_p = 0.95;
  request.max_tokens = kTokens;
  request.may_end = false;
  request.marked = marked;
  Generation generation(embedded_model());
  return write_answer(generation, embedded_model(), mark, request).value();
}

const Written kWritten[] = {
    {R"({"scheme":"vllm-gumbel/philox4x32-10-v1"})", "int:1234567890123456789", "int:42"},
    {R"({"scheme":"vllm-dual-gumbel/philox4x32-10-v1"})", "int:42", "int:43"},
    {R"({"scheme":"vllm-sbw/1"})", "int:42", "int:43"},
    {R"({"scheme":"vllm-sbw/1","prf":"lefthash"})", "int:42", "int:43"},
    {R"({"scheme":"vllm-synthid/1"})", "int:42", "int:43"},
    {R"({"scheme":"sglang-gumbel/1"})", "hex:0123456789abcdef", "hex:fedcba9876543210"},
    {R"({"scheme":"sglang-dual-gumbel/1"})", "hex:0123456789abcdeffedcba9876543210",
     "hex:1111222233334444555566667777aaaa"},
    {R"({"scheme":"hf-kgw/1","vocabSize":4096})", "int:15485863", "int:15485867"},
    {R"({"scheme":"hf-kgw/1","vocabSize":4096,"prf":"selfhash","contextWidth":4})", "int:15485863",
     "int:15485867"},
    {R"({"scheme":"hf-synthid/1","depth":8})", "ints:654,400,836,123,340,443,597,160",
     "ints:11,22,33,44,55,66,77,88"},
    {R"({"scheme":"synthid-text/2025-06","depth":8})", "ints:654,400,836,123,340,443,597,160",
     "ints:11,22,33,44,55,66,77,88"},
    {R"({"scheme":"lm-watermarking/1","vocabSize":4096})", "int:15485863", "int:15485867"},
    {R"({"scheme":"lm-watermarking/1","vocabSize":4096,"prf":"additive"})", "int:15485863",
     "int:15485867"},
    {R"({"scheme":"tgi-kgw/1","vocabSize":4096})", "int:15485863", "int:15485867"},
    {R"({"scheme":"three-bricks-greenlist/1","vocabSize":4096,"contextWidth":2,"delta":2})",
     "int:7", "int:8"},
    {R"({"scheme":"textseal/1","contextWidth":2})", "int:42", "int:1000"},
    {R"({"scheme":"textseal/1","contextWidth":2,"prf":"textseal"})", "int:42", "int:1000"},
    {R"({"scheme":"textseal/1","contextWidth":2,"prf":"greenlist"})", "int:42", "int:1000"}};

class ForeignAnswer : public testing::TestWithParam<Written> {};

TEST_P(ForeignAnswer, CarriesItsMark) {
  const SharedForeignMark mark = mark_of(GetParam().profile, GetParam().key);
  const SharedForeignMark other = mark_of(GetParam().profile, GetParam().other_key);
  const Answer answer = write(mark);
  ASSERT_EQ(answer.ids.size(), kTokens);
  EXPECT_GT(answer.marked(), kTokens / 2);  // contexts of one token repeat
  EXPECT_TRUE(answer.slots.empty());
  const double own = standard_score(*mark, answer.ids);
  const double others = standard_score(*other, answer.ids);
  RecordProperty("deviations", std::to_string(own));
  RecordProperty("deviations_under_another_key", std::to_string(others));
  EXPECT_GT(own, 7);
  EXPECT_LT(std::abs(others), 4.9);  // chance: once in a million
}

INSTANTIATE_TEST_SUITE_P(Schemes, ForeignAnswer, testing::ValuesIn(kWritten));

TEST(ForeignAnswers, EverySchemeIsAmongThem) {
  for (const SchemeInfo* scheme : foreign_schemes())
    EXPECT_TRUE(std::any_of(std::begin(kWritten), std::end(kWritten), [&](const Written& each) {
      return ForeignProfile::parse(each.profile)->scheme().id == scheme->id;
    })) << scheme->id;
}

TEST(ForeignAnswers, WithoutTheMarkTheyDoNotCarryIt) {
  const SharedForeignMark mark = mark_of(R"({"scheme":"vllm-gumbel/philox4x32-10-v1"})", "int:42");
  const Answer answer = write(mark, false);
  EXPECT_EQ(answer.marked(), 0U);
  EXPECT_LT(std::abs(standard_score(*mark, answer.ids)), 4.9);
}

}  // namespace
}  // namespace countermark::corpora
