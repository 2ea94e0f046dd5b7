// SPDX-License-Identifier: Apache-2.0
#include "verifier/detect/report.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "verifier/detect/report_parts.h"
#include "watermark/version.h"

namespace countermark::detect {
namespace {

using nlohmann::ordered_json;
using stats::PValue;

ordered_json stream_json(const StreamFinding& finding) {
  ordered_json out = {{"layer", layer_name(finding.layer)}};
  out["identity"] = finding.identity;
  out["slots"] = finding.slots;
  out.update(evidence_json(finding.evidence));
  if (finding.verdict == Verdict::kWithheld) out["pValue"] = out["log10P"] = nullptr;
  out["verdict"] = verdict_name(finding.verdict);
  return out;
}

// As many digits as the source's own arithmetic leaves alike everywhere.
double twelve_digits(double value) {
  char buffer[64];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific, 11);
  double out = 0;
  std::from_chars(buffer, end.ptr, out);
  return out;
}

double rounded_log10(const stats::PublishedP& p) {
  const double value = std::round(p.log10_p * 1e4) / 1e4;
  return value == 0 ? 0 : value;
}

ordered_json as_published_json(const AsPublished& numbers) {
  ordered_json out = {{"by", numbers.by}, {"scored", numbers.scored}};
  if (const auto* count = std::get_if<std::uint64_t>(&numbers.statistic))
    out["statistic"] = *count;
  else
    out["statistic"] = twelve_digits(std::get<double>(numbers.statistic));
  if (numbers.weighted_mean) out["weightedMean"] = twelve_digits(*numbers.weighted_mean);
  if (numbers.z) out["z"] = twelve_digits(*numbers.z);
  if (numbers.p) {
    out["pValue"] = twelve_digits(numbers.p->p);
    out["log10P"] = rounded_log10(*numbers.p);
  }
  if (numbers.decision) out["decision"] = *numbers.decision;
  return out;
}

// All tests that the document was put to, this one among them.
ordered_json ledger_json(const Entry& entry) {
  ordered_json tests = ordered_json::array();
  for (const Subject& subject : entry.tests) tests.push_back(subject_json(subject));
  return {{"test", entry.test}, {"tests", std::move(tests)}};
}

std::string layer_list(const std::vector<LayerKind>& layers) {
  std::string out;
  for (const LayerKind layer : layers)
    out += (out.empty() ? "" : " + ") + std::string(layer_name(layer));
  return out;
}

std::string as_published_text(const AsPublished& numbers) {
  const auto* count = std::get_if<std::uint64_t>(&numbers.statistic);
  std::string out =
      "by " + numbers.by + ": " + std::to_string(numbers.scored) + " scored, " +
      (numbers.weighted_mean ? "mean " : "statistic ") +
      (count != nullptr ? std::to_string(*count) : fixed(std::get<double>(numbers.statistic), 3));
  if (numbers.weighted_mean) out += ", weighted mean " + fixed(*numbers.weighted_mean, 3);
  if (numbers.z) out += ", z " + fixed(*numbers.z, 2);
  if (numbers.p) out += ", log10 p " + fixed(rounded_log10(*numbers.p), 2);
  if (numbers.decision) out += *numbers.decision ? ", marked" : ", not marked";
  return out + "; the verdict does not look at it";
}

}  // namespace

std::string to_json_line(const text::Document& document, const Entry& entry) {
  const Subject& subject = entry.subject();
  const Detection& detection = entry.detection;
  ordered_json out = {
      {"schema", "countermark.detect/1"}, {"version", kVersion},       {"id", document.id},
      {"input", document.input},          {"field", document.field},   {"scheme", subject.scheme},
      {"profile", subject.profile},       {"keyId", subject.key_id},   {"model", subject.model},
      {"epoch", subject.epoch},           {"tokens", detection.tokens}};
  ordered_json evidence = evidence_json(detection.evidence);
  if (detection.verdict == Verdict::kWithheld) evidence["pValue"] = evidence["log10P"] = nullptr;
  out["scored"] = evidence["scored"];
  out["dropped"] = {{"shortContext", detection.dropped.short_context},
                    {"repeatedContext", detection.dropped.repeated_context},
                    {"promptContext", detection.dropped.prompt_context},
                    {"repeatedTuple", detection.dropped.repeated_tuple}};
  ordered_json layers = ordered_json::array();
  for (const LayerKind layer : detection.layers) layers.push_back(layer_name(layer));
  out["layers"] = std::move(layers);
  out.update(evidence);
  ordered_json streams = ordered_json::array();
  for (const StreamFinding& finding : detection.streams) streams.push_back(stream_json(finding));
  out["streams"] = std::move(streams);
  out["accountsSearched"] = detection.accounts_searched;
  if (detection.line_up) out["lineUp"] = line_up_json(*detection.line_up);
  if (detection.as_published) out["asPublished"] = as_published_json(*detection.as_published);
  out["policy"] = {{"schema", "countermark.policy/1"},
                   {"alpha", subject.policy.alpha.to_string()},
                   {"minimumScored", subject.policy.minimum_scored}};
  if (entry.tests.size() > 1) out["ledger"] = ledger_json(entry);
  out["verdict"] = verdict_name(detection.verdict);
  out["reasons"] = detection.reasons;
  return out.dump();
}

std::string to_text(const text::Document& document, const Entry& entry) {
  const Subject& subject = entry.subject();
  const Detection& detection = entry.detection;
  const Evidence& evidence = detection.evidence;
  const bool modelled = !evidence.model_reasons.empty();
  std::string out = document.id + ": " + verdict_name(detection.verdict) + "\n";
  if (detection.verdict != Verdict::kWithheld) {
    out += row("log10 p", fixed(rounded_log10(evidence.p), 2) + "  (alpha " +
                              subject.policy.alpha.to_string() + ", hypotheses " +
                              std::to_string(evidence.hypotheses) + ")" +
                              (modelled ? " of a model: " + joined(evidence.model_reasons) +
                                              "; the rank among decoys decides"
                                        : ""));
    if (!modelled || detection.line_up)
      out += row("by chance", by_chance(evidence) + " texts that have nothing to do with this key");
  }
  const Dropped& dropped = detection.dropped;
  out +=
      row("scored",
          std::to_string(evidence.tally.n) + " of " + std::to_string(detection.tokens) + " tokens" +
              (detection.layers.empty() ? "" : ", layers " + layer_list(detection.layers)) +
              "; repeated contexts " + std::to_string(dropped.repeated_context) +
              ", first tokens " + std::to_string(dropped.short_context) + ", prompt contexts " +
              std::to_string(dropped.prompt_context) + ", repeated tuples " +
              std::to_string(dropped.repeated_tuple));
  for (const StreamFinding& finding : detection.streams) {
    const std::string p = finding.verdict == Verdict::kWithheld
                              ? ""
                              : ", log10 p " + fixed(rounded_log10(finding.evidence.p), 2);
    out +=
        row(layer_name(finding.layer), finding.identity + ": " + verdict_name(finding.verdict) + p +
                                           " over " + std::to_string(finding.evidence.tally.n) +
                                           " tokens of that layer alone, hypotheses " +
                                           std::to_string(finding.evidence.hypotheses));
  }
  if (detection.accounts_searched > 0)
    out += row("searched", std::to_string(detection.accounts_searched) + " accounts");
  if (detection.line_up) {
    const LineUp& line_up = *detection.line_up;
    out += row("line-up",
               "rank " + std::to_string(line_up.rank) + " among " + std::to_string(line_up.decoys) +
                   " decoys and the key, p " +
                   PValue().scaled(line_up.rank, std::uint64_t{line_up.decoys} + 1).to_string() +
                   "; decoys have mean " + fixed(line_up.mean, 3) + ", variance " +
                   fixed(line_up.variance, 3));
  }
  if (detection.as_published)
    out += row("as published", as_published_text(*detection.as_published));
  out += row("key", (subject.key_id.empty() ? "without a name" : subject.key_id) +
                        (subject.model.empty()
                             ? ""
                             : "  (model " + subject.model + ", epoch " + subject.epoch + ")"));
  out += row("profile", subject.profile.substr(0, 16) + "  (" + subject.scheme + ")");
  if (entry.tests.size() > 1)
    out +=
        row("test", std::to_string(entry.test + 1) + " of " + std::to_string(entry.tests.size()) +
                        ", all p-values corrected for them");
  for (const std::string& reason : detection.reasons) out += row("reason", reason);
  return out;
}

}  // namespace countermark::detect
