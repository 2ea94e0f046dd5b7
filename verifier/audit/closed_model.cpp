// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/closed_model.h"

#include <algorithm>
#include <set>
#include <utility>

#include "verifier/detect/report_parts.h"
#include "verifier/scan/decoys.h"
#include "verifier/scan/scanner.h"
#include "verifier/stats/limits.h"
#include "verifier/stats/planning.h"

namespace countermark::audit {
namespace {

using detect::Verdict;

// The whole of an audit of usual size: with more, decoys are judged by a part.
constexpr std::uint64_t kSampleTokens = 1'000'000;

// What names a prompt: no two give the same.
std::string name_of(const std::vector<text::Segment>& prompt) {
  std::string out;
  for (const text::Segment& segment : prompt) {
    out += segment.is_ids ? 'i' : 't';
    out += std::to_string(segment.is_ids ? segment.ids.size() : segment.text.size()) + ":";
    out += segment.text;
    for (const TokenId id : segment.ids) out += std::to_string(id) + ",";
  }
  return out;
}

Check echo_check(const scan::Summary& summary) {
  const std::uint64_t echoed = summary.dropped.front().prompt_context;
  const std::uint64_t all = summary.tuples.front() + echoed;
  const double share = all == 0 ? 0 : static_cast<double>(echoed) / static_cast<double>(all);
  return {"echo", share > kMostEcho ? Check::State::kFailed : Check::State::kPassed,
          detect::fixed(100 * share, 1) + " % of the answers' contexts stand in prompts"};
}

Check prompts_check(const Shown& shown) {
  return {"prompts-given",
          shown.without_prompt == 0 ? Check::State::kPassed : Check::State::kNotRun,
          std::to_string(shown.without_prompt) + " of " + std::to_string(shown.answers) +
              " answers come without the prompt they were given"};
}

Check decoy_check(const scan::Test& test, const scan::TestResult& result) {
  if (!result.line_up) return {"decoys", Check::State::kNotRun, "no decoys were asked for"};
  const detect::LineUp& line_up = *result.line_up;
  const bool passed = line_up.calibrated || !test.model_reasons().empty();
  return {"decoys", passed ? Check::State::kPassed : Check::State::kFailed,
          "rank " + std::to_string(line_up.rank) + " among " + std::to_string(line_up.decoys) +
              " decoys and the key; decoys have mean " + detect::fixed(line_up.mean, 3) +
              ", variance " + detect::fixed(line_up.variance, 3)};
}

// How large the effect is, and could have been without being seen.
void measure(const NullModel& model, const AuditPolicy& policy, ClosedFinding& finding) {
  constexpr double kConfidence = 0.95;
  const detect::Tally& tally = finding.result.finding.evidence.tally;
  const auto a = static_cast<double>(model.a);
  const auto b = static_cast<double>(model.b);
  double unit = 1;
  switch (model.law) {
    case NullLaw::kExponentialBound:
      unit = 0x1p-20;
      finding.chance = 1;
      break;
    case NullLaw::kTwoExponentialBounds:
      unit = 0x1p-20;
      finding.chance = a + b;
      break;
    case NullLaw::kGreenList:
    case NullLaw::kGreen:
      finding.chance = a / b;
      break;
    case NullLaw::kBits:
      unit = 1 / a;
      finding.chance = 0.5;
      break;
  }
  finding.mean = finding.least = finding.most = finding.detectable = finding.chance;
  if (tally.n == 0) return;
  finding.mean = static_cast<double>(tally.sum) * unit / static_cast<double>(tally.n);
  if (unit == 0x1p-20) {
    const stats::Range range =
        stats::mean_range(tally.n, finding.mean / finding.chance, kConfidence);
    finding.least = range.least * finding.chance;
    finding.most = range.most * finding.chance;
    finding.detectable =
        stats::detectable_mean(tally.n, policy.alpha, policy.power) * finding.chance;
    return;
  }
  const bool is_bits = model.law == NullLaw::kBits;
  const std::uint64_t trials = is_bits ? tally.n * model.a : tally.n;
  const double one_sided = (1 + kConfidence) / 2;
  finding.least = stats::share_lower_bound(trials, tally.sum, one_sided);
  finding.most = stats::share_upper_bound(trials, tally.sum, one_sided);
  finding.detectable = stats::detectable_green(trials, is_bits ? 1 : model.a, is_bits ? 2 : model.b,
                                               policy.alpha, policy.power);
}

Verdict verdict_of(const ClosedFinding& finding) {
  const bool failed =
      std::any_of(finding.checks.begin(), finding.checks.end(),
                  [](const Check& check) { return check.state == Check::State::kFailed; });
  const Verdict found = finding.result.finding.verdict;
  return failed && found != Verdict::kInconclusive ? Verdict::kWithheld : found;
}

}  // namespace

Result<Shown> read_prompts(const std::vector<std::string>& inputs,
                           const text::ReaderOptions& reader) {
  Shown out;
  std::set<std::string> known;
  for (const std::string& input : inputs) {
    COUNTERMARK_TRY(const auto documents, text::open_documents(input, reader));
    for (;;) {
      COUNTERMARK_TRY(std::optional<text::Document> answer, documents->next());
      if (!answer) break;
      ++out.answers;
      std::erase_if(answer->segments, [](const text::Segment& segment) { return segment.scored; });
      out.without_prompt += answer->segments.empty() ? 1U : 0U;
      if (answer->segments.empty() || !known.insert(name_of(answer->segments)).second) continue;
      out.prompts.push_back(*std::move(answer));
    }
  }
  return out;
}

Result<ClosedFinding> closed_model(const scan::Tests& tests, const Shown& shown,
                                   const ClosedOptions& options, const AuditPolicy& policy) {
  const scan::Test& test = *tests.tests.front();
  scan::ScanOptions reading;
  reading.inputs = options.inputs;
  reading.reader = options.reader;
  reading.threads = options.threads;
  reading.sample_tokens = options.decoys == 0 ? 0 : kSampleTokens;
  if (options.progress)
    reading.progress = [&](std::uint64_t /*bytes*/, std::uint64_t documents) {
      options.progress(documents);
    };
  COUNTERMARK_TRY(auto scanned, scan::scan(tests, reading));
  scan::ShareCounter shares(tests, channels_of(tests), options.threads);
  COUNTERMARK_TRY(const scan::Corpus corpus, scanned->tape.finish(std::ref(shares)));
  scan::JudgeOptions judging;
  judging.share_alpha = options.share_alpha;
  ClosedFinding out;
  out.summary = std::move(scanned->summary);
  COUNTERMARK_TRY(std::vector<scan::TestResult> results,
                  scan::judge(tests, corpus, out.summary, shares, judging));
  out.result = std::move(results.front());
  if (options.decoys == 0 || out.summary.sample.tokens() == 0)
    scan::without_line_up(test, out.result);
  else
    scan::add_line_up(
        test,
        scan::line_up(test, out.summary.sample, tests.tokenizer_of.front(), options.decoys,
                      options.decoy_seed, options.threads, options.decoy_done),
        out.result);
  const scan::Finding& finding = out.result.finding;
  if (!test.model_reasons().empty()) {
    // No law, no e-value.
  } else if (finding.e_value) {
    out.e_value = finding.e_value;
  } else if (test.null_model().law == NullLaw::kExponentialBound) {
    out.e_value = stats::tilted(finding.evidence.tally.n, finding.evidence.tally.sum);
  }
  measure(test.null_model(), policy, out);
  out.checks = {echo_check(out.summary), prompts_check(shown), decoy_check(test, out.result)};
  out.verdict = verdict_of(out);
  return out;
}

}  // namespace countermark::audit
