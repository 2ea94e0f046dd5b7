// SPDX-License-Identifier: Apache-2.0
// The detector against texts that are marked, marked for someone else, not marked, too short, or
// copied from a prompt.
#include "verifier/detect/detector.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "verifier/detect/report.h"
#include "verifier/detect/report_parts.h"
#include "verifier/stats/tail.h"
#include "watermark/sampler.h"

namespace countermark::detect {
namespace {

std::string json_line(const Detector& detector, const text::Document& document,
                      const Detection& detection) {
  const Subject subject = detector.subject();
  return to_json_line(document, {{&subject, 1}, 0, detection});
}

std::string text_of(const Detector& detector, const text::Document& document,
                    const Detection& detection) {
  const Subject subject = detector.subject();
  return to_text(document, {{&subject, 1}, 0, detection});
}

EpochKey key_of(const std::string& seed) {
  return EpochKey::create(Secret<32>(sha256(seed)), "model", "epoch")->decoy(as_bytes(seed), 0);
}

// `count` draws from a flat distribution over `vocabulary` tokens.
std::vector<TokenId> write_text(const EpochKey& key, const Identity& identity, std::size_t count,
                                std::size_t vocabulary = 64, const std::string& nonce = "nonce") {
  const NativeMark mark = *NativeMark::create(key, Profile::defaults());
  Response response(mark, identity, nonce, Secret<16>(), count);
  const std::vector<float> logits(vocabulary);
  SamplerWorkspace workspace;
  for (std::size_t i = 0; i < count; ++i)
    response.commit(sample({logits}, {}, response, {}, 0, workspace)->token);
  return {response.tokens().begin(), response.tokens().end()};
}

text::Document document_of(std::vector<std::vector<TokenId>> prompts, std::vector<TokenId> answer) {
  text::Document document;
  document.id = "test";
  for (auto& prompt : prompts) document.segments.push_back({"", std::move(prompt), true, false});
  document.segments.push_back({"", std::move(answer), true, true});
  return document;
}

Detection detect_text(const EpochKey& key, std::vector<TokenId> answer, Claim claim = {},
                      std::uint32_t decoys = 0) {
  const auto detector =
      Detector::create(key, Profile::defaults(), nullptr, std::move(claim), {}, decoys);
  return *detector->detect(document_of({}, std::move(answer)));
}

TEST(Detector, FindsTheMarkAndTheAccount) {
  const EpochKey key = key_of("a");
  const auto text = write_text(key, {"cohort", "alice"}, 300);
  const Detection shared = detect_text(key, text);
  EXPECT_EQ(shared.verdict, Verdict::kDetected);
  EXPECT_EQ(shared.evidence.hypotheses, 1U);
  EXPECT_TRUE(shared.streams.empty());

  const Detection claimed = detect_text(key, text, {"cohort", "alice", {}});
  EXPECT_EQ(claimed.verdict, Verdict::kDetected);
  EXPECT_LT(claimed.evidence.p.log10(), shared.evidence.p.log10());
  EXPECT_EQ(claimed.evidence.hypotheses, 8U);
  ASSERT_EQ(claimed.streams.size(), 2U);
  for (const StreamFinding& finding : claimed.streams)
    EXPECT_EQ(finding.verdict, Verdict::kDetected) << layer_name(finding.layer);
  const NativeMark mark = *NativeMark::create(key, Profile::defaults());
  EXPECT_EQ(claimed.streams[1].slots, std::vector<std::uint32_t>{mark.slot(2, "nonce")});
}

TEST(Detector, TheSumIsOneGammaOverAllClaimedLayers) {
  const EpochKey key = key_of("sum");
  const Detection claimed = detect_text(key, write_text(key, {"c", "a"}, 200), {"c", "a", {}});
  Tally total = detect_text(key, write_text(key, {"c", "a"}, 200)).evidence.tally;
  for (const StreamFinding& finding : claimed.streams) total += finding.evidence.tally;
  EXPECT_EQ(claimed.evidence.tally, total);
  EXPECT_EQ(claimed.evidence.p, stats::gamma_tail(total.n, total.sum).times(8));
  EXPECT_GE(claimed.evidence.asserted, claimed.evidence.floor);
}

TEST(Detector, AnotherAccountAndAnotherKeyFindNothingOfTheirOwn) {
  const EpochKey key = key_of("b");
  const auto text = write_text(key, {"cohort", "alice"}, 300);
  const Detection wrong_account = detect_text(key, text, {"", "bob", {}});
  EXPECT_EQ(wrong_account.streams[0].verdict, Verdict::kNotDetected);
  EXPECT_EQ(detect_text(key_of("c"), text, {"cohort", "alice", {}}).verdict, Verdict::kNotDetected);
}

TEST(Detector, SearchesAccountsAndCorrectsForAllOfThem) {
  const EpochKey key = key_of("d");
  const auto text = write_text(key, {"cohort", "account-417"}, 400);
  Claim claim;
  for (int i = 0; i < 1'000; ++i) claim.accounts.push_back("account-" + std::to_string(i));
  const Detection found = detect_text(key, text, claim);
  EXPECT_EQ(found.accounts_searched, 1'000U);
  ASSERT_EQ(found.streams.size(), 1U);
  EXPECT_EQ(found.streams[0].identity, "account-417");
  EXPECT_EQ(found.streams[0].evidence.hypotheses, 8'000U);
  // The headline is not touched by the search.
  EXPECT_EQ(found.evidence.hypotheses, 1U);
}

TEST(Detector, TooShortIsInconclusiveWhateverP) {
  const EpochKey key = key_of("e");
  const Detection detection = detect_text(key, write_text(key, {}, 20));
  EXPECT_EQ(detection.verdict, Verdict::kInconclusive);
  EXPECT_EQ(detection.reasons, std::vector<std::string>{"too-short"});
  const Detection empty = detect_text(key, {});
  EXPECT_EQ(empty.verdict, Verdict::kInconclusive);
  EXPECT_EQ(empty.evidence.p, stats::PValue());
}

TEST(Detector, RepeatsAddNothing) {
  const EpochKey key = key_of("f");
  const auto text = write_text(key, {}, 200);
  text::Document twice = document_of({}, text);
  twice.segments.push_back(twice.segments[0]);
  const auto detector = Detector::create(key, Profile::defaults(), nullptr, {}, {});
  const Detection once = *detector->detect(document_of({}, text));
  const Detection doubled = *detector->detect(twice);
  EXPECT_EQ(doubled.evidence.tally, once.evidence.tally);
  EXPECT_EQ(doubled.dropped.repeated_tuple, once.evidence.tally.n);
}

TEST(Detector, ContextsOfThePromptAreLeftOut) {
  const EpochKey key = key_of("g");
  const auto text = write_text(key, {}, 200);
  const auto detector = Detector::create(key, Profile::defaults(), nullptr, {}, {});
  const Detection alone = *detector->detect(document_of({}, text));
  const Detection echoed = *detector->detect(document_of({text}, text));
  EXPECT_EQ(echoed.evidence.tally.n, 0U);
  EXPECT_GT(alone.evidence.tally.n, 50U);
  EXPECT_EQ(echoed.dropped.prompt_context, alone.evidence.tally.n);
}

TEST(Detector, RefusesClaimsThatTheProfileCannotAnswer) {
  const Profile shared_only = *Profile::create({{LayerKind::kShared, 2, 65'536, 1}}, {});
  const Profile account_only = *Profile::create({{LayerKind::kAccount, 2, 65'536, 1}}, {});
  const EpochKey key = key_of("h");
  for (const auto& [profile, claim] :
       {std::pair{shared_only, Claim{"", "a", {}}}, std::pair{shared_only, Claim{"c", "", {}}},
        std::pair{account_only, Claim{}}, std::pair{Profile::defaults(), Claim{"", "a", {"b"}}}}) {
    const auto detector = Detector::create(key, profile, nullptr, claim, {});
    ASSERT_FALSE(detector);
    EXPECT_EQ(detector.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(Detector, NeedsATokenizerForText) {
  const auto detector = Detector::create(key_of("i"), Profile::defaults(), nullptr, {}, {});
  text::Document document;
  document.segments.push_back({"some text", {}, false, true});
  const auto detection = detector->detect(document);
  ASSERT_FALSE(detection);
  EXPECT_EQ(detection.error().code, ErrorCode::kMismatch);
}

TEST(Detector, LineUpRanksTheKeyFirstAndIsReproducible) {
  const EpochKey key = key_of("j");
  const auto text = write_text(key, {"", "alice"}, 300);
  const Detection a = detect_text(key, text, {"", "alice", {}}, 1'000);
  ASSERT_TRUE(a.line_up);
  EXPECT_EQ(a.line_up->rank, 1U);
  EXPECT_DOUBLE_EQ(a.line_up->p, 1.0 / 1'001);
  EXPECT_TRUE(a.line_up->calibrated);
  const Detection b = detect_text(key, text, {"", "alice", {}}, 1'000);
  EXPECT_EQ(b.line_up->seed, a.line_up->seed);
  EXPECT_EQ(b.line_up->mean, a.line_up->mean);
}

TEST(Detector, ALineUpDoesNotWithholdWhatIsTooShort) {
  const EpochKey key = key_of("m");
  EXPECT_EQ(detect_text(key, write_text(key, {}, 3), {}, 1'000).verdict, Verdict::kInconclusive);
}

TEST(Policy, HypothesesDoNotWrap) {
  EXPECT_EQ(hypotheses_of(3, 4), 12U);
  const std::uint64_t most = hypotheses_of(std::uint64_t{1} << 40, std::uint64_t{1} << 40);
  EXPECT_EQ(most, ~std::uint64_t{0});
  // The best of 2^80 combinations reaches any tail down to 2^-80 by chance.
  const Evidence countless = weigh({20, std::uint64_t{2'000} << 20}, most, 40);
  EXPECT_EQ(countless.p, stats::PValue());
  EXPECT_EQ(countless.asserted, stats::PValue());
  EXPECT_LT(weigh({20, std::uint64_t{2'000} << 20}, most - 1, 40).p.log10(), -700);
}

TEST(Report, AWithheldVerdictHasNoHeadlineP) {
  const EpochKey key = key_of("n");
  const auto detector = Detector::create(key, Profile::defaults(), nullptr, {}, {});
  const text::Document document = document_of({}, write_text(key, {}, 200));
  Detection detection = *detector->detect(document);
  detection.verdict = Verdict::kWithheld;
  const auto json = nlohmann::json::parse(json_line(*detector, document, detection));
  EXPECT_TRUE(json["pValue"].is_null());
  EXPECT_TRUE(json["log10P"].is_null());
  EXPECT_EQ(text_of(*detector, document, detection).find("log10 p"), std::string::npos);
}

TEST(Report, AWithheldVerdictTakesTheIdentitiesWithIt) {
  const EpochKey key = key_of("n");
  const Claim claim{"", "alice", {}};
  const auto detector = Detector::create(key, Profile::defaults(), nullptr, claim, {});
  const text::Document document = document_of({}, write_text(key, {"", "alice"}, 200));
  Detection detection = *detector->detect(document);
  ASSERT_EQ(detection.streams.at(0).verdict, Verdict::kDetected);
  withhold(detection);
  EXPECT_EQ(detection.verdict, Verdict::kWithheld);
  EXPECT_EQ(detection.streams[0].verdict, Verdict::kWithheld);
  EXPECT_EQ(detection.reasons, std::vector<std::string>{"decoys-not-calibrated"});
  const auto json = nlohmann::json::parse(json_line(*detector, document, detection));
  EXPECT_TRUE(json["streams"][0]["pValue"].is_null());
  EXPECT_TRUE(json["streams"][0]["log10P"].is_null());
  EXPECT_EQ(text_of(*detector, document, detection).find("log10 p"), std::string::npos);

  Detection too_short = *detector->detect(document_of({}, write_text(key, {"", "alice"}, 5)));
  withhold(too_short);
  EXPECT_EQ(too_short.verdict, Verdict::kInconclusive);
  EXPECT_EQ(too_short.streams[0].verdict, Verdict::kInconclusive);
  EXPECT_EQ(too_short.reasons, std::vector<std::string>{"too-short"});
}

TEST(Report, ChanceIsRoundedAsThePValueIs) {
  Evidence evidence;
  evidence.floor = stats::PValue::from_power_of_two(64);
  const auto by = [&evidence](double mantissa, std::int64_t exponent) {
    evidence.asserted = stats::PValue::from_parts(mantissa, exponent);
    return by_chance(evidence);
  };
  EXPECT_EQ(by(5.29, -8), "1 in 1.8e+07");  // 1.89e7
  EXPECT_EQ(by(1, -7), "1 in 1.0e+07");
  EXPECT_EQ(by(3, -1), "1 in 3");
  evidence.asserted = evidence.floor;
  EXPECT_EQ(by_chance(evidence), "at most 1 in 1.8e+19");
}

// Of a layer with a small share some decoys have no tuple in a text of which the key has enough.
TEST(Detector, DecoysWithoutATupleDoNotWithholdTheVerdict) {
  const auto profile = Profile::create(
      {{LayerKind::kShared, 2, 2'048, 1}, {LayerKind::kAccount, 2, 63'488, 1}}, std::nullopt);
  std::vector<TokenId> text(210);
  std::iota(text.begin(), text.end(), 0U);
  const text::Document document = document_of({}, text);
  const auto enough = [&](int i) {
    const auto detector =
        Detector::create(key_of("o" + std::to_string(i)), *profile, nullptr, {}, {});
    return detector->detect(document)->evidence.tally.n >= Policy{}.minimum_scored;
  };
  int found = 0;
  while (!enough(found)) ++found;
  const auto detector =
      Detector::create(key_of("o" + std::to_string(found)), *profile, nullptr, {}, {}, 1'000);
  const Detection detection = *detector->detect(document);
  EXPECT_EQ(detection.verdict, Verdict::kNotDetected);
  EXPECT_TRUE(detection.line_up->calibrated);
}

TEST(Detector, AKeyThatHasNothingToDoWithTheTextRanksAnywhere) {
  const auto text = write_text(key_of("k"), {}, 300);
  const Detection detection = detect_text(key_of("other"), text, {}, 200);
  EXPECT_EQ(detection.verdict, Verdict::kNotDetected);
  EXPECT_GT(detection.line_up->rank, 1U);
}

TEST(LineUp, WithholdsWhenDecoysAreNotUniform) {
  std::vector<stats::PValue> good;
  std::vector<stats::PValue> small;
  for (int i = 0; i < 1'000; ++i) {
    const double u = (i + 0.5) / 1'000;
    good.push_back(stats::PValue::from_double(u));
    small.push_back(stats::PValue::from_double(u * u));
  }
  const auto truth = stats::PValue::from_parts(1, -9);
  EXPECT_TRUE(compare(truth, good, good).calibrated);
  EXPECT_FALSE(compare(truth, small, small).calibrated);
  good[0] = stats::PValue::from_parts(1, -10);
  EXPECT_FALSE(compare(truth, good, good).calibrated);
  EXPECT_EQ(compare(truth, good, good).rank, 2U);

  // Decoys without a tuple are not judged; if most are, something is wrong.
  std::vector<stats::PValue> with_tuples;
  for (int i = 0; i < 600; ++i) with_tuples.push_back(stats::PValue::from_double((i + 0.5) / 600));
  EXPECT_TRUE(compare(truth, good, with_tuples).calibrated);
  with_tuples.clear();
  EXPECT_FALSE(compare(truth, good, with_tuples).calibrated);
  for (int i = 0; i < 400; ++i) with_tuples.push_back(stats::PValue::from_double((i + 0.5) / 400));
  EXPECT_FALSE(compare(truth, good, with_tuples).calibrated);
}

TEST(Policy, FloorAndPrfTermEnterWhatIsAsserted) {
  // 1,000 tuples with an enormous sum: the ideal p is far below what a 128-bit key can support.
  const Evidence strong = weigh({1'000, std::uint64_t{20'000} << 20}, 8, 4'000);
  EXPECT_LT(strong.p.log10(), -1'000);
  EXPECT_EQ(strong.floor, stats::PValue::from_power_of_two(64));
  EXPECT_EQ(strong.asserted, strong.floor);
  EXPECT_EQ(judge(strong, Policy{}), Verdict::kDetected);
  EXPECT_EQ(judge(weigh({15, std::uint64_t{300} << 20}, 1, 40), Policy{}), Verdict::kInconclusive);
  // m A^2 / 2^127 with A = 2^40 and m = 8 is 2^-44, however few tuples are scored.
  const Evidence few = weigh({1'000, std::uint64_t{20'000} << 20}, 8, 0x1p40);
  EXPECT_NEAR(few.floor.log10(), -44 * std::log10(2), 1e-9);
  EXPECT_GE(few.floor, stats::PValue::from_power_of_two(44));
  EXPECT_GE(few.asserted, few.floor);
  // Near 2^64 blocks nothing can be asserted.
  EXPECT_EQ(weigh({1'000, std::uint64_t{20'000} << 20}, 1, 0x1p64).asserted, stats::PValue());
}

TEST(Policy, ContextBlocksCountEveryWidthOnceAPosition) {
  EXPECT_NEAR(context_blocks(Profile::defaults().layers(), 1'000), 2'002, 1e-6);
  std::vector<Layer> all;
  for (unsigned width = 1; width <= kMaxWidth; ++width)
    all.push_back({LayerKind::kShared, width, kShareTotal / kMaxWidth, 1});
  EXPECT_NEAR(context_blocks(all, 1'000), 40'016, 1e-6);
  EXPECT_GE(context_blocks(all, 1'000), 40'016);
  EXPECT_GE(context_blocks(all, ~std::uint64_t{0}), 40 * 0x1p64);
}

TEST(Policy, TheFloorRisesOnlyForTextsOfBillionsOfTokens) {
  EXPECT_GT(weigh({16, 0}, 1, context_blocks(Profile::defaults().layers(), 1U << 31)).floor,
            stats::PValue::from_power_of_two(64));
  EXPECT_EQ(weigh({16, 0}, 1, context_blocks(Profile::defaults().layers(), 1U << 30)).floor,
            stats::PValue::from_power_of_two(64));
}

TEST(Report, JsonHasTheDocumentedFieldsAndIsStable) {
  const EpochKey key = key_of("l");
  const auto detector = Detector::create(key, Profile::defaults(), nullptr, {}, {});
  const text::Document document = document_of({}, write_text(key, {}, 200));
  const Detection detection = *detector->detect(document);
  const std::string line = json_line(*detector, document, detection);
  EXPECT_EQ(line, json_line(*detector, document, *detector->detect(document)));
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["schema"], "countermark.detect/1");
  EXPECT_EQ(json["statistic"], std::to_string(detection.evidence.tally.sum));
  EXPECT_EQ(json["nullModel"]["shape"], std::to_string(detection.evidence.tally.n));
  EXPECT_EQ(json["verdict"], "detected");
  EXPECT_NE(text_of(*detector, document, detection).find("detected"), std::string::npos);
}

}  // namespace
}  // namespace countermark::detect
