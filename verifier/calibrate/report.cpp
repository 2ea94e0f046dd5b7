// SPDX-License-Identifier: Apache-2.0
#include "verifier/calibrate/report.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "verifier/detect/report_parts.h"
#include "verifier/render/chart.h"
#include "watermark/version.h"

namespace countermark::calibrate {
namespace {

using detect::fixed;
using detect::row;
using nlohmann::ordered_json;
using stats::PValue;

// The digits behind the sixth decimal are not portable and tell nothing.
double rounded(double value) {
  const double out = std::round(value * 1e6) / 1e6;
  return out == 0 ? 0 : out;  // no minus zero
}

std::string p_text(double p) { return PValue::from_double(std::clamp(p, 1e-300, 1.0)).to_string(); }

std::string level_text(std::size_t index) { return "1e-" + std::to_string(index + 1); }

ordered_json scores_json(const NullModel& model, const ScoreSums& sums) {
  const ScoreMoments found = moments(model, sums);
  return {{"tuples", sums.n},
          {"mean", rounded(found.mean)},
          {"expectedMean", rounded(found.expected_mean)},
          {"meanError", rounded(found.mean_error)},
          {"variance", rounded(found.variance)},
          {"expectedVariance", rounded(found.expected_variance)},
          {"varianceError", rounded(found.variance_error)}};
}

ordered_json counts_json(const NullModel& model, const NullCounts& counts) {
  ordered_json levels = ordered_json::array();
  for (std::size_t i = 0; i < kLevels; ++i) {
    const stats::CountInterval ends = limits(model, counts.judged, i);
    levels.push_back({{"p", level_text(i)},
                      {"expected", rounded(static_cast<double>(counts.judged) * level(i))},
                      {"least", ends.least},
                      {"most", ends.most},
                      {"upper", counts.upper[i]},
                      {"lower", counts.lower[i]}});
  }
  return {{"judged", counts.judged}, {"levels", std::move(levels)}};
}

ordered_json measured_json(const NullModel& model, const Measured& measured) {
  return {{"scores", scores_json(model, measured.scores)},
          {"assigned", counts_json(model, measured.assigned)},
          {"own", counts_json(model, measured.own)}};
}

std::string dumped(const ordered_json& value) {
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string moments_text(const ScoreMoments& found) {
  return "mean " + fixed(found.mean, 5) + " (" + fixed(found.expected_mean, 5) + " \u00b1 " +
         fixed(found.mean_error, 5) + "), variance " + fixed(found.variance, 5) + " (" +
         fixed(found.expected_variance, 5) + " \u00b1 " + fixed(found.variance_error, 5) + ")";
}

std::string padded(const std::string& text, std::size_t width) {
  return std::string(text.size() < width ? width - text.size() : 0, ' ') + text;
}

std::string table_text(const NullModel& model, const char* name, const NullCounts& counts) {
  std::string out = row(name, std::to_string(counts.judged) + " p-values");
  out += "    p <=  expected        limits     upper     lower\n";
  for (std::size_t i = 0; i < kLevels; ++i) {
    const stats::CountInterval ends = limits(model, counts.judged, i);
    const auto mark = [&ends](std::uint64_t count) {
      return padded(std::to_string(count), 10) +
             (count < ends.least || count > ends.most ? "!" : "");
    };
    out += "    " + level_text(i) +
           padded(fixed(static_cast<double>(counts.judged) * level(i), 1), 10) +
           padded(std::to_string(ends.least) + "-" + std::to_string(ends.most), 14) +
           mark(counts.upper[i]) + mark(counts.lower[i]) + "\n";
  }
  return out;
}

const char* explanation(const std::string& reason) {
  if (reason == "too-few-documents") return "there are too few documents with enough tuples";
  if (reason == "key-documents") return "the key's p-values do not follow their law";
  if (reason == "key-whole") return "the key's sum over the whole does not follow its law";
  if (reason == "decoys")
    return "random keys do not follow the law either: the corpus, its tokenizer or this "
           "installation is at fault";
  return "documents share text: by themselves their p-values depend on each other";
}

std::string header(const scan::Test& test) {
  const detect::Subject& subject = test.subject();
  return subject.scheme + (subject.key_id.empty() ? "" : ", key " + subject.key_id);
}

}  // namespace

std::string to_json(const scan::Test& test, const std::vector<std::string>& inputs,
                    const Calibration& calibration) {
  const NullModel& model = test.null_model();
  ordered_json out = {{"schema", "countermark.calibrate/1"}, {"version", kVersion}};
  out.update(detect::subject_json(test.subject()));
  out["basis"] = test.model_reasons().empty() ? "law" : "model";
  out["inputs"] = inputs;
  out["documents"] = calibration.documents;
  out["badRecords"] = calibration.bad_records;
  out["tokens"] = calibration.tokens;
  out["key"] = measured_json(model, calibration.key);
  out["whole"] = {{"scored", calibration.total.n},
                  {"statistic", std::to_string(calibration.total.sum)},
                  {"upperP", p_text(calibration.whole.upper)},
                  {"lowerP", p_text(calibration.whole.lower)}};
  out["decoys"] = {{"count", calibration.decoys},
                   {"seed", calibration.seed},
                   {"documents", calibration.sample_documents}};
  out["decoys"].update(measured_json(model, calibration.decoy));
  out["falseAlarm"] = PValue::from_decimal(kFalseAlarm).to_string();
  out["verdict"] = fitness_name(calibration.fitness);
  out["reasons"] = calibration.reasons;
  return dumped(out);
}

std::string to_text(const scan::Test& test, const Calibration& calibration) {
  const NullModel& model = test.null_model();
  std::string out = header(test) + ": " + fitness_name(calibration.fitness) + "\n";
  out += row("corpus", std::to_string(calibration.documents) + " documents, " +
                           std::to_string(calibration.tokens) + " tokens, " +
                           std::to_string(calibration.total.n) + " distinct tuples");
  out += row("whole", "p " + p_text(calibration.whole.upper) + " for a sum as high, " +
                          p_text(calibration.whole.lower) + " for one as low");
  out += row("scores", moments_text(moments(model, calibration.key.scores)));
  out += table_text(model, "documents", calibration.key.assigned);
  if (!(calibration.key.own == calibration.key.assigned))
    out += table_text(model, "by itself", calibration.key.own);
  if (calibration.decoys > 0) {
    out += row("decoys", std::to_string(calibration.decoys) + " random keys over " +
                             std::to_string(calibration.sample_documents) + " documents; " +
                             moments_text(moments(model, calibration.decoy.scores)));
    out += table_text(model, "documents", calibration.decoy.assigned);
  }
  out += row("limits",
             "a fit key on a clean corpus is called unfit at most once in " +
                 fixed(1 / kFalseAlarm, 0) +
                 (test.model_reasons().empty()
                      ? ""
                      : "; by a model of the law (" + detect::joined(test.model_reasons()) + ")"));
  for (const std::string& reason : calibration.reasons)
    out += row("reason", reason + ": " + explanation(reason));
  return out;
}

std::string to_svg(const scan::Test& test, const Calibration& calibration) {
  const NullModel& model = test.null_model();
  const NullCounts& counts = calibration.key.assigned;
  const auto judged = static_cast<double>(counts.judged);
  const double share = 1.0 / NullCounts::kBins;
  // 99 in 100 such bins lie between these, each by itself.
  const stats::CountInterval ends = stats::binomial_interval(counts.judged, share, 0.99);
  const std::uint64_t largest =
      std::max(ends.most, *std::max_element(counts.bins.begin(), counts.bins.end()));
  std::vector<render::Picture> out;
  out.push_back(render::histogram(
      {"p-values of " + std::to_string(counts.judged) + " documents",
       header(test) + "; dashed: expected, grey: 99 in 100 bins",
       {"p-value", 0, 1},
       {"documents", 0, render::axis_end(static_cast<double>(largest))}},
      counts.bins,
      {judged * share, static_cast<double>(ends.least), static_cast<double>(ends.most)}));

  // As shares of all p-values, so that key and decoys lie on one line. Steps that no p-value
  // reaches are left out.
  const auto tail_of = [](const NullCounts& of) {
    std::vector<render::Point> points;
    for (std::size_t i = 0; i < NullCounts::kSteps && of.steps[i] > 0; ++i)
      points.push_back({-static_cast<double>(i) / 4, std::log10(static_cast<double>(of.steps[i]) /
                                                                static_cast<double>(of.judged))});
    return points;
  };
  std::vector<render::Series> series = {{"key", tail_of(counts)}};
  if (calibration.decoys > 0)
    series.push_back(
        {std::to_string(calibration.decoys) + " decoys", tail_of(calibration.decoy.assigned)});
  series.push_back({"expected", {{-6, -6}, {0, 0}}, true});
  out.push_back(render::lines({"How many p-values are as small",
                               is_continuous(model) ? "above the dashed line: more than expected"
                                                    : "counts: at most on the dashed line",
                               {"p-value", -6, 0, true},
                               {"share at or below", -6, 0, true}},
                              series));
  if (calibration.decoys > 0)
    out.push_back(render::strip(
        {"The key among " + std::to_string(calibration.decoys) + " decoys",
         "sums over a sample of " + std::to_string(calibration.sample_documents) + " documents",
         {"normal score of the sum's p-value", -5, 5},
         {}},
        calibration.decoy_wholes, calibration.key_whole));
  return render::to_svg(out);
}

namespace {

// At most this, with the study's confidence; rounded up.
PValue bound(std::uint64_t trials, std::uint64_t alarms) {
  return PValue::from_double(
      std::clamp(stats::share_upper_bound(trials, alarms, kConfidence), 1e-300, 1.0));
}

ordered_json rates_json(std::uint64_t trials, const std::array<std::uint64_t, kLevels>& alarms) {
  ordered_json out = ordered_json::array();
  for (std::size_t i = 0; i < kLevels; ++i)
    out.push_back({{"p", level_text(i)},
                   {"alarms", alarms[i]},
                   {"rateAtMost", bound(trials, alarms[i]).to_string()}});
  return out;
}

Cell together(const std::vector<Cell>& cells) {
  Cell out;
  for (const Cell& cell : cells) {
    out.pieces += cell.pieces;
    out.trials += cell.trials;
    for (std::size_t i = 0; i < kLevels; ++i) out.alarms[i] += cell.alarms[i];
  }
  return out;
}

}  // namespace

std::string to_json(const scan::Test& test, const StudyOptions& options,
                    const std::vector<Cell>& cells) {
  const detect::Subject& subject = test.subject();
  const Cell all = together(cells);
  ordered_json list = ordered_json::array();
  for (const Cell& cell : cells)
    list.push_back({{"domain", cell.domain},
                    {"length", cell.length},
                    {"edit", edit_name(cell.edit)},
                    {"pieces", cell.pieces},
                    {"trials", cell.trials},
                    {"rates", rates_json(cell.trials, cell.alarms)}});
  return dumped({{"schema", "countermark.calibration-study/1"},
                 {"version", kVersion},
                 {"scheme", subject.scheme},
                 {"profile", subject.profile},
                 {"basis", test.model_reasons().empty() ? "law" : "model"},
                 {"seed", to_hex(as_bytes(options.seed))},
                 {"keys", options.keys},
                 {"minimumScored", subject.policy.minimum_scored},
                 {"confidence", fixed(kConfidence, 2)},
                 {"trials", all.trials},
                 {"rates", rates_json(all.trials, all.alarms)},
                 {"cells", std::move(list)}});
}

std::string to_text(const scan::Test& test, const StudyOptions& options,
                    const std::vector<Cell>& cells) {
  const Cell all = together(cells);
  std::string out = test.subject().scheme + ": " + std::to_string(all.trials) +
                    " clean texts, each under a key of its own (" + std::to_string(options.keys) +
                    " keys a piece)\n";
  const auto add = [&out](const std::string& name, const Cell& cell) {
    out += row(name, std::to_string(cell.trials) + " trials");
    for (std::size_t i = 0; i < kLevels; ++i)
      out += "    p <= " + level_text(i) + padded(std::to_string(cell.alarms[i]), 10) +
             "   rate at most " + bound(cell.trials, cell.alarms[i]).to_string() + "\n";
  };
  add("all", all);
  for (const Cell& cell : cells)
    add(cell.domain + ", " + std::to_string(cell.length) + " tokens, edit " + edit_name(cell.edit),
        cell);
  return out + row("bounds", "each with confidence " + fixed(kConfidence, 2) +
                                 " by itself (Clopper and Pearson, one-sided)");
}

}  // namespace countermark::calibrate
