// SPDX-License-Identifier: Apache-2.0
#include "verifier/scan/verdict.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "verifier/detect/share_family.h"
#include "verifier/scan/batch_scorer.h"
#include "verifier/stats/published.h"

namespace countermark::scan {
namespace {

using detect::Evidence;
using detect::Verdict;
using stats::PValue;

// A tail in double precision, good to eleven digits where it is not below 1e-290; nothing for a law
// without a quick one. Rounded up by more than its error.
std::optional<double> quick_tail(const NullModel& model, const Tally& tally) {
  constexpr double kMargin = 1 + 1e-9;
  if (tally.n == 0) return 1;
  double p = 1;
  switch (model.law) {
    case NullLaw::kExponentialBound:
      p = stats::gumbel_p(tally.n, static_cast<double>(tally.sum) * 0x1p-20).p;
      break;
    case NullLaw::kTwoExponentialBounds:
      return std::nullopt;
    case NullLaw::kGreenList:
      // Below the mean the bound is 1.
      if (tally.sum * model.b < tally.n * model.a + model.b) return 1;
      [[fallthrough]];
    case NullLaw::kGreen:
      p = stats::three_bricks_greenlist_p(
              tally.n, tally.sum, static_cast<double>(model.a) / static_cast<double>(model.b))
              .p;
      break;
    case NullLaw::kBits:
      p = stats::three_bricks_greenlist_p(tally.n * model.a, tally.sum, 0.5).p;
      break;
  }
  return std::min(1.0, p * kMargin);
}

bool one_slot(const Stream& stream) {
  return std::all_of(stream.parts.begin(), stream.parts.end(),
                     [](const StreamPart& part) { return part.slots == 1; });
}

// The parts of streams, and the sums of a document at every combination of their slots.
class Slots {
 public:
  explicit Slots(std::span<const Stream> streams) {
    for (const Stream& stream : streams)
      parts_.insert(parts_.end(), stream.parts.begin(), stream.parts.end());
  }

  void add(const LaneTallies& tallies) {
    std::uint64_t n = 0;
    sums_.assign(1, 0);
    for (const StreamPart& part : parts_) {
      const std::vector<Tally>& lanes = tallies[part.channel];
      n += lanes[part.first_lane].n;
      std::vector<std::uint64_t> next;
      for (std::uint32_t slot = 0; slot < part.slots; ++slot)
        for (const std::uint64_t sum : sums_)
          next.push_back(sum + lanes[part.first_lane + slot].sum);
      sums_ = std::move(next);
    }
    evidence_.add(n, sums_);
  }

  stats::EValue value() const { return evidence_.value(); }

 private:
  std::vector<StreamPart> parts_{};
  std::vector<std::uint64_t> sums_{};
  stats::SlotEvidence evidence_{};
};

// What is looked for over the whole corpus: all streams together, or one of them.
struct Question {
  std::span<const Stream> streams;
  std::optional<Slots> slots{};  // when a stream has several
};

Finding answer(const Test& test, const Question& question, const LaneTallies& totals,
               std::uint64_t routed) {
  Finding out;
  Tally tally;
  for (const Stream& stream : question.streams) tally += best(stream, totals).tally;
  if (!question.slots) {
    out.evidence = test.weigh(tally, 1, routed);
  } else {
    out.e_value = question.slots->value();
    // The law is Markov's inequality; what a real key adds is weighed as for any sum.
    Evidence none = test.weigh(Tally{tally.n, 0}, 1, routed);
    out.evidence = std::move(none);
    out.evidence.tally = tally;
    out.evidence.p = out.e_value->p_value().times(test.subject().policy.tests);
    out.evidence.asserted = std::max(out.evidence.floor, out.evidence.p.plus(out.evidence.floor));
  }
  out.verdict = detect::judge(out.evidence, test.subject().policy);
  return out;
}

}  // namespace

ShareCounter::ShareCounter(const Tests& tests, const Channels& channels, unsigned threads) {
  for (std::size_t t = 0; t < tests.tests.size(); ++t) {
    const Test& test = *tests.tests[t];
    families_.push_back(detect::share_family(test.null_model()));
    std::vector<bool> counted(test.lanes().size());
    // Lanes of several slots are no set of tuples of their own: the share is that of one stream.
    if (const Stream& stream = test.streams().front(); one_slot(stream))
      for (const StreamPart& part : stream.parts) counted[part.channel] = true;
    for (std::size_t channel = 0; channel < test.lanes().size(); ++channel)
      for (std::size_t lane = 0; lane < test.lanes()[channel]; ++lane)
        test_of_lane_.push_back(counted[channel] ? std::optional(t) : std::nullopt);
  }
  counts_.assign(threads, std::vector<stats::ShareCounts>(channels.first_channel.size()));
}

void ShareCounter::operator()(unsigned worker, std::size_t lane,
                              std::span<const std::uint32_t> scores) {
  if (const auto test = test_of_lane_[lane]) families_[*test].count(scores, counts_[worker][*test]);
}

std::vector<stats::ShareCounts> ShareCounter::counts() const {
  std::vector<stats::ShareCounts> out(families_.size());
  for (const auto& of_thread : counts_)
    for (std::size_t t = 0; t < out.size(); ++t) out[t] += of_thread[t];
  return out;
}

LaneTallies lanes_of(const Tests& tests, const Channels& channels, std::size_t test,
                     std::span<const Tally> all) {
  std::size_t first = 0;
  for (std::size_t channel = 0; channel < channels.first_channel[test]; ++channel)
    first += channels.lanes[channel];
  LaneTallies out;
  for (const std::size_t lanes : tests.tests[test]->lanes()) {
    const auto of_channel = all.subspan(first, lanes);
    out.emplace_back(of_channel.begin(), of_channel.end());
    first += lanes;
  }
  return out;
}

Evidence document_evidence(const Test& test, const LaneTallies& tallies, std::uint64_t routed,
                           stats::PValue exact_below) {
  const Best found = pooled(test, tallies);
  const auto quick = quick_tail(test.null_model(), found.tally);
  if (!quick || *quick <= exact_below.to_double())
    return test.weigh(found.tally, found.hypotheses, routed);
  // The floor is that of any sum.
  Evidence out = test.weigh({found.tally.n, 0}, found.hypotheses, routed);
  out.tally = found.tally;
  out.p = PValue::from_double(*quick).times(out.hypotheses);
  out.asserted = std::max(out.floor, out.p);
  return out;
}

std::optional<PValue> span_p(const Test& test, const Tally& window, std::uint64_t windows,
                             std::uint64_t routed) {
  const detect::Policy& policy = test.subject().policy;
  const auto quick = quick_tail(test.null_model(), window);
  if (quick && *quick * static_cast<double>(windows) > 1.01 * policy.alpha.to_double())
    return std::nullopt;
  const PValue p = test.weigh(window, windows, routed).p;
  return p <= policy.alpha ? std::optional(p) : std::nullopt;
}

namespace {

// A document's spans, of the lanes first_lane on, into the result.
void add_spans(const Test& test, const DocumentRow& row, std::uint64_t routed,
               std::size_t first_lane, TestResult& result) {
  const std::size_t lanes =
      std::accumulate(test.lanes().begin(), test.lanes().end(), std::size_t{0});
  for (const Span& span : row.spans) {
    if (span.lane < first_lane || span.lane >= first_lane + lanes) continue;
    const auto p = span_p(test, span.tally, result.windows, routed);
    if (!p) continue;
    ++result.spans;
    std::vector<FoundSpan>& best = result.best_spans;
    const auto behind = std::upper_bound(best.begin(), best.end(), *p,
                                         [](PValue a, const FoundSpan& b) { return a < b.p; });
    if (best.size() == kBestSpans && behind == best.end()) continue;
    best.insert(behind, {row.id, span, *p});
    if (best.size() > kBestSpans) best.pop_back();
  }
}

}  // namespace

Result<std::vector<TestResult>> judge(const Tests& tests, const Corpus& corpus,
                                      const Summary& summary, const ShareCounter& shares,
                                      const JudgeOptions& options) {
  const Channels channels = channels_of(tests);
  const std::size_t count = tests.tests.size();
  std::vector<std::vector<Question>> questions(count);  // the first is the headline
  for (std::size_t t = 0; t < count; ++t) {
    const std::vector<Stream>& streams = tests.tests[t]->streams();
    questions[t].push_back({streams});
    for (std::size_t s = 0; s < streams.size(); ++s)
      if (streams[s].layer != LayerKind::kShared)
        questions[t].push_back({std::span(streams).subspan(s, 1)});
    for (Question& question : questions[t])
      if (!std::all_of(question.streams.begin(), question.streams.end(), one_slot))
        question.slots.emplace(question.streams);
  }

  std::vector<stats::DiscoveryFamily> families(count, stats::DiscoveryFamily(options.list_level));
  std::vector<TestResult> out(count);
  std::vector<std::size_t> first_lanes(count);
  for (std::size_t t = 0; t < count; ++t) {
    out[t].windows = summary.windows[t];
    for (std::size_t c = 0; c < channels.first_channel[t]; ++c) first_lanes[t] += channels.lanes[c];
  }
  const double far_above = 1.01 * options.list_level.to_double();
  std::uint64_t number = 0;
  COUNTERMARK_CHECK(corpus.each_document([&](const DocumentRow& row) -> Status {
    for (std::size_t t = 0; t < count; ++t) {
      const Test& test = *tests.tests[t];
      const LaneTallies tallies = lanes_of(tests, channels, t, row.assigned);
      for (Question& question : questions[t])
        if (question.slots) question.slots->add(tallies);
      if (const Tally tally = pooled(test, tallies).tally;
          tally.n >= test.subject().policy.minimum_scored) {
        // Nearly every document of most corpora is far above the level, which is all that counts.
        if (const auto quick = quick_tail(test.null_model(), tally); quick && *quick > far_above) {
          families[t].add_above(1);
        } else {
          families[t].add(number, document_evidence(test, tallies, row.dropped[t * kCountsPerTest],
                                                    options.list_level)
                                      .p);
        }
      }
      add_spans(test, row, summary.routed[t], first_lanes[t], out[t]);
    }
    ++number;
    return {};
  }));

  const std::vector<stats::ShareCounts> share_counts = shares.counts();
  for (std::size_t t = 0; t < count; ++t) {
    const Test& test = *tests.tests[t];
    TestResult& result = out[t];
    const LaneTallies totals = lanes_of(tests, channels, t, corpus.totals());
    for (const auto& of_channel : totals)
      result.totals.insert(result.totals.end(), of_channel.begin(), of_channel.end());
    result.finding = answer(test, questions[t].front(), totals, summary.routed[t]);
    for (std::size_t q = 1; q < questions[t].size(); ++q) {
      const Stream& stream = questions[t][q].streams.front();
      result.streams.push_back({stream.layer, stream.identity,
                                answer(test, questions[t][q], totals, summary.routed[t])});
    }
    if (result.finding.verdict == Verdict::kInconclusive) result.reasons.emplace_back("too-short");
    result.share = shares.family(t).lower_bound(share_counts[t], options.share_alpha);
    result.list.documents = families[t].size();
    const auto guaranteed = families[t].list(stats::Procedure::kBenjaminiYekutieli);
    result.list.guaranteed = guaranteed.size();
    for (const stats::Discovery& discovery : guaranteed)
      result.list.adjusted.emplace(discovery.id, discovery.adjusted);
    result.list.independent = families[t].list(stats::Procedure::kBenjaminiHochberg).size();
  }
  return out;
}

void add_line_up(const Test& test, detect::LineUp line_up, TestResult& result) {
  const detect::Policy& policy = test.subject().policy;
  Finding& finding = result.finding;
  result.line_up = std::move(line_up);
  if (!test.model_reasons().empty()) {
    const std::uint64_t keys = std::uint64_t{result.line_up->decoys} + 1;
    Evidence& evidence = finding.evidence;
    evidence.floor = PValue().scaled(1, keys).times(policy.tests);
    evidence.asserted = PValue().scaled(result.line_up->rank, keys).times(policy.tests);
    finding.verdict = detect::judge(evidence, policy);
    if (finding.verdict != Verdict::kInconclusive && evidence.floor > policy.alpha) {
      finding.verdict = Verdict::kInconclusive;
      result.reasons.emplace_back("too-few-decoys");
    }
    return;
  }
  if (result.line_up->calibrated) return;
  result.reasons.emplace_back("decoys-not-calibrated");
  const auto withhold = [](Finding& of) {
    if (of.verdict != Verdict::kInconclusive) of.verdict = Verdict::kWithheld;
  };
  withhold(finding);
  for (StreamFinding& stream : result.streams) withhold(stream.finding);
}

void without_line_up(const Test& test, TestResult& result) {
  if (test.model_reasons().empty()) return;
  result.finding.evidence.floor = result.finding.evidence.asserted = PValue();
  if (result.finding.verdict == Verdict::kInconclusive) return;
  result.finding.verdict = Verdict::kInconclusive;
  result.reasons.emplace_back("too-few-decoys");
}

}  // namespace countermark::scan
