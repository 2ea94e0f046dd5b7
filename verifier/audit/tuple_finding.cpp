// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/tuple_finding.h"

#include <utility>

#include "verifier/detect/report_parts.h"
#include "verifier/scan/decoys.h"
#include "verifier/stats/limits.h"
#include "verifier/stats/planning.h"

namespace countermark::audit {
namespace {

using detect::Verdict;

Check decoy_check(const scan::Test& test, const scan::TestResult& result) {
  if (!result.line_up) return {"decoys", Check::State::kNotRun, "no decoys were asked for"};
  const detect::LineUp& line_up = *result.line_up;
  const bool passed = line_up.calibrated || !test.model_reasons().empty();
  return {"decoys", passed ? Check::State::kPassed : Check::State::kFailed,
          std::to_string(line_up.decoys) + " decoys have mean " + detect::fixed(line_up.mean, 3) +
              ", variance " + detect::fixed(line_up.variance, 3)};
}

// How large the effect is, and could have been without being seen. n > 0.
Effect measure(const NullModel& model, const detect::Tally& tally, const AuditPolicy& policy) {
  constexpr double kConfidence = 0.95;
  const auto a = static_cast<double>(model.a);
  const auto b = static_cast<double>(model.b);
  Effect out;
  double unit = 1;
  switch (model.law) {
    case NullLaw::kExponentialBound:
      unit = 0x1p-20;
      out.chance = 1;
      break;
    case NullLaw::kTwoExponentialBounds:
      unit = 0x1p-20;
      out.chance = a + b;
      break;
    case NullLaw::kGreenList:
    case NullLaw::kGreen:
      out.chance = a / b;
      break;
    case NullLaw::kBits:
      unit = 1 / a;
      out.chance = 0.5;
      break;
  }
  out.mean = static_cast<double>(tally.sum) * unit / static_cast<double>(tally.n);
  if (unit == 0x1p-20) {
    const stats::Range range = stats::mean_range(tally.n, out.mean / out.chance, kConfidence);
    out.least = range.least * out.chance;
    out.most = range.most * out.chance;
    out.detectable = stats::detectable_mean(tally.n, policy.alpha, policy.power) * out.chance;
    return out;
  }
  const bool is_bits = model.law == NullLaw::kBits;
  const std::uint64_t trials = is_bits ? tally.n * model.a : tally.n;
  const double one_sided = (1 + kConfidence) / 2;
  out.least = stats::share_lower_bound(trials, tally.sum, one_sided);
  out.most = stats::share_upper_bound(trials, tally.sum, one_sided);
  out.detectable = stats::detectable_green(trials, is_bits ? 1 : model.a, is_bits ? 2 : model.b,
                                           policy.alpha, policy.power);
  return out;
}

}  // namespace

void TupleFinding::add(Check check) {
  if (check.state == Check::State::kFailed) {
    verdict = result.finding.verdict = Verdict::kWithheld;
    // One tape serves every stream.
    for (scan::StreamFinding& stream : result.streams) stream.finding.verdict = Verdict::kWithheld;
    result.reasons.push_back(check.name);
  }
  checks.push_back(std::move(check));
}

Result<TupleFinding> judge_tuples(const scan::Tests& tests, scan::CorpusTape& tape,
                                  scan::Summary summary, const TupleOptions& options,
                                  const AuditPolicy& policy) {
  const scan::Test& test = *tests.tests.front();
  scan::ShareCounter shares(tests, channels_of(tests), options.threads);
  COUNTERMARK_TRY(const scan::Corpus corpus, tape.finish(std::ref(shares)));
  scan::JudgeOptions judging;
  judging.share_alpha = options.share_alpha;
  TupleFinding out;
  out.summary = std::move(summary);
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
  // The best of several slots lies above chance by having been chosen, and a rank has no law.
  if (finding.evidence.tally.n > 0 && !finding.e_value && test.model_reasons().empty())
    out.effect = measure(test.null_model(), finding.evidence.tally, policy);
  out.verdict = finding.verdict;
  if (out.verdict == Verdict::kNotDetected && finding.evidence.floor > policy.alpha) {
    out.verdict = out.result.finding.verdict = Verdict::kInconclusive;
    out.result.reasons.emplace_back("alpha-below-floor");
  }
  out.add(decoy_check(test, out.result));
  return out;
}

}  // namespace countermark::audit
