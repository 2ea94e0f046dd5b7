// SPDX-License-Identifier: Apache-2.0
// Text drawn as other systems draw it: against the slow references, against vLLM's own golden, and
// the laws that the sources promise.
#include "watermark/marks/foreign_sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>

#include "tests/support/laws.h"
#include "tests/support/vectors.h"

namespace countermark {
namespace {

using nlohmann::json;
using tests::SplitMix64;

SharedForeignMark mark_of(const std::string& profile, const std::string& key) {
  const auto parsed = ForeignProfile::parse(profile);
  if (!parsed) throw std::runtime_error(parsed.error().describe());
  const auto mark = ForeignMark::create(*parsed, ForeignKey::parse(key).value());
  if (!mark) throw std::runtime_error(mark.error().describe());
  return *mark;
}

// The rows of vLLM's golden and of the vectors.
std::vector<float> toy_logits(std::size_t position, std::size_t vocabulary) {
  std::vector<float> out;
  for (std::size_t token = 0; token < vocabulary; ++token)
    out.push_back((static_cast<float>((37 * token + 17 * position) % 131) - 56.0F) / 16.0F);
  return out;
}

TEST(ForeignSampler, DrawsWhatTheReferenceDraws) {
  std::map<std::string_view, std::size_t> marked;
  const json vectors = tests::load_foreign_vectors("draws");
  const Secret<16> plain_key(tests::unhex_array<16>(vectors.at("plainKey")));
  for (const json& entry : vectors.at("cases")) {
    SCOPED_TRACE(entry.at("profile").dump() + " " + entry.at("key").dump());
    const SharedForeignMark mark = mark_of(entry.at("profile").dump(), entry.at("key"));
    ForeignSampler sampler(mark, plain_key, entry.at("prompt").get<std::vector<TokenId>>());
    SamplingOptions options;
    options.temperature = entry.at("options").at(0);
    options.top_k = entry.at("options").at(1);
    options.top_p = entry.at("options").at(2);
    const std::vector<TokenId> ids = entry.at("ids");
    const std::string kinds = entry.at("kinds");
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const std::vector<float> row = toy_logits(i, entry.at("vocabulary"));
      const auto draw = sampler.draw({row}, options);
      ASSERT_TRUE(draw) << draw.error().describe();
      EXPECT_EQ(draw->token, ids[i]) << i;
      EXPECT_EQ(draw_kind_name(draw->kind)[0], kinds[i]) << i;
      if (const auto written = entry.at("laws").find(std::to_string(i));
          written != entry.at("laws").end()) {
        const auto law = sampler.law({row}, options);
        ASSERT_EQ(law->ids.size(), written->size());
        for (std::size_t j = 0; j < law->ids.size(); ++j) {
          EXPECT_EQ(law->ids[j], (*written)[j][0]);
          EXPECT_NEAR(law->weights[j], (*written)[j][1].get<double>(), 1e-11) << i << " " << j;
        }
      }
      sampler.commit(ids[i]);
      marked[mark->scheme().id] += draw->kind == DrawKind::kMarked ? 1U : 0U;
    }
  }
  for (const SchemeInfo* scheme : foreign_schemes())
    EXPECT_GE(marked[scheme->id], 50U) << scheme->id;
}

// The golden of vLLM's own tests.
TEST(ForeignSampler, WritesVllmsGolden) {
  const TokenId golden[] = {46, 24, 45,  80,  14,  26, 22,  124, 21,  45,  16, 30, 5,
                            89, 0,  10,  27,  70,  80, 62,  1,   11,  117, 53, 10, 45,
                            94, 37, 43,  22,  78,  49, 119, 9,   22,  118, 82, 75, 32,
                            24, 84, 27,  122, 66,  78, 64,  124, 17,  91,  12, 51, 15,
                            75, 64, 127, 45,  112, 15, 83,  114, 121, 109, 24, 77};
  ForeignSampler sampler(mark_of(R"({"scheme":"vllm-gumbel/philox4x32-10-v1"})", "int:42"), {}, {});
  for (std::size_t i = 0; i < std::size(golden); ++i) {
    const Draw draw = sampler.draw({toy_logits(i, 128)}, {}).value();
    EXPECT_EQ(draw.token, golden[i]) << i;
    EXPECT_EQ(draw.kind, DrawKind::kMarked);
    sampler.commit(draw.token);
  }
}

std::string random_key(const SchemeInfo& scheme, SplitMix64& random) {
  const auto hex = [&](std::size_t digits) {
    std::string out;
    while (out.size() < digits) out += "0123456789abcdef"[random.next() >> 60];
    return out;
  };
  if (scheme.key_form == ForeignKey::Form::kHex)
    return "hex:" + hex(scheme.has(Field::kMixing) ? 32 : 16);
  if (!scheme.has(Field::kDepth) || scheme.key_form == ForeignKey::Form::kInteger)
    return "int:" + std::to_string(random.next() >> 1);
  std::string out = "ints:";
  for (unsigned d = 0; d < scheme.defaults.depth; ++d)
    out += (d == 0 ? "" : ",") + std::to_string(random.next() >> 1);
  return out;
}

constexpr double kTokenLaw[] = {0.45, 0.25, 0.2, 0.1};

// Two tokens under random keys, numbered from 0.
std::vector<TokenId> two_tokens(const ForeignProfile& profile, SplitMix64& random) {
  // Ids from 1 on, since the contexts of SynthID begin with zeros; the last is cut by top-k.
  std::vector<float> row = {-std::numeric_limits<float>::infinity()};
  for (const double p : kTokenLaw) row.push_back(static_cast<float>(std::log(p)));
  row.push_back(-3);
  SamplingOptions options;
  options.top_k = std::size(kTokenLaw);
  const auto key = ForeignKey::parse(random_key(profile.scheme(), random)).value();
  ForeignSampler sampler(ForeignMark::create(profile, key).value(), random.secret<16>(),
                         std::vector<TokenId>{5, 6, 7, 8, 9, 10, 11, 12, 13, 14});
  std::vector<TokenId> out;
  for (int i = 0; i < 2; ++i) {
    const Draw draw = sampler.draw({row}, options).value();
    EXPECT_EQ(draw.kind, DrawKind::kMarked);
    sampler.commit(draw.token);
    out.push_back(draw.token - 1);
  }
  return out;
}

tests::JointLaw law_of_two_tokens() {
  return {std::vector<double>(std::begin(kTokenLaw), std::end(kTokenLaw)), 2};
}

// Schemes that leave the model's distribution alone, over random keys.
class UnbiasedLaws : public testing::TestWithParam<const char*> {};

TEST_P(UnbiasedLaws, TwoTokensFollowTheRowOverKeys) {
  const auto profile = ForeignProfile::parse(GetParam()).value();
  tests::expect_law(law_of_two_tokens(), 40'000, 71,
                    [&](SplitMix64& random) { return two_tokens(profile, random); });
}

INSTANTIATE_TEST_SUITE_P(
    Schemes, UnbiasedLaws,
    testing::Values(R"({"scheme":"vllm-gumbel/philox4x32-10-v1"})",
                    R"({"scheme":"vllm-dual-gumbel/philox4x32-10-v1","mixing":"1/3"})",
                    R"({"scheme":"vllm-synthid/1"})", R"({"scheme":"sglang-gumbel/1"})",
                    R"({"scheme":"sglang-dual-gumbel/1"})",
                    R"({"scheme":"synthid-text/2025-06"})"));

// The same with a table, whose making takes most of the time: a sixteenth of the usual one.
TEST(ForeignSamplerLaws, TheTableOfTransformersFollowsTheRowOverKeys) {
  const auto profile =
      ForeignProfile::parse(R"({"scheme":"hf-synthid/1","tableSize":4096})").value();
  tests::expect_law(law_of_two_tokens(), 4'000, 73,
                    [&](SplitMix64& random) { return two_tokens(profile, random); });
}

// TextSeal does not: its hash is affine in the key before the last steps, so that the levels of
// different tuples depend on each other under every key. The draw is the same as the others'.
TEST(ForeignSamplerLaws, TextSealsLevelsDependOnEachOther) {
  const auto profile = ForeignProfile::parse(R"({"scheme":"textseal/1"})").value();
  tests::expect_other_law(law_of_two_tokens(), 40'000, 71,
                          [&](SplitMix64& random) { return two_tokens(profile, random); });
}

// One row under one key, over plain keys: SynthID's tournament and the ordinary draws take the
// token from the law that they say.
TEST(ForeignSamplerLaws, OrdinaryRandomnessFollowsTheLaw) {
  std::vector<float> row;
  for (const double p : kTokenLaw) row.push_back(static_cast<float>(std::log(p)));
  for (const char* profile :
       {R"({"scheme":"vllm-synthid/1","depth":2})", R"({"scheme":"tgi-kgw/1","vocabSize":8})",
        R"({"scheme":"sglang-gumbel/1"})"}) {
    const auto parsed = ForeignProfile::parse(profile).value();
    SplitMix64 random(5);
    const auto key = ForeignKey::parse(random_key(parsed.scheme(), random)).value();
    const auto mark = ForeignMark::create(parsed, key).value();
    const std::vector<TokenId> prompt = {1};  // too short for SGLang: every draw is ordinary
    const Distribution law = ForeignSampler(mark, {}, prompt).law({row}, {}).value();
    std::vector<double> cells(row.size());
    for (std::size_t i = 0; i < law.ids.size(); ++i) cells[law.ids[i]] = law.weights[i];
    tests::expect_law(tests::JointLaw(cells, 1), 40'000, 72, [&](SplitMix64& keys) {
      const ForeignSampler sampler(mark, keys.secret<16>(), prompt);
      return std::vector{sampler.draw({row}, {}).value().token};
    });
  }
}

// Which tokens are green, in the order of ids.
std::vector<std::uint64_t> colours(const ForeignMark& mark, const std::vector<TokenId>& context,
                                   std::size_t vocabulary) {
  std::vector<TokenId> contexts, tokens;
  for (TokenId token = 0; token < vocabulary; ++token) {
    contexts.insert(contexts.end(), context.begin(), context.end());
    tokens.push_back(token);
  }
  std::vector<PrfInput> inputs(tokens.size());
  std::vector<std::uint64_t> out(tokens.size());
  mark.inputs(0, contexts, tokens, inputs);
  mark.raw_values(0, inputs, out);
  return out;
}

TEST(ForeignSampler, GreenListsAddDeltaToWhatTheSourceTests) {
  struct Case {
    const char* profile;
    std::size_t tested;
  };
  constexpr std::size_t kVocabulary = 64;
  const Case cases[] = {
      {R"({"scheme":"hf-kgw/1","vocabSize":64})", kVocabulary},
      {R"({"scheme":"hf-kgw/1","vocabSize":64,"prf":"selfhash"})", 40},
      {R"({"scheme":"lm-watermarking/1","vocabSize":64})", 41},
      {R"({"scheme":"lm-watermarking/1","vocabSize":64,"prf":"additive"})", kVocabulary},
      {R"({"scheme":"three-bricks-greenlist/1","vocabSize":64})", kVocabulary},
      {R"({"scheme":"vllm-sbw/1"})", kVocabulary},
      {R"({"scheme":"textseal/1","prf":"greenlist"})", kVocabulary},
  };
  // The likeliest token first, so that ids are ranks.
  std::vector<float> row;
  for (std::size_t i = 0; i < kVocabulary; ++i) row.push_back(-0.01F * static_cast<float>(i));
  const std::vector<TokenId> prompt = {3, 1, 4, 1, 5};
  for (const Case& each : cases) {
    SCOPED_TRACE(each.profile);
    const auto mark = mark_of(each.profile, "int:35317");
    const auto parameters = mark->profile().parameters();
    const Distribution law = ForeignSampler(mark, {}, prompt).law({row}, {}).value();
    const std::size_t width = mark->context_tokens();
    const auto green = colours(
        *mark,
        mark->scheme().padding
            ? std::vector<TokenId>(width, *mark->scheme().padding)
            : std::vector<TokenId>(prompt.end() - static_cast<std::ptrdiff_t>(width), prompt.end()),
        kVocabulary);
    ASSERT_EQ(law.ids.size(), kVocabulary);
    double total = 0;
    std::vector<double> expected;
    for (std::size_t i = 0; i < kVocabulary; ++i) {
      const double bias = i < each.tested && green[i] != 0 ? parameters.delta : 0;
      expected.push_back(std::exp(row[i] + bias));
      total += expected[i];
    }
    for (std::size_t i = 0; i < kVocabulary; ++i)
      EXPECT_NEAR(law.weights[i], expected[i] / total, 1e-7) << i;
  }
}

// The bias changes what top-k keeps, and TextSeal's does not.
TEST(ForeignSampler, TheBiasComesBeforeOrAfterTheCut) {
  std::vector<float> row(64);
  for (std::size_t i = 0; i < row.size(); ++i) row[i] = -0.01F * static_cast<float>(i);
  SamplingOptions options;
  options.top_k = 3;
  const std::vector<TokenId> prompt = {7};
  const auto ids = [&](const char* profile) {
    return ForeignSampler(mark_of(profile, "int:35317"), {}, prompt).law({row}, options)->ids;
  };
  const std::vector<TokenId> likeliest = {0, 1, 2};
  EXPECT_NE(ids(R"({"scheme":"tgi-kgw/1","vocabSize":64})"), likeliest);
  EXPECT_EQ(ids(R"({"scheme":"textseal/1","prf":"greenlist"})"), likeliest);
}

std::string kinds_of(const char* profile, const char* key, const std::vector<TokenId>& prompt,
                     const std::vector<TokenId>& text) {
  ForeignSampler sampler(mark_of(profile, key), {}, prompt);
  std::string out;
  for (const TokenId token : text) {
    out += draw_kind_name(sampler.draw({toy_logits(1, 16)}, {})->kind)[0];
    sampler.commit(token);
  }
  return out;
}

TEST(ForeignSampler, RepeatedContextsAreUnmarkedWithinTheHistory) {
  const std::vector<TokenId> text = {1, 2, 1, 3, 1, 4, 5, 6, 7, 1, 2};
  const char* const vllm = R"({"scheme":"vllm-gumbel/philox4x32-10-v1","contextWidth":1})";
  // The context of a token is the one before it.
  EXPECT_EQ(kinds_of(vllm, "int:7", {}, text), "mmmrmrmmmmr");
  EXPECT_EQ(kinds_of(vllm, "int:7", {1, 2}, text), "mmmrmrmmmmr");
  EXPECT_EQ(kinds_of(R"({"scheme":"sglang-gumbel/1","contextWidth":1})", "hex:7", {1}, text),
            "mrmrmrmmmmr");
  // Only the latest: a repeat at the same distance as the bound is known, one token later not.
  const char* const five =
      R"({"scheme":"synthid-text/2025-06","depth":1,"contextWidth":1,"historyLimit":5})";
  EXPECT_EQ(kinds_of(five, "int:7", {}, text), "mmmrmrmmmmr");
  const char* const four =
      R"({"scheme":"synthid-text/2025-06","depth":1,"contextWidth":1,"historyLimit":4})";
  EXPECT_EQ(kinds_of(four, "int:7", {}, text), "mmmrmrmmmmm");
  // A repeat is remembered as well: behind three contexts, then two.
  EXPECT_EQ(kinds_of(four, "int:7", {}, {1, 8, 9, 1, 8, 9, 1, 8}), "mmmmrrrr");
  const auto vllm_with = [&](const std::string& more) {
    const std::string profile =
        R"({"scheme":"vllm-gumbel/philox4x32-10-v1","contextWidth":1,)" + more + "}";
    return kinds_of(profile.c_str(), "int:7", {}, text);
  };
  EXPECT_EQ(vllm_with(R"("historyLimit":0)"), "mmmrmrmmmmr");
  EXPECT_EQ(vllm_with(R"("historyLimit":1)"), "mmmmmmmmmmm");
  EXPECT_EQ(vllm_with(R"("dedup":"none")"), "mmmmmmmmmmm");
  EXPECT_EQ(kinds_of(R"({"scheme":"tgi-kgw/1","vocabSize":16})", "int:7", {1}, text),
            "mmmmmmmmmmm");
  EXPECT_EQ(kinds_of(R"({"scheme":"textseal/1"})", "int:7", {1}, text), "mmmmmmmmmmm");
}

TEST(ForeignSampler, ContextsBeginWhereTheSourceBeginsThem) {
  const std::vector<TokenId> text = {1, 2, 3, 4};
  const char* const hf = R"({"scheme":"three-bricks-greenlist/1","vocabSize":16,"contextWidth":3})";
  EXPECT_EQ(kinds_of(hf, "int:7", {}, text), "sssm");
  EXPECT_EQ(kinds_of(hf, "int:7", {8, 9}, text), "smmm");
  // A self-salted window has one token before the one to come less.
  const char* const self =
      R"({"scheme":"hf-kgw/1","vocabSize":16,"contextWidth":3,"prf":"selfhash"})";
  EXPECT_EQ(kinds_of(self, "int:7", {}, text), "ssmm");
  // Padded contexts do not see the prompt, unless the profile says so.
  const auto law = [](const char* profile, const std::vector<TokenId>& prompt) {
    return ForeignSampler(mark_of(profile, "int:7"), {}, prompt)
        .law({toy_logits(1, 16)}, {})
        ->weights;
  };
  const char* const apart = R"({"scheme":"vllm-synthid/1"})";
  EXPECT_EQ(law(apart, {1, 2, 3, 4}), law(apart, {}));
  const char* const joined = R"({"scheme":"vllm-synthid/1","prompt":"included"})";
  EXPECT_NE(law(joined, {1, 2, 3, 4}), law(joined, {}));
}

TEST(ForeignSampler, UnmarkedDrawsSayWhy) {
  const auto mark = mark_of(R"({"scheme":"vllm-gumbel/philox4x32-10-v1"})", "int:7");
  const std::vector<float> row = toy_logits(1, 16);
  ForeignSampler sampler(mark, {}, {});
  SamplingOptions greedy;
  greedy.temperature = 0;
  const Draw first = sampler.draw({row}, greedy).value();
  EXPECT_EQ(first.kind, DrawKind::kGreedy);
  EXPECT_EQ(first.token, std::max_element(row.begin(), row.end()) - row.begin());
  SamplingOptions one;
  one.top_k = 1;
  EXPECT_EQ(sampler.draw({row}, one)->kind, DrawKind::kOneCandidate);
  sampler.never_mark(DrawKind::kOff);
  EXPECT_EQ(sampler.draw({row}, {})->kind, DrawKind::kOff);
  const std::vector<float> none(4, -std::numeric_limits<float>::infinity());
  EXPECT_EQ(sampler.draw({none}, {}).error().code, ErrorCode::kNoCandidate);
  // A green list looks at the row in another way, and says the same.
  const auto green = mark_of(R"({"scheme":"tgi-kgw/1","vocabSize":16})", "int:7");
  const std::vector<TokenId> prompt = {1};
  EXPECT_EQ(ForeignSampler(green, {}, prompt).draw({none}, {}).error().code,
            ErrorCode::kNoCandidate);
  EXPECT_EQ(ForeignSampler(green, {}, prompt).draw({row, prompt}, {}).error().code,
            ErrorCode::kInvalidArgument);
}

TEST(ForeignSampler, TokensBeyondTheListsVocabularyAreRed) {
  const auto mark = mark_of(R"({"scheme":"tgi-kgw/1","vocabSize":4})", "int:7");
  const std::vector<float> row(8, 0.0F);
  const Distribution law = ForeignSampler(mark, {}, std::vector<TokenId>{1}).law({row}, {}).value();
  for (std::size_t token = 4; token < 8; ++token)
    EXPECT_EQ(law.weights[token], *std::min_element(law.weights.begin(), law.weights.end()));
}

}  // namespace
}  // namespace countermark
