// SPDX-License-Identifier: Apache-2.0
// Verdicts about other systems' marks: by law where there is one, by rank where the law is only a
// model, and corrected for all tests of a panel.
#include "verifier/detect/foreign_detector.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/support/foreign.h"
#include "tests/support/vectors.h"
#include "verifier/detect/panel.h"
#include "verifier/detect/report.h"
#include "watermark/prf/philox.h"

namespace countermark::detect {
namespace {

using stats::PValue;
using tests::foreign_key;
using tests::foreign_profile;
using Reasons = std::vector<std::string>;

const std::string kGumbel = R"({"scheme":"vllm-gumbel/philox4x32-10-v1"})";
// Of a key that nobody can guess.
constexpr const char* kLongKey = "int:5577006791947779410";

ForeignDetector detector_of(const std::string& profile, const std::string& key, double alpha = 1e-6,
                            std::uint32_t decoys = 0, std::uint64_t tests = 1) {
  Policy policy;
  policy.alpha = PValue::from_decimal(alpha);
  policy.tests = tests;
  return ForeignDetector::create(foreign_key(key), foreign_profile(profile), policy, decoys)
      .value();
}

std::vector<TokenId> golden() {
  return tests::load_foreign_vectors("published").at("sequences").at("golden");
}

std::vector<TokenId> unmarked(std::size_t count = 200) {
  tests::RandomNumbers random(11);
  return tests::random_ids(random, count, 50'000);
}

// A text whose tokens are the best of a few under the mark.
std::vector<TokenId> marked(const std::string& profile, const std::string& key, std::size_t count) {
  const ForeignProfile parsed = foreign_profile(profile);
  return tests::planted_ids(*ForeignMark::create(parsed, foreign_key(key)).value(), count, 900, 5);
}

TEST(ForeignDetector, TheGoldenTextIsAsProbableAsItsSourceSays) {
  const Detection detection = detector_of(kGumbel, "int:42").detect({{golden(), true}}).value();
  EXPECT_EQ(detection.tokens, 64U);
  EXPECT_EQ(detection.evidence.tally.n, 64U);
  // The lower edge of each cell: a little less than the published sum, and so a bound.
  const double published = std::log10(7.1281962809e-61);
  EXPECT_GE(detection.evidence.p.log10(), published);
  EXPECT_NEAR(detection.evidence.p.log10(), published, 1e-3);
  EXPECT_NEAR(static_cast<double>(detection.evidence.tally.sum) * 0x1p-20, 296.272957878563, 1e-3);
  const Detection other = detector_of(kGumbel, "int:43").detect({{golden(), true}}).value();
  EXPECT_NEAR(other.evidence.p.to_double(), 0.520844793689, 1e-4);
}

TEST(ForeignDetector, ALawThatHoldsDecidesAlone) {
  const auto text = marked(kGumbel, kLongKey, 150);
  const Detection found = detector_of(kGumbel, kLongKey).detect({{text, true}}).value();
  EXPECT_EQ(found.verdict, Verdict::kDetected);
  EXPECT_TRUE(found.evidence.model_reasons.empty());
  EXPECT_EQ(found.evidence.asserted, std::max(found.evidence.p, PValue::from_power_of_two(64)));
  EXPECT_TRUE(found.reasons.empty());
  EXPECT_EQ(detector_of(kGumbel, "int:5577006791947779411").detect({{text, true}})->verdict,
            Verdict::kNotDetected);
}

// Nothing below 2^-64 is asserted, and the ideal p-value is shown all the same.
TEST(ForeignDetector, NobodyAssertsMoreThanAKeyHasBits) {
  const auto text = marked(kGumbel, kLongKey, 600);
  const Evidence evidence = detector_of(kGumbel, kLongKey).detect({{text, true}})->evidence;
  EXPECT_LT(evidence.p.log10(), -64);
  EXPECT_EQ(evidence.asserted, PValue::from_power_of_two(64));
}

TEST(ForeignDetector, TooShortIsInconclusiveWhateverP) {
  auto text = golden();
  text.resize(15);
  const Detection detection = detector_of(kGumbel, kLongKey).detect({{text, true}}).value();
  EXPECT_EQ(detection.verdict, Verdict::kInconclusive);
  EXPECT_EQ(detection.reasons, Reasons{"too-short"});
  EXPECT_EQ(detector_of(kGumbel, kLongKey).detect({})->evidence.p, PValue());
}

// A published key: whatever the tail says, only the rank among decoys decides.
TEST(ForeignDetector, OfAModelTheRankDecides) {
  const TokenText text = {{golden(), true}};
  for (const std::uint32_t decoys : {0U, 98U}) {
    const Detection few = detector_of(kGumbel, "int:42", 1e-2, decoys).detect(text).value();
    EXPECT_EQ(few.verdict, Verdict::kInconclusive);
    EXPECT_EQ(few.reasons, Reasons{"too-few-decoys"});
    EXPECT_EQ(few.evidence.model_reasons, Reasons{"public-key"});
  }
  const Detection found = detector_of(kGumbel, "int:42", 1e-2, 99).detect(text).value();
  EXPECT_EQ(found.verdict, Verdict::kDetected);
  EXPECT_EQ(found.line_up->rank, 1U);
  EXPECT_EQ(found.evidence.asserted, PValue::from_parts(1, -2));
  EXPECT_EQ(found.evidence.floor, PValue::from_parts(1, -2));
  EXPECT_LT(found.evidence.p.log10(), -60);
  const Detection other = detector_of(kGumbel, "int:43", 1e-2, 100).detect(text).value();
  EXPECT_EQ(other.verdict, Verdict::kNotDetected);
  EXPECT_GT(other.line_up->rank, 1U);
  // A tail that would be enough is not.
  const TokenText any = {{unmarked(), true}};
  const Detection not_found = detector_of(kGumbel, "int:42", 1e-2, 100).detect(any).value();
  EXPECT_EQ(not_found.verdict, Verdict::kNotDetected);
  EXPECT_EQ(not_found.evidence.asserted,
            PValue().scaled(not_found.line_up->rank, not_found.line_up->decoys + 1));
}

TEST(ForeignDetector, AShortTextIsTooShortBeforeDecoysAreTooFew) {
  auto text = golden();
  text.resize(15);
  EXPECT_EQ(detector_of(kGumbel, "int:42").detect({{text, true}})->reasons, Reasons{"too-short"});
}

// SBW's lefthash multiplies the key by the sum of the context: behind token 0 every key has the
// same words, and a text that is full of its green ones looks marked under all of them.
TEST(ForeignDetector, ATextThatEveryKeyFitsIsNobodys) {
  const std::string profile = R"({"scheme":"vllm-sbw/1","prf":"lefthash","dedup":"tuple"})";
  std::vector<TokenId> ids;
  for (TokenId id = 1; ids.size() < 400; ++id) {
    std::uint32_t word = 0;
    const std::uint64_t seed = 0;
    sbw_words({&seed, 1}, {&id, 1}, {&word, 1});
    if ((word & 0x7fffffff) < 0x3fffffff) ids.insert(ids.end(), {0, id});
  }
  const TokenText text = {{ids, true}};
  const Detection alone = detector_of(profile, kLongKey).detect(text).value();
  EXPECT_LT(alone.evidence.p, stats::PValue::from_parts(1, -15));
  EXPECT_EQ(alone.reasons, Reasons{"too-few-decoys"});
  const Detection ranked = detector_of(profile, kLongKey, 1e-2, 1'000).detect(text).value();
  EXPECT_FALSE(ranked.line_up->calibrated);
  EXPECT_EQ(ranked.verdict, Verdict::kNotDetected);
}

TEST(ForeignDetector, DecoysOfAnOrdinaryTextAreCalibrated) {
  const TokenText text = {{unmarked(), true}};
  for (const SchemeInfo* scheme : foreign_schemes()) {
    // A thousand tables of a million entries: that a model's decoys are calibrated decides nothing.
    if (scheme->has(Field::kVocabSize)) continue;
    const ForeignProfile profile = foreign_profile(*scheme, 0);
    tests::RandomNumbers random(5);
    const auto detector =
        ForeignDetector::create(tests::random_foreign_key(profile, random), profile, {}, 1'000);
    const Detection detection = detector->detect(text).value();
    EXPECT_TRUE(detection.line_up->calibrated)
        << scheme->id << " " << detection.line_up->mean << " " << detection.line_up->variance;
    EXPECT_NE(detection.verdict, Verdict::kDetected);
  }
}

// ---- Panels.

text::Document document_of(std::vector<TokenId> ids) {
  text::Document document;
  document.id = "test";
  document.segments.push_back({"", std::move(ids), true, true});
  return document;
}

Panel panel_of(std::uint64_t tests, std::uint32_t decoys) {
  std::vector<Panel::Test> all;
  const auto add = [&](AnyDetector detector) { all.push_back({std::move(detector), nullptr}); };
  add(detector_of(kGumbel, kLongKey, 1e-6, decoys, tests));
  add(detector_of(R"({"scheme":"textseal/1"})", kLongKey, 1e-6, decoys, tests));
  Policy policy;
  policy.tests = tests;
  const EpochKey key = EpochKey::create(Secret<32>(), "model", "epoch").value();
  add(Detector::create(key, Profile::defaults(), nullptr, {}, policy, decoys).value());
  return Panel(std::move(all));
}

TEST(Panel, EveryPValueIsCorrectedForAllTests) {
  for (const auto& ids : {unmarked(), marked(kGumbel, kLongKey, 150)}) {
    const text::Document document = document_of(ids);
    const auto alone = panel_of(1, 0).detect(document).value();
    const auto together = panel_of(3, 0).detect(document).value();
    ASSERT_EQ(together.size(), 3U);
    for (std::size_t i = 0; i < together.size(); ++i) {
      EXPECT_EQ(together[i].evidence.hypotheses, 3U);
      EXPECT_EQ(together[i].evidence.p, alone[i].evidence.p.times(3)) << i;
      EXPECT_LE(together[i].evidence.p, PValue());
      EXPECT_EQ(together[i].evidence.tally, alone[i].evidence.tally);
    }
  }
  // At most 1.
  const auto countless = panel_of(1'000'000, 0).detect(document_of(unmarked())).value();
  for (const Detection& detection : countless) EXPECT_EQ(detection.evidence.p, PValue());
}

TEST(Panel, TheRankOfAModelIsCorrectedToo) {
  const TokenText text = {{golden(), true}};
  const auto detect = [&](std::uint32_t decoys) {
    return detector_of(kGumbel, "int:42", 1e-2, decoys, 4).detect(text).value();
  };
  EXPECT_EQ(detect(400).evidence.asserted, PValue::from_double(1.0 / 401).times(4));
  EXPECT_EQ(detect(300).reasons, Reasons{"too-few-decoys"});
  EXPECT_EQ(detect(400).verdict, Verdict::kDetected);
}

TEST(Panel, NamesItsTestsAndReportsEachWithTheLedger) {
  const Panel panel = panel_of(3, 0);
  const std::vector<Subject>& subjects = panel.subjects();
  EXPECT_EQ(subjects.at(0).scheme, "vllm-gumbel/philox4x32-10-v1");
  EXPECT_EQ(subjects.at(1).scheme, "textseal/1");
  EXPECT_EQ(subjects.at(2).scheme, "countermark/1");
  const text::Document document = document_of(unmarked());
  const auto found = panel.detect(document).value();
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto json = nlohmann::json::parse(to_json_line(document, {subjects, i, found[i]}));
    EXPECT_EQ(json.at("scheme"), subjects[i].scheme);
    EXPECT_EQ(json.at("ledger").at("test"), i);
    EXPECT_EQ(json.at("ledger").at("tests").size(), 3U);
    EXPECT_NE(to_text(document, {subjects, i, found[i]}).find("of 3, all p-values corrected"),
              std::string::npos);
  }
}

TEST(Panel, TheSameForAnyNumberOfThreads) {
  const Panel panel = panel_of(3, 150);
  const std::vector<Subject>& subjects = panel.subjects();
  const text::Document document = document_of(marked(kGumbel, kLongKey, 100));
  const auto lines = [&](unsigned threads) {
    std::string out;
    const auto found = panel.detect(document, threads).value();
    for (std::size_t i = 0; i < found.size(); ++i)
      out += to_json_line(document, {subjects, i, found[i]}) + "\n";
    return out;
  };
  const std::string one = lines(1);
  EXPECT_EQ(lines(2), one);
  EXPECT_EQ(lines(7), one);
  EXPECT_EQ(lines(1'000), one);
}

TEST(Panel, AnIdThatAProfileDoesNotHaveNamesTheDocument) {
  std::vector<Panel::Test> tests;
  tests.push_back({detector_of(R"({"scheme":"hf-kgw/1","vocabSize":100})", "int:7"), nullptr});
  text::Document document = document_of({1, 2, 100});
  document.input = "answers.jsonl";
  document.field = "ids";
  document.offset = 17;
  const auto detection = Panel(std::move(tests)).detect(document);
  ASSERT_FALSE(detection);
  EXPECT_EQ(detection.error().code, ErrorCode::kMismatch);
  EXPECT_EQ(detection.error().file, "answers.jsonl");
  EXPECT_EQ(detection.error().field, "ids");
  EXPECT_EQ(detection.error().offset, 17U);
}

}  // namespace
}  // namespace countermark::detect
