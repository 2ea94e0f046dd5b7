// SPDX-License-Identifier: Apache-2.0
#include "verifier/scan/report.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "verifier/detect/report_parts.h"
#include "verifier/scan/batch_scorer.h"
#include "watermark/version.h"

namespace countermark::scan {
namespace {

using detect::Dropped;
using detect::Verdict;
using nlohmann::ordered_json;

ordered_json dropped_json(const Dropped& dropped, std::uint64_t repeated_tuple) {
  return {{"shortContext", dropped.short_context},
          {"repeatedContext", dropped.repeated_context},
          {"promptContext", dropped.prompt_context},
          {"repeatedTuple", repeated_tuple}};
}

// The finding of a sum, or of the product of e-values, which has no sum and no hypotheses.
ordered_json finding_json(const Finding& finding) {
  ordered_json out = detect::evidence_json(finding.evidence);
  if (finding.e_value) {
    out.erase("statistic");
    out["nullModel"] = {{"law", "e-value"}, {"basis", "upper bound"}};
    out["log10E"] = std::round(finding.e_value->log10() * 1e4) / 1e4;
  }
  if (finding.verdict == Verdict::kWithheld) out["pValue"] = out["log10P"] = nullptr;
  return out;
}

// Four significant digits, rounded to nearest: an expectation, no bound.
std::string short_number(double value) {
  char buffer[64];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::general, 4);
  return {buffer, end.ptr};
}

// Rounded down: a lower bound stays one.
std::string share_text(const stats::ShareBound& bound) {
  const auto millionths = static_cast<std::uint64_t>(bound.share() * 1e6);
  std::string digits = std::to_string(millionths);
  if (digits.size() < 7) digits.insert(0, 7 - digits.size(), '0');
  return digits.substr(0, digits.size() - 6) + "." + digits.substr(digits.size() - 6);
}

std::string percent_text(const stats::ShareBound& bound) {
  const auto units = static_cast<std::uint64_t>(bound.share() * 1e4);  // of .01 %
  std::string hundredths = std::to_string(units % 100);
  if (hundredths.size() < 2) hundredths.insert(0, "0");
  return std::to_string(units / 100) + "." + hundredths + " %";
}

// Tuples that the corpus dropped because an earlier document, or the document itself, has them.
std::uint64_t repeated_tuples(const Report& report, std::size_t test, const TestResult& result,
                              std::uint64_t own) {
  std::uint64_t distinct = 0;
  std::size_t lane = 0;
  for (const std::size_t lanes : report.tests.tests[test]->lanes()) {
    distinct += result.totals[lane].n;
    lane += lanes;
  }
  return report.summary.dropped[test].repeated_tuple + own - distinct;
}

ordered_json span_json(const Span& span, stats::PValue p) {
  return {{"first", span.first},     {"last", span.last},
          {"scored", span.tally.n},  {"statistic", std::to_string(span.tally.sum)},
          {"pValue", p.to_string()}, {"log10P", detect::rounded_log10(p)}};
}

std::string count_text(std::uint64_t count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

std::string finding_text(const Finding& finding) {
  if (finding.verdict == Verdict::kWithheld) return "";
  const std::string p = "log10 p " + detect::fixed(detect::rounded_log10(finding.evidence.p), 2);
  if (finding.e_value) return p + ", by e-values of its documents";
  return p + ", hypotheses " + std::to_string(finding.evidence.hypotheses);
}

std::string test_text(const Report& report, std::size_t t) {
  const Test& test = *report.tests.tests[t];
  const TestResult& result = report.results[t];
  const detect::Subject& subject = test.subject();
  const detect::Evidence& evidence = result.finding.evidence;
  const bool modelled = !test.model_reasons().empty();
  std::string out = subject.scheme + (subject.key_id.empty() ? "" : ", key " + subject.key_id) +
                    ": " + detect::verdict_name(result.finding.verdict) + "\n";
  if (result.finding.verdict != Verdict::kWithheld) {
    out += detect::row(
        "corpus", finding_text(result.finding) + ", alpha " + subject.policy.alpha.to_string() +
                      (modelled ? "; of a model (" + detect::joined(test.model_reasons()) +
                                      "): the rank among decoys decides"
                                : ""));
    if (!modelled || result.line_up)
      out += detect::row("by chance", detect::by_chance(evidence) +
                                          " corpora that have nothing to do with this key");
  }
  const std::uint64_t repeated = repeated_tuples(report, t, result, report.summary.tuples[t]);
  out += detect::row("scored", count_text(evidence.tally.n, "distinct tuple", "distinct tuples") +
                                   " of " + std::to_string(report.summary.routed[t]) +
                                   " tokens; repeated " + std::to_string(repeated) +
                                   ", repeated contexts " +
                                   std::to_string(report.summary.dropped[t].repeated_context) +
                                   ", prompt contexts " +
                                   std::to_string(report.summary.dropped[t].prompt_context));
  for (const StreamFinding& stream : result.streams)
    out += detect::row(layer_name(stream.layer),
                       stream.identity + ": " + detect::verdict_name(stream.finding.verdict) +
                           ", " + finding_text(stream.finding) + ", by that layer alone");
  out += detect::row("share", "at least " + percent_text(result.share) + " of " +
                                  std::to_string(result.share.tuples) +
                                  " tuples were drawn under the mark, confidence " +
                                  short_number(1 - report.options.share_alpha.to_double()) +
                                  (modelled ? ", by the model" : ""));
  out += detect::row(
      "documents", std::to_string(result.list.guaranteed) + " of " +
                       std::to_string(result.list.documents) + " listed at false discovery rate " +
                       report.options.list_level.to_string() + "; " +
                       std::to_string(result.list.independent) + " under independence" +
                       (modelled ? "; both by the model" : ""));
  out += detect::row("spans", count_text(result.spans, "span", "spans") + " found, corrected for " +
                                  count_text(result.windows, "window", "windows") +
                                  " of all documents" + (modelled ? "; by the model" : ""));
  if (result.line_up) {
    const detect::LineUp& line_up = *result.line_up;
    out += detect::row(
        "line-up",
        "rank " + std::to_string(line_up.rank) + " among " + std::to_string(line_up.decoys) +
            " decoys and the key over a sample of " +
            count_text(report.summary.sample.entries().size(), "document", "documents") + ", " +
            std::to_string(report.summary.sample.tokens()) + " tokens; p " +
            stats::PValue().scaled(line_up.rank, std::uint64_t{line_up.decoys} + 1).to_string() +
            "; decoys have mean " + detect::fixed(line_up.mean, 3) + ", variance " +
            detect::fixed(line_up.variance, 3));
  }
  out += detect::row("profile", subject.profile.substr(0, 16) +
                                    (subject.model.empty() ? ""
                                                           : "  (model " + subject.model +
                                                                 ", epoch " + subject.epoch + ")"));
  for (const std::string& reason : result.reasons) out += detect::row("reason", reason);
  return out;
}

ordered_json document_test_json(const Report& report, const Channels& channels, std::size_t t,
                                const DocumentRow& row, std::uint64_t number) {
  const Test& test = *report.tests.tests[t];
  const TestResult& result = report.results[t];
  const auto exact_below = stats::PValue::from_parts(1, -2);
  const std::uint64_t* const counts = &row.dropped[t * kCountsPerTest];
  const detect::Evidence own =
      document_evidence(test, lanes_of(report.tests, channels, t, row.own), counts[0], exact_below);
  const detect::Evidence assigned = document_evidence(
      test, lanes_of(report.tests, channels, t, row.assigned), counts[0], exact_below);
  ordered_json out = detect::evidence_json(own);
  out["dropped"] = dropped_json({counts[1], counts[2], counts[3], counts[4]}, counts[4]);
  out["assigned"] = {{"scored", assigned.tally.n},
                     {"statistic", std::to_string(assigned.tally.sum)},
                     {"pValue", assigned.p.to_string()},
                     {"log10P", detect::rounded_log10(assigned.p)}};
  const auto adjusted = result.list.adjusted.find(number);
  const bool listed = adjusted != result.list.adjusted.end();
  out["adjustedP"] = listed ? ordered_json(adjusted->second.to_string()) : ordered_json(nullptr);
  ordered_json spans = ordered_json::array();
  std::size_t first_lane = 0;
  for (std::size_t c = 0; c < channels.first_channel[t]; ++c) first_lane += channels.lanes[c];
  const std::size_t lanes =
      std::accumulate(test.lanes().begin(), test.lanes().end(), std::size_t{0});
  for (const Span& span : row.spans) {
    if (span.lane < first_lane || span.lane >= first_lane + lanes) continue;
    const auto p = span_p(test, span.tally, result.windows, report.summary.routed[t]);
    if (p) spans.push_back(span_json(span, *p));
  }
  out["spans"] = std::move(spans);
  Verdict verdict = listed ? Verdict::kDetected : Verdict::kNotDetected;
  // A law that is only a model lists documents, and decides about none.
  if (assigned.tally.n < test.subject().policy.minimum_scored || !test.model_reasons().empty())
    verdict = Verdict::kInconclusive;
  else if (result.finding.verdict == Verdict::kWithheld)
    verdict = Verdict::kWithheld;
  out["verdict"] = detect::verdict_name(verdict);
  return out;
}

}  // namespace

ordered_json test_json(const Report& report, std::size_t t) {
  const Test& test = *report.tests.tests[t];
  const TestResult& result = report.results[t];
  ordered_json out = detect::subject_json(test.subject());
  ordered_json layers = ordered_json::array();
  if (!test.subject().model.empty())
    for (const Stream& stream : test.streams()) layers.push_back(layer_name(stream.layer));
  out["layers"] = std::move(layers);
  out["tokens"] = report.summary.routed[t];
  out["dropped"] = dropped_json(report.summary.dropped[t],
                                repeated_tuples(report, t, result, report.summary.tuples[t]));
  out.update(finding_json(result.finding));
  ordered_json streams = ordered_json::array();
  for (const StreamFinding& stream : result.streams) {
    ordered_json item = {{"layer", layer_name(stream.layer)}, {"identity", stream.identity}};
    item.update(finding_json(stream.finding));
    item["verdict"] = detect::verdict_name(stream.finding.verdict);
    streams.push_back(std::move(item));
  }
  out["streams"] = std::move(streams);
  out["share"] = {{"atLeast", share_text(result.share)},
                  {"marked", result.share.marked},
                  {"tuples", result.share.tuples},
                  {"alpha", report.options.share_alpha.to_string()},
                  {"basis", test.model_reasons().empty() ? "guaranteed" : "model"}};
  out["documents"] = {{"judged", result.list.documents},
                      {"listed", result.list.guaranteed},
                      {"underIndependence", result.list.independent},
                      {"falseDiscoveryRate", report.options.list_level.to_string()},
                      {"procedure", "benjamini-yekutieli"},
                      {"basis", test.model_reasons().empty() ? "guaranteed" : "model"}};
  ordered_json best = ordered_json::array();
  for (const FoundSpan& found : result.best_spans) {
    ordered_json item = {{"id", found.document}};
    item.update(span_json(found.span, found.p));
    best.push_back(std::move(item));
  }
  out["spans"] = {{"found", result.spans},
                  {"windows", result.windows},
                  {"best", std::move(best)},
                  {"basis", test.model_reasons().empty() ? "guaranteed" : "model"}};
  if (result.line_up) {
    out["lineUp"] = detect::line_up_json(*result.line_up);
    out["lineUp"]["documents"] = report.summary.sample.entries().size();
    out["lineUp"]["tokens"] = report.summary.sample.tokens();
  }
  out["expectedLostToFingerprints"] = short_number(expected_collisions(result.totals.front().n));
  out["verdict"] = detect::verdict_name(result.finding.verdict);
  out["reasons"] = result.reasons;
  return out;
}

std::string to_json(const Report& report) {
  const Summary& summary = report.summary;
  const detect::Policy& policy = report.tests.tests.front()->subject().policy;
  ordered_json tests = ordered_json::array();
  for (std::size_t t = 0; t < report.results.size(); ++t) tests.push_back(test_json(report, t));
  const ordered_json out = {{"schema", "countermark.scan/1"},
                            {"version", kVersion},
                            {"inputs", report.inputs},
                            {"documents", summary.documents},
                            {"badRecords", summary.bad_records},
                            {"tokens", summary.tokens},
                            {"tests", std::move(tests)},
                            {"policy",
                             {{"schema", "countermark.policy/1"},
                              {"alpha", policy.alpha.to_string()},
                              {"minimumScored", policy.minimum_scored}}}};
  return out.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string to_text(const Report& report) {
  const Summary& summary = report.summary;
  std::string out = count_text(report.inputs.size(), "input", "inputs") + ", " +
                    count_text(summary.documents, "document", "documents") + ", " +
                    count_text(summary.tokens, "token", "tokens");
  if (summary.bad_records > 0)
    out += ", " + count_text(summary.bad_records, "bad record", "bad records") + " skipped";
  out += "\n";
  for (std::size_t t = 0; t < report.results.size(); ++t) out += test_text(report, t);
  if (report.results.size() > 1)
    out +=
        "all p-values are corrected for the " + std::to_string(report.results.size()) + " tests\n";
  return out;
}

Status write_documents(const Report& report, const Corpus& corpus,
                       const std::function<Status(std::string_view)>& write) {
  const Channels channels = channels_of(report.tests);
  std::uint64_t number = 0;
  return corpus.each_document([&](const DocumentRow& row) -> Status {
    ordered_json tests = ordered_json::array();
    for (std::size_t t = 0; t < report.results.size(); ++t)
      tests.push_back(document_test_json(report, channels, t, row, number));
    ++number;
    ordered_json line = {{"schema", "countermark.scan-document/1"},
                         {"id", row.id},
                         {"input", report.inputs[row.place.input]},
                         {"record", row.place.record},
                         {"offset", row.offset},
                         {"tokens", row.tokens}};
    line["duplicateOf"] = row.duplicate_of ? ordered_json(row.duplicate_of->id) : nullptr;
    line["tests"] = std::move(tests);
    return write(line.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n");
  });
}

}  // namespace countermark::scan
