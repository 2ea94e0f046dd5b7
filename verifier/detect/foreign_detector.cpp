// SPDX-License-Identifier: Apache-2.0
#include "verifier/detect/foreign_detector.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>
#include <utility>

#include "verifier/stats/published.h"
#include "watermark/prf/hash.h"

namespace countermark::detect {
namespace {

// Of more decoys than this a calibration learns nothing that matters.
constexpr std::uint32_t kCalibrated = 1'000;

// A decoy's p-value for the look at all of them, in double precision where there is one: a count's
// mid-p, which is uniform where its p-value is larger.
stats::PValue calibration_p(const NullModel& model, const Tally& tally) {
  double mid = 0;
  switch (model.law) {
    case NullLaw::kExponentialBound:
      mid = stats::gumbel_p(tally.n, static_cast<double>(tally.sum) * 0x1p-20).p;
      break;
    case NullLaw::kTwoExponentialBounds:
      return tail(model, tally);
    case NullLaw::kGreenList:
    case NullLaw::kGreen:
      mid = stats::textseal_greenlist_p(tally.n, tally.sum,
                                        static_cast<double>(model.a) / static_cast<double>(model.b))
                .p;
      break;
    case NullLaw::kBits:
      mid = stats::textseal_greenlist_p(tally.n * model.a, tally.sum, 0.5).p;
      break;
  }
  return stats::PValue::from_double(std::clamp(mid, 1e-300, 1.0));
}

}  // namespace

Result<ForeignDetector> ForeignDetector::create(const ForeignKey& key,
                                                const ForeignProfile& profile, Policy policy,
                                                std::uint32_t decoys, std::string decoy_seed,
                                                bool as_published) {
  COUNTERMARK_TRY(SharedForeignMark mark, ForeignMark::create(profile, key));
  ForeignDetector detector(key, std::move(mark), policy);
  detector.model_reasons_ = model_reasons(profile, key);
  detector.decoys_ = decoys;
  detector.decoy_seed_ = std::move(decoy_seed);
  detector.as_published_ = as_published;
  return detector;
}

Subject ForeignDetector::subject() const {
  return {std::string(mark_->scheme().id), mark_->profile().digest(), key_.name(), "", "", policy_};
}

LineUp ForeignDetector::line_up(const TokenText& text, const ForeignTuples& tuples,
                                const Tally& truth, unsigned threads) const {
  const auto seed = hmac_sha256(digest_of(text), as_bytes(decoy_seed_));
  const NullModel model = mark_->null_model();
  std::vector<Tally> decoys(decoys_);
  std::vector<std::optional<stats::PValue>> judged(std::min(decoys_, kCalibrated));
  std::atomic<std::uint32_t> next{0};
  const auto work = [&] {
    ForeignTallier tallier;
    for (std::uint32_t i = next++; i < decoys_; i = next++) {
      // A decoy has the key's form, and so every scheme takes it that takes the key.
      const auto mark = ForeignMark::create(mark_->profile(), key_.decoy(seed, i));
      if (mark) decoys[i] = tallier.tally(**mark, tuples);
      if (i < judged.size() && decoys[i].n > 0) judged[i] = calibration_p(model, decoys[i]);
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (unsigned i = 1; i < std::min(threads, decoys_); ++i) helpers.emplace_back(work);
    work();
  }
  std::vector<stats::PValue> calibration;
  for (const auto& p : judged)
    if (p) calibration.push_back(*p);
  LineUp out = compare(
      truth, decoys, [&model](const Tally& of) { return tail(model, of); }, calibration);
  out.seed = to_hex(seed);
  return out;
}

Result<Detection> ForeignDetector::detect(const TokenText& text, unsigned threads) const {
  COUNTERMARK_TRY(const ForeignTuples tuples, collect(mark_->profile(), text));
  const Tally truth = tally(*mark_, tuples);

  Detection detection;
  detection.tokens = tuples.text_tokens;
  detection.dropped = tuples.dropped;
  detection.dropped.repeated_tuple += tuples.tokens.size() - truth.n;
  detection.evidence = weigh(mark_->null_model(), truth, policy_.tests);
  if (as_published_) detection.as_published = as_published(*mark_, key_, text);
  if (decoys_ > 0) detection.line_up = line_up(text, tuples, truth, threads);

  if (!model_reasons_.empty()) {
    detection.evidence.model_reasons = model_reasons_;
    // What the rank says, and what it can say at best with as many decoys. Exact: 1/100 is .01.
    const std::uint64_t keys = std::uint64_t{decoys_} + 1;
    const std::uint64_t rank = detection.line_up ? detection.line_up->rank : keys;
    detection.evidence.floor = stats::PValue().scaled(1, keys).times(policy_.tests);
    detection.evidence.asserted = stats::PValue().scaled(rank, keys).times(policy_.tests);
  }
  detection.verdict = judge(detection.evidence, policy_);
  if (detection.verdict == Verdict::kInconclusive) {
    detection.reasons.emplace_back("too-short");
  } else if (!model_reasons_.empty() && detection.evidence.floor > policy_.alpha) {
    detection.verdict = Verdict::kInconclusive;
    detection.reasons.emplace_back("too-few-decoys");
  } else if (model_reasons_.empty() && detection.line_up && !detection.line_up->calibrated) {
    withhold(detection);
  }
  return detection;
}

}  // namespace countermark::detect
