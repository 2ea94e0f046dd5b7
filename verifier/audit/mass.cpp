// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/mass.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "verifier/audit/predictions.h"
#include "verifier/detect/report_parts.h"
#include "verifier/scan/decoys.h"
#include "verifier/stats/normal_score.h"
#include "watermark/portable_math.h"
#include "watermark/prf/hash.h"

namespace countermark::audit {
namespace {

using detect::Verdict;

constexpr double kWeightUnit = stats::WeightedSum::kMostWeight;

// Candidates that decoys read: of a longer text the first documents.
constexpr std::uint64_t kSampleCandidates = 1'000'000;

// A document with its candidates, rank after rank: texts[r] has the r-th of each place.
struct ReadText {
  std::vector<TokenId> ids{};
  std::vector<std::vector<TokenId>> ranks{};
  std::vector<std::uint32_t> weights{};  // ranks.size() a place
};

Result<std::vector<ReadText>> read_all(const std::string& path) {
  COUNTERMARK_TRY(PredictionsReader reader, PredictionsReader::open(path, true));
  const std::size_t top_k = reader.header().top_k;
  std::vector<ReadText> out;
  for (;;) {
    COUNTERMARK_TRY(std::optional<text::Document> document, reader.next());
    if (!document) return out;
    ReadText& text = out.emplace_back();
    text.ids = std::move(document->segments.front().ids);
    text.ranks.resize(top_k);
    const Candidates& candidates = reader.candidates();
    text.weights.resize(candidates.ids.size());
    for (std::size_t place = 0; place < text.ids.size(); ++place) {
      mass_weights(std::span(candidates.log_probs).subspan(place * top_k, top_k),
                   std::span(text.weights).subspan(place * top_k, top_k));
      for (std::size_t rank = 0; rank < top_k; ++rank) {
        const TokenId id = candidates.ids[place * top_k + rank];
        if (id == kNoToken) text.weights[place * top_k + rank] = 0;
        text.ranks[rank].push_back(id == kNoToken ? text.ids[place] : id);
      }
    }
  }
}

stats::ScoreLaw law_of(const NullModel& model) {
  switch (model.law) {
    case NullLaw::kExponentialBound:
    case NullLaw::kTwoExponentialBounds:
      return {};
    case NullLaw::kGreenList:
    case NullLaw::kGreen:
      return {false, 1, model.a, model.b};
    case NullLaw::kBits:
      return {false, model.a, 1, 2};
  }
  return {};
}

// A tuple that some place has, with the weight that it has there.
struct Weighted {
  std::uint64_t fingerprint;
  std::uint32_t weight;
  std::uint32_t score;
};

// All texts under one key.
class Weigher {
 public:
  explicit Weigher(const scan::Test& test) : test_(&test), scorer_(test.scorer()) {
    for (const std::size_t lanes : test.lanes()) tuples_.emplace_back(lanes);
  }

  Status add(const ReadText& text) {
    segment_.resize(1);
    segment_[0].ids = text.ids;
    const std::size_t top_k = text.ranks.size();
    for (std::size_t rank = 0; rank < top_k; ++rank) {
      segment_[0].predicted = text.ranks[rank];
      COUNTERMARK_CHECK(scorer_->score(segment_, sheets_));
      for (std::size_t channel = 0; channel < sheets_.size(); ++channel) {
        const scan::Sheet& sheet = sheets_[channel];
        for (std::size_t i = 0; i < sheet.positions.size(); ++i) {
          const std::uint32_t weight = text.weights[sheet.positions[i] * top_k + rank];
          if (weight == 0) continue;
          for (std::size_t lane = 0; lane < sheet.scores.size(); ++lane)
            tuples_[channel][lane].push_back(
                {sheet.fingerprints[i], weight, sheet.scores[lane][i]});
        }
      }
    }
    return {};
  }

  // Each tuple once, with the largest of its weights.
  stats::WeightedSum take() {
    stats::WeightedSum out(law_of(test_->null_model()));
    for (std::vector<std::vector<Weighted>>& channel : tuples_)
      for (std::vector<Weighted>& tuples : channel) {
        std::sort(tuples.begin(), tuples.end(), [](const Weighted& a, const Weighted& b) {
          return std::pair(a.fingerprint, b.weight) < std::pair(b.fingerprint, a.weight);
        });
        for (std::size_t i = 0; i < tuples.size(); ++i)
          if (i == 0 || tuples[i].fingerprint != tuples[i - 1].fingerprint)
            out.add(tuples[i].weight, tuples[i].score);
      }
    return out;
  }

 private:
  const scan::Test* test_;
  std::unique_ptr<scan::Scorer> scorer_;
  std::vector<std::vector<std::vector<Weighted>>> tuples_{};  // by channel, then lane
  // Reused from text to text.
  detect::TokenText segment_{};
  std::vector<scan::Sheet> sheets_{};
};

Result<stats::WeightedSum> weigh_all(const scan::Test& test, std::span<const ReadText> texts,
                                     const std::function<void(std::uint64_t)>& read = {}) {
  Weigher weigher(test);
  for (const ReadText& text : texts) {
    COUNTERMARK_CHECK(weigher.add(text));
    if (read) read(text.ids.size());
  }
  return weigher.take();
}

std::span<const ReadText> sample_of(const std::vector<ReadText>& texts) {
  std::size_t count = 0;
  for (std::uint64_t candidates = 0; count < texts.size() && candidates < kSampleCandidates;)
    candidates += texts[count++].weights.size();
  return std::span(texts).first(count);
}

Result<detect::LineUp> line_up(const scan::Test& test, std::span<const ReadText> texts,
                               const TupleOptions& options) {
  COUNTERMARK_TRY(const stats::WeightedSum truth, weigh_all(test, texts));
  std::string message = "countermark mass";
  for (const ReadText& text : texts) {
    for (const TokenId id : text.ids) append_le32(message, id);
    for (const std::uint32_t weight : text.weights) append_le32(message, weight);
  }
  const auto seed = hmac_sha256(sha256(message), as_bytes(options.decoy_seed));
  std::vector<stats::PValue> bounds(options.decoys);
  std::vector<stats::PValue> estimates(options.decoys);
  scan::each_decoy(test, seed, options.decoys, options.threads,
                   [&](std::uint32_t i, const scan::Test& decoy) {
                     // What the true key has read a decoy reads.
                     const auto sum = weigh_all(decoy, texts);
                     if (!sum) return;
                     bounds[i] = sum->tail();
                     estimates[i] = stats::PValue::from_double(
                         std::clamp(std::pow(10.0, sum->estimate_log10()), 1e-300, 1.0));
                     if (options.decoy_done) options.decoy_done();
                   });
  detect::LineUp out = detect::compare(truth.tail(), bounds, estimates);
  out.seed = to_hex(seed);
  return out;
}

// Of a mark whose scores have no law, or that of two keys.
MassFinding without_law(const scan::Test& test) {
  MassFinding out{stats::WeightedSum(stats::ScoreLaw{})};
  out.evidence = test.weigh({}, 1, 0);
  out.reasons.emplace_back("no-law");
  return out;
}

}  // namespace

void mass_weights(std::span<const float> log_probs, std::span<std::uint32_t> out) {
  const auto probability = [](float log_prob) {
    return log_prob < -700 ? 0 : portable_exp(std::min(0.0F, log_prob));
  };
  double squares = 0;
  for (const float log_prob : log_probs) squares += probability(log_prob) * probability(log_prob);
  const double left = squares > 0 ? std::max(0.0, 1 - squares) / std::sqrt(squares) : 0;
  for (std::size_t i = 0; i < log_probs.size(); ++i)
    out[i] =
        static_cast<std::uint32_t>(std::min(1.0, probability(log_probs[i]) * left) * kWeightUnit);
}

void MassFinding::add(Check check) {
  if (check.state == Check::State::kFailed) {
    verdict = Verdict::kWithheld;
    reasons.push_back(check.name);
  }
  checks.push_back(std::move(check));
}

Result<MassFinding> mass_of(const scan::Tests& tests, const std::string& predictions,
                            const TupleOptions& options, const AuditPolicy& policy,
                            const std::function<void(std::uint64_t)>& read) {
  const scan::Test& test = *tests.tests.front();
  if (!test.model_reasons().empty() || test.null_model().law == NullLaw::kTwoExponentialBounds)
    return without_law(test);
  COUNTERMARK_TRY(const std::vector<ReadText> texts, read_all(predictions));
  COUNTERMARK_TRY(const stats::WeightedSum weighed, weigh_all(test, texts, read));
  MassFinding out{weighed};
  out.texts = texts.size();
  for (const ReadText& text : texts) out.tokens += text.ids.size();
  const stats::WeightedSum& sum = out.sum;
  out.estimate_log10 = sum.estimate_log10();
  out.e_value = sum.bet();
  out.evidence = test.weigh({sum.n(), 0}, 1, out.tokens);
  out.evidence.tally.sum = sum.statistic();
  out.evidence.p = sum.tail().times(test.subject().policy.tests);
  out.evidence.asserted = std::max(out.evidence.floor, out.evidence.p.plus(out.evidence.floor));
  out.verdict = detect::judge(out.evidence, test.subject().policy);
  if (out.verdict == Verdict::kNotDetected && out.evidence.floor > policy.alpha) {
    out.verdict = Verdict::kInconclusive;
    out.reasons.emplace_back("alpha-below-floor");
  }
  if (sum.n() > 0) {
    // By the normal law, and the bound's where alpha is concerned.
    const double away = std::sqrt(-2 * policy.alpha.log10() * std::numbers::ln10) +
                        stats::normal_score(stats::PValue::from_double(1 - policy.power));
    out.detectable = sum.chance() + away * sum.deviation();
  }
  if (options.decoys == 0 || sum.n() == 0) {
    out.add({"decoys", Check::State::kNotRun,
             options.decoys == 0 ? "no decoys were asked for" : "nothing is scored"});
    return out;
  }
  COUNTERMARK_TRY(out.line_up, line_up(test, sample_of(texts), options));
  out.add({"decoys", out.line_up->calibrated ? Check::State::kPassed : Check::State::kFailed,
           std::to_string(out.line_up->decoys) + " decoys have mean " +
               detect::fixed(out.line_up->mean, 3) + ", variance " +
               detect::fixed(out.line_up->variance, 3)});
  return out;
}

}  // namespace countermark::audit
