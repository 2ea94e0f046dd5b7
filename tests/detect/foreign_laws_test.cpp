// SPDX-License-Identifier: Apache-2.0
// For every scheme: a text that has nothing to do with the key accuses no more keys than it says,
// and a text that was drawn under a key is found under it.
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "tests/support/foreign.h"
#include "tests/support/stat_test.h"
#include "verifier/detect/foreign_detector.h"
#include "verifier/detect/policy.h"

namespace countermark::detect {
namespace {

using tests::RandomNumbers;
using tests::StatTest;

// Small lists: a key's shuffle takes as many steps as there are tokens.
constexpr std::uint32_t kVocabulary = 60;

constexpr std::array kLevels = {1e-1, 1e-2};

struct Accused {
  std::array<std::uint64_t, kLevels.size()> keys{};
};

Accused accused(const ForeignProfile& profile, const TokenText& text, std::uint64_t keys,
                std::uint64_t seed) {
  RandomNumbers random(seed);
  const ForeignTuples tuples = collect(profile, text).value();
  ForeignTallier tallier;
  Accused out;
  for (std::uint64_t i = 0; i < keys; ++i) {
    const SharedForeignMark mark =
        ForeignMark::create(profile, tests::random_foreign_key(profile, random)).value();
    const Tally tally = tallier.tally(*mark, tuples);
    EXPECT_GT(tally.n, 0U);
    const double p = tail(mark->null_model(), tally).to_double();
    for (std::size_t j = 0; j < kLevels.size(); ++j) out.keys[j] += p <= kLevels[j] ? 1U : 0U;
  }
  return out;
}

// At most as many keys as each level says and, of a law that is continuous, no fewer at the first.
void expect_uniform(const ForeignProfile& profile, std::uint32_t vocabulary, std::uint64_t keys) {
  SCOPED_TRACE(profile.canonical_json());
  RandomNumbers one_key(1);
  const NullLaw law = ForeignMark::create(profile, tests::random_foreign_key(profile, one_key))
                          .value()
                          ->null_model()
                          .law;
  const bool continuous =
      law == NullLaw::kExponentialBound || law == NullLaw::kTwoExponentialBounds;
  const StatTest test{1e-6, 2 * (kLevels.size() + 1) * (foreign_schemes().size() + 10)};
  RandomNumbers random(2);
  std::vector<TokenId> repeated = tests::random_ids(random, 20, vocabulary);
  for (int i = 0; i < 2; ++i)
    repeated.insert(repeated.end(), repeated.begin(), repeated.begin() + 20);
  const std::vector<TokenText> texts = {{{tests::random_ids(random, 80, vocabulary), true}},
                                        // Without the rule that an input counts once these would
                                        // accuse the innocent.
                                        {{repeated, true}, {repeated, true}}};
  for (std::size_t t = 0; t < texts.size(); ++t) {
    const Accused found = accused(profile, texts[t], keys, 3 + t);
    for (std::size_t j = 0; j < kLevels.size(); ++j)
      EXPECT_LE(static_cast<double>(found.keys[j]), test.most(keys, kLevels[j]))
          << "text " << t << ", level " << kLevels[j];
    if (continuous) {
      EXPECT_GE(static_cast<double>(found.keys[0]), test.least(keys, kLevels[0])) << t;
    }
  }
}

TEST(ForeignLaws, PValuesOfRandomKeysAreUniform) {
  for (const SchemeInfo* scheme : foreign_schemes())
    expect_uniform(tests::foreign_profile(*scheme, kVocabulary), kVocabulary,
                   scheme->has(Field::kVocabSize) ? 1'000 : 2'000);
}

TEST(ForeignLaws, PValuesOfTheOtherVariantsAreUniform) {
  for (const char* variant :
       {R"({"scheme":"vllm-sbw/1","prf":"lefthash"})",
        R"({"scheme":"textseal/1","prf":"textseal","contextWidth":2})",
        R"({"scheme":"textseal/1","prf":"greenlist","gamma":"1/4"})",
        R"({"scheme":"lm-watermarking/1","vocabSize":60,"prf":"additive"})",
        R"({"scheme":"lm-watermarking/1","vocabSize":60,"prf":"minhash","contextWidth":4})"})
    expect_uniform(tests::foreign_profile(variant), kVocabulary, 1'000);
  // A shuffle of a million entries a key.
  expect_uniform(tests::foreign_profile(
                     R"({"scheme":"hf-kgw/1","vocabSize":60,"prf":"selfhash","contextWidth":4})"),
                 kVocabulary, 50);
}

TEST(ForeignLaws, PlantedMarksAreFoundAndRankFirst) {
  RandomNumbers random(4);
  for (const SchemeInfo* scheme : foreign_schemes()) {
    SCOPED_TRACE(scheme->id);
    const ForeignProfile profile = tests::foreign_profile(*scheme, 500);
    const ForeignKey key = tests::random_foreign_key(profile, random);
    const SharedForeignMark mark = ForeignMark::create(profile, key).value();
    Policy policy;
    policy.alpha = stats::PValue::from_decimal(1e-2);
    const auto detector = ForeignDetector::create(key, profile, policy, 100);
    const Detection found =
        detector->detect({{tests::planted_ids(*mark, 120, 500, 6), true}}).value();
    EXPECT_LT(found.evidence.p.log10(), -8);
    EXPECT_EQ(found.line_up->rank, 1U);
    EXPECT_EQ(found.verdict, Verdict::kDetected);
    const Detection plain = detector->detect({{tests::random_ids(random, 120, 500), true}}).value();
    EXPECT_GT(plain.evidence.p.log10(), -4);
  }
}

}  // namespace
}  // namespace countermark::detect
