// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

#include "verifier/detect/report_parts.h"
#include "verifier/scan/report.h"
#include "watermark/version.h"

namespace countermark::audit {
namespace {

using detect::fixed;
using detect::row;
using detect::Verdict;
using nlohmann::ordered_json;

constexpr double kConfidence = 0.95;
constexpr const char* kOpen = "unsupervised-open";
constexpr const char* kClosed = "unsupervised-closed";

// A code, and what it means.
struct Reading {
  const char* code;
  const char* text;
};

// What else gives such a result.
constexpr std::array kServedAlternatives = {
    Reading{"other-exchangeability",
            "served answers and regenerations differ in how they were made (snapshot, sampler, "
            "system prompt, filters, choice among several)"},
    Reading{"published-answers",
            "the served answers reached the training data by another way: published, resold, "
            "quoted, or licensed"},
};
constexpr Reading kLearnedKey = {
    "learned-key",
    "the answers are marked under one key: a suspect that learned this key's preferences from any "
    "text under it rates them high without having seen them"};
constexpr std::array kServedNotShown = {
    Reading{"who", "who gave the answers to the suspect's maker"},
    Reading{"how-much", "how large a part of the training data they were"},
};

constexpr std::array kTupleAlternatives = {
    Reading{"marked-text-elsewhere",
            "text under this key reached the training data by another way: scraped, published, "
            "resold, quoted, or licensed"},
    Reading{"common-ancestor",
            "the suspect descends from, or was trained on, another model that learned from such "
            "text"},
    Reading{"unseen-material",
            "the suspect was shown marked text that is not among the prompts and works given "
            "here, or that stood there in another form (encoded, translated, reformatted)"},
    Reading{"spoofing", "somebody made text that scores high to have the suspect learn it"},
};
constexpr std::array kTupleNotShown = {
    Reading{"who",
            "who gave the text to the suspect's maker, unless a stream of one account says "
            "so"},
    Reading{"how-much", "how large a part of the training data it was"},
};

// The digits behind the sixth decimal are not portable and tell nothing.
double rounded(double value) {
  const double out = std::round(value * 1e6) / 1e6;
  return out == 0 ? 0 : out;  // no minus zero
}

ordered_json checks_json(const std::vector<Check>& checks) {
  ordered_json out = ordered_json::array();
  for (const Check& check : checks)
    out.push_back(
        {{"check", check.name}, {"state", state_name(check.state)}, {"detail", check.detail}});
  return out;
}

struct Interval {
  double least;
  double most;
};

Interval interval(const stats::RankSum& ranks) {
  const double width = ranks.half_width(kConfidence);
  return {std::max(0.0, ranks.share() - width), std::min(1.0, ranks.share() + width)};
}

std::vector<Reading> alternatives(const ServedFinding& finding) {
  std::vector<Reading> out(kServedAlternatives.begin(), kServedAlternatives.end());
  if (finding.is_marked) out.push_back(kLearnedKey);
  return out;
}

template <typename Readings>
ordered_json codes(const Readings& readings) {
  ordered_json out = ordered_json::array();
  for (const Reading& each : readings) out.push_back(each.code);
  return out;
}

// What a withheld verdict does not say.
template <typename T>
ordered_json unless(bool is_withheld, T value) {
  return is_withheld ? ordered_json(nullptr) : ordered_json(std::move(value));
}

ordered_json served_json(const Audit& audit, const ServedFinding& finding) {
  const stats::RankSum& ranks = finding.ranks;
  const auto [least, most] = interval(ranks);
  const bool is_withheld = finding.verdict == Verdict::kWithheld;
  return {{"test", "served-response"},
          {"verdict", detect::verdict_name(finding.verdict)},
          {"alpha", audit.policy.alpha.to_string()},
          {"prompts", ranks.groups()},
          {"regenerations", {finding.least_regenerated, finding.most_regenerated}},
          {"tied", ranks.tied()},
          {"statistic", std::to_string(ranks.statistic())},
          {"nullModel",
           {{"law", "rank-sum"},
            {"most", std::to_string(ranks.most())},
            {"basis", finding.is_marked ? "model" : "exact"}}},
          {"pValue", unless(is_withheld, finding.p.to_string())},
          {"log10P", unless(is_withheld, detect::rounded_log10(finding.p))},
          {"smallestP", finding.smallest_p.to_string()},
          {"log10E", unless(is_withheld, rounded(ranks.e_value().log10()))},
          {"effect",
           {{"name", "share-above"},
            {"value", rounded(ranks.share())},
            {"chance", 0.5},
            {"interval", {rounded(least), rounded(most)}},
            {"confidence", kConfidence}}},
          {"couldFind", {{"share", rounded(finding.detectable)}, {"power", audit.policy.power}}},
          {"checks", checks_json(finding.checks)},
          {"alternatives", codes(alternatives(finding))},
          {"notShown", codes(kServedNotShown)}};
}

// A test that the files did not allow.
struct Missing {
  const char* test;
  const char* needs;
};

std::vector<Missing> missing(const Audit& audit) {
  std::vector<Missing> out;
  if (!audit.served)
    out.push_back({"served-response", "--scores: how the suspect rates served answers"});
  if (!audit.open)
    out.push_back({kOpen, "--predictions, -k and -p: what it predicts while it reads a text"});
  if (!audit.closed) out.push_back({kClosed, "--answers, -k and -p: what the suspect answers"});
  return out;
}

std::string percent(double share) { return fixed(100 * share, 1) + " %"; }

template <typename Readings>
void add_readings(const char* name, const Readings& readings, std::string& out) {
  for (const Reading& each : readings) {
    out += row(name, each.text);
    name = "";
  }
}

std::string could_find(const Audit& audit, const ServedFinding& finding) {
  const std::string among = std::to_string(finding.ranks.groups()) + " prompts";
  if (finding.detectable >= 1)
    return among + ": with a power of " + fixed(audit.policy.power, 2) + " nothing would be found";
  return among + ": with a power of " + fixed(audit.policy.power, 2) + " found from " +
         percent(finding.detectable) + " on";
}

std::string served_text(const Audit& audit, const ServedFinding& finding) {
  const stats::RankSum& ranks = finding.ranks;
  const auto [least, most] = interval(ranks);
  std::string out = std::string("served-response: ") + detect::verdict_name(finding.verdict) + "\n";
  out += row("could find", could_find(audit, finding));
  std::string regenerated = std::to_string(finding.least_regenerated);
  if (finding.most_regenerated != finding.least_regenerated)
    regenerated += " to " + std::to_string(finding.most_regenerated);
  out +=
      row("ranks", "the served answer is above one of its " + regenerated + " regenerations in " +
                       percent(ranks.share()) + " of pairs (50 % by chance; 95 % interval " +
                       percent(least) + " to " + percent(most) + ")");
  if (finding.verdict != Verdict::kWithheld)
    out += row("p", finding.p.to_string() + (finding.is_marked ? ", of a model" : ", exact") +
                        "; alpha " + audit.policy.alpha.to_string() + "; log10 e " +
                        fixed(ranks.e_value().log10(), 2));
  if (ranks.tied() > 0)
    out += row("tied", std::to_string(ranks.tied()) + " prompts say nothing: all answers tie");
  for (const Check& check : finding.checks)
    out += row("check", check.name + " " + state_name(check.state) + ": " + check.detail);
  add_readings("or else", alternatives(finding), out);
  add_readings("not shown", kServedNotShown, out);
  return out;
}

ordered_json tuples_json(const Audit& audit, const char* name, const TupleFinding& finding) {
  const std::vector<scan::TestResult> results = {finding.result};
  scan::JudgeOptions options;
  options.share_alpha = audit.share_alpha;
  const std::vector<std::string> inputs;  // which tests do not name
  const scan::Report report{*audit.tests, inputs, finding.summary, results, options};
  ordered_json out = {{"test", name},
                      {"verdict", detect::verdict_name(finding.verdict)},
                      {"alpha", audit.policy.alpha.to_string()},
                      {"texts", finding.summary.documents}};
  ordered_json found = scan::test_json(report, 0);
  // What is said of single answers is another question.
  for (const char* field : {"verdict", "documents", "spans"}) found.erase(field);
  const bool is_withheld = finding.verdict == Verdict::kWithheld;
  if (is_withheld) {
    if (found.contains("lineUp")) found["lineUp"]["rank"] = found["lineUp"]["pValue"] = nullptr;
    for (ordered_json& stream : found["streams"]) stream.erase("log10E");
  }
  out.update(found);
  out["log10E"] = finding.e_value && !is_withheld ? ordered_json(rounded(finding.e_value->log10()))
                                                  : ordered_json(nullptr);
  out["effect"] = out["couldFind"] = nullptr;
  if (const auto& effect = finding.effect) {
    out["effect"] = {{"name", "mean-score"},
                     {"value", rounded(effect->mean)},
                     {"chance", rounded(effect->chance)},
                     {"interval", {rounded(effect->least), rounded(effect->most)}},
                     {"confidence", kConfidence},
                     {"basis", "model"}};
    out["couldFind"] = {{"meanScore", rounded(effect->detectable)}, {"power", audit.policy.power}};
  }
  out["checks"] = checks_json(finding.checks);
  out["alternatives"] = codes(kTupleAlternatives);
  out["notShown"] = codes(kTupleNotShown);
  return out;
}

std::string tuples_text(const Audit& audit, const char* name, const TupleFinding& finding) {
  const scan::Finding& found = finding.result.finding;
  const detect::Evidence& evidence = found.evidence;
  const detect::Subject& subject = audit.tests->tests.front()->subject();
  std::string out = std::string(name) + ": " + detect::verdict_name(finding.verdict) + "\n";
  const std::string tuples = std::to_string(evidence.tally.n) + " distinct tuples";
  if (const auto& effect = finding.effect) {
    out += row("could find", tuples + ": with a power of " + fixed(audit.policy.power, 2) +
                                 " found from a mean score of " + fixed(effect->detectable, 4) +
                                 " on (" + fixed(effect->chance, 4) + " by chance)");
    out += row("scores", "mean " + fixed(effect->mean, 4) + " (95 % interval " +
                             fixed(effect->least, 4) + " to " + fixed(effect->most, 4) +
                             ", by a model)");
  } else {
    out += row("scored", tuples);
  }
  if (finding.verdict != Verdict::kWithheld) {
    std::string p = evidence.asserted.to_string() + ", " + detect::by_chance(evidence) +
                    " suspects that have nothing to do with this key; alpha " +
                    audit.policy.alpha.to_string();
    if (finding.e_value) p += "; log10 e " + fixed(finding.e_value->log10(), 2);
    out += row("p", p);
  }
  for (const scan::StreamFinding& stream : finding.result.streams)
    out += row(layer_name(stream.layer),
               stream.identity + ": " + detect::verdict_name(stream.finding.verdict) +
                   (finding.verdict == Verdict::kWithheld
                        ? ""
                        : ", p " + stream.finding.evidence.asserted.to_string() +
                              ", by that layer alone"));
  for (const Check& check : finding.checks)
    out += row("check", check.name + " " + state_name(check.state) + ": " + check.detail);
  for (const std::string& reason : finding.result.reasons) out += row("reason", reason);
  out += row("key", (subject.key_id.empty() ? subject.scheme : subject.key_id) + ", profile " +
                        subject.profile.substr(0, 16));
  add_readings("or else", kTupleAlternatives, out);
  add_readings("not shown", kTupleNotShown, out);
  return out;
}

}  // namespace

Verdict verdict_of(const Audit& audit) noexcept {
  std::vector<Verdict> all;
  if (audit.served) all.push_back(audit.served->verdict);
  if (audit.open) all.push_back(audit.open->verdict);
  if (audit.closed) all.push_back(audit.closed->verdict);
  for (const Verdict first : {Verdict::kDetected, Verdict::kWithheld, Verdict::kNotDetected})
    if (std::find(all.begin(), all.end(), first) != all.end()) return first;
  return Verdict::kInconclusive;
}

std::string to_json(const Audit& audit) {
  ordered_json out = {{"schema", "countermark.audit/1"},
                      {"version", kVersion},
                      {"verdict", detect::verdict_name(verdict_of(audit))},
                      {"exploratory", true},
                      {"alpha", audit.alpha.to_string()},
                      {"account", audit.account ? ordered_json(*audit.account) : nullptr}};
  out["tests"] = ordered_json::array();
  if (audit.served) out["tests"].push_back(served_json(audit, *audit.served));
  if (audit.open) {
    ordered_json open = tuples_json(audit, kOpen, *audit.open);
    open["suspect"] = {{"name", audit.predictions->suspect},
                       {"sha256", audit.predictions->suspect_sha256},
                       {"readSha256", audit.predictions->read_sha256}};
    out["tests"].push_back(std::move(open));
  }
  if (audit.closed) out["tests"].push_back(tuples_json(audit, kClosed, *audit.closed));
  ordered_json not_run = ordered_json::array();
  for (const Missing& each : missing(audit))
    not_run.push_back({{"test", each.test}, {"needs", each.needs}});
  out["notRun"] = std::move(not_run);
  return out.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string to_text(const Audit& audit) {
  std::string out;
  if (audit.served) out += served_text(audit, *audit.served);
  if (audit.open) out += tuples_text(audit, kOpen, *audit.open);
  if (audit.closed) out += tuples_text(audit, kClosed, *audit.closed);
  for (const Missing& each : missing(audit))
    out += row("not run", std::string(each.test) + ": needs " + each.needs);
  out += "exploratory: no plan fixed this analysis before the data were seen, so it has no level\n";
  return out;
}

}  // namespace countermark::audit
