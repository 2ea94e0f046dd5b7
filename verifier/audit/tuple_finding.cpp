// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/tuple_finding.h"

#include <utility>

#include "verifier/detect/report_parts.h"
#include "verifier/scan/decoys.h"

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

void TupleFinding::settle(const scan::Test& test, const AuditPolicy& policy) {
  verdict = result.finding.verdict;
  if (verdict == Verdict::kNotDetected && result.finding.evidence.floor > policy.alpha) {
    verdict = result.finding.verdict = Verdict::kInconclusive;
    result.reasons.emplace_back("alpha-below-floor");
  }
  add(decoy_check(test, result));
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
  out.settle(test, policy);
  return out;
}

}  // namespace countermark::audit
