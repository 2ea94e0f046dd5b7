// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "verifier/audit/tuple_finding.h"
#include "verifier/scan/decoys.h"
#include "watermark/prf/hash.h"

namespace countermark::audit {
namespace {

using detect::Evidence;

// What decoys read: the first texts, and the log's, of so many tokens each. Of a walk without an
// end a decoy's tail has its law for any number of tuples: its own key has marked nothing.
Material sample_of(const Material& all) {
  const auto first = [](const std::vector<Exhibit>& from) {
    std::vector<Exhibit> out;
    std::uint64_t tokens = 0;
    for (const Exhibit& each : from) {
      if (tokens >= kSampleTokens) break;
      for (const detect::TokenSegment& segment : each.text) tokens += segment.ids.size();
      out.push_back(each);
    }
    return out;
  };
  return {all.order, first(all.texts), first(all.log)};
}

// Of texts and log, whatever key reads them.
std::array<std::uint8_t, 32> digest_of(const Material& material) {
  std::string message = "countermark audit";
  for (const std::vector<Exhibit>* const part : {&material.texts, &material.log})
    for (const Exhibit& each : *part) {
      const auto digest = detect::digest_of(each.text);
      message.append(digest.begin(), digest.end());
    }
  return sha256(message);
}

// Of the sum by its law where its length was fixed, else of the bet.
Evidence weigh(const scan::Test& test, const RunningSum& sum, bool is_planned,
               std::uint64_t tokens) {
  if (is_planned) return test.weigh(sum.tally, 1, tokens);
  // The law is Ville's inequality; what a real key adds is weighed as for any sum.
  Evidence out = test.weigh({sum.tally.n, 0}, 1, tokens);
  out.tally = sum.tally;
  out.p = sum.most.p_value().times(test.subject().policy.tests);
  out.asserted = std::max(out.floor, out.p.plus(out.floor));
  return out;
}

}  // namespace

Result<TupleFinding> judge_walk(const scan::Tests& tests, const Material& material,
                                std::optional<std::uint64_t> planned, const TupleOptions& options,
                                const AuditPolicy& policy,
                                const std::function<void(std::uint64_t)>& read) {
  const scan::Test& test = *tests.tests.front();
  COUNTERMARK_TRY(Walk walked, walk(test, material, planned, read));
  TupleFinding out;
  out.summary = scan::Summary::none(1, 0);
  out.summary.documents = material.texts.size();
  out.summary.tokens = out.summary.routed[0] = walked.tokens;
  scan::Finding& finding = out.result.finding;
  finding.evidence = weigh(test, walked.all, planned.has_value(), walked.tokens);
  finding.verdict = detect::judge(finding.evidence, test.subject().policy);
  for (std::size_t i = 0; i < walked.streams.size(); ++i) {
    const scan::Stream& stream = test.streams()[i];
    if (stream.layer == LayerKind::kShared) continue;
    // How many of the first so many are a stream's nobody planned.
    scan::StreamFinding& of =
        out.result.streams.emplace_back(scan::StreamFinding{stream.layer, stream.identity, {}});
    of.finding.evidence = weigh(test, walked.streams[i], false, walked.tokens);
    of.finding.verdict = detect::judge(of.finding.evidence, test.subject().policy);
  }

  const bool is_short = planned && walked.all.tally.n < *planned && walked.behind_the_first == 0;
  const bool no_bet = !planned && !has_bet(test.null_model());
  if (is_short || no_bet) {
    finding.verdict = detect::Verdict::kInconclusive;
    out.result.reasons.emplace_back(is_short ? "fewer-than-planned" : "no-bet");
  }
  if (options.decoys == 0 || walked.tokens == 0) {
    scan::without_line_up(test, out.result);
  } else {
    const Material sample = sample_of(material);
    const auto seed = hmac_sha256(digest_of(sample), as_bytes(options.decoy_seed));
    scan::add_line_up(
        test,
        scan::line_up(
            test, seed, options.decoys, options.threads,
            [&](const scan::Test& of) {
              // The true key has walked it before, and a decoy refuses no more.
              const auto tally = walk(of, sample, std::nullopt);
              return tally ? scan::Compared{tally->all.tally, tally->all.tally} : scan::Compared{};
            },
            options.decoy_done),
        out.result);
  }
  if (test.model_reasons().empty()) {
    if (has_bet(test.null_model())) out.e_value = walked.all.e_value;
    if (walked.all.tally.n > 0)
      out.effect = measure(test.null_model(), walked.all.tally, policy,
                           !planned && has_bet(test.null_model()));
  }
  out.sequence = Sequence{material.order, planned, walked.all.most, std::move(walked)};
  out.settle(test, policy);
  return out;
}

}  // namespace countermark::audit
