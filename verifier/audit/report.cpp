// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string_view>

#include "verifier/audit/needs.h"
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

const AuditPolicy& policy_of_served(const Audit& audit) {
  return audit.policies.at(TestKind::kServedResponse);
}

ordered_json served_json(const Audit& audit, const ServedFinding& finding) {
  const stats::RankSum& ranks = finding.ranks;
  const auto [least, most] = interval(ranks);
  const bool is_withheld = finding.verdict == Verdict::kWithheld;
  return {{"test", "served-response"},
          {"verdict", detect::verdict_name(finding.verdict)},
          {"alpha", policy_of_served(audit).alpha.to_string()},
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
          {"couldFind",
           {{"share", rounded(finding.detectable)}, {"power", policy_of_served(audit).power}}},
          {"checks", checks_json(finding.checks)},
          {"alternatives", codes(alternatives(finding))},
          {"notShown", codes(kServedNotShown)}};
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
    return among + ": with a power of " + fixed(policy_of_served(audit).power, 2) +
           " nothing would be found";
  return among + ": with a power of " + fixed(policy_of_served(audit).power, 2) + " found from " +
         percent(finding.detectable) + " on";
}

std::string served_text(const Audit& audit, const ServedFinding& finding) {
  const stats::RankSum& ranks = finding.ranks;
  const auto [least, most] = interval(ranks);
  std::string out = "served-response\n";
  out += row("could find", could_find(audit, finding));
  out += row("verdict", detect::verdict_name(finding.verdict));
  std::string regenerated = std::to_string(finding.least_regenerated);
  if (finding.most_regenerated != finding.least_regenerated)
    regenerated += " to " + std::to_string(finding.most_regenerated);
  out +=
      row("ranks", "the served answer is above one of its " + regenerated + " regenerations in " +
                       percent(ranks.share()) + " of pairs (50 % by chance; 95 % interval " +
                       percent(least) + " to " + percent(most) + ")");
  if (finding.verdict != Verdict::kWithheld)
    out += row("p", finding.p.to_string() + (finding.is_marked ? ", of a model" : ", exact") +
                        "; alpha " + policy_of_served(audit).alpha.to_string() + "; log10 e " +
                        fixed(ranks.e_value().log10(), 2));
  if (ranks.tied() > 0)
    out += row("tied", std::to_string(ranks.tied()) + " prompts say nothing: all answers tie");
  for (const Check& check : finding.checks)
    out += row("check", check.name + " " + state_name(check.state) + ": " + check.detail);
  add_readings("or else", alternatives(finding), out);
  add_readings("not shown", kServedNotShown, out);
  return out;
}

// What a corpus of tuples says, whatever their order.
ordered_json corpus_json(const Audit& audit, const TupleTest& of) {
  const std::vector<scan::TestResult> results = {of.finding.result};
  scan::JudgeOptions options;
  options.share_alpha = audit.share_alpha;
  const std::vector<std::string> inputs;  // which tests do not name
  ordered_json out = scan::test_json({*of.tests, inputs, of.finding.summary, results, options}, 0);
  // What is said of single answers is another question.
  for (const char* field : {"verdict", "documents", "spans"}) out.erase(field);
  return out;
}

const char* order_name(Order order) {
  switch (order) {
    case Order::kAsRead:
      return "as-read";
    case Order::kAsAnswered:
      return "as-answered";
    case Order::kAsLogged:
      return "as-logged";
  }
  return "";
}

// What decides over a sum in a fixed order.
ordered_json decided_json(const detect::Evidence& evidence, bool by_bet) {
  ordered_json out = detect::evidence_json(evidence);
  if (by_bet) out["nullModel"] = {{"law", "e-process"}, {"basis", "upper bound"}};
  return out;
}

ordered_json layers_json(const scan::Test& test) {
  ordered_json out = ordered_json::array();
  if (!test.subject().model.empty())
    for (const scan::Stream& stream : test.streams()) out.push_back(layer_name(stream.layer));
  return out;
}

ordered_json sequence_json(const TupleTest& of) {
  const TupleFinding& finding = of.finding;
  const Sequence& sequence = *finding.sequence;
  const scan::Test& test = *of.tests->tests.front();
  const bool by_bet = !sequence.planned && test.model_reasons().empty();
  ordered_json out = detect::subject_json(test.subject());
  out["layers"] = layers_json(test);
  out["tokens"] = sequence.walk.tokens;
  const detect::Dropped& dropped = sequence.walk.dropped;
  out["order"] = order_name(sequence.order);
  out["planned"] = sequence.planned ? ordered_json(*sequence.planned) : ordered_json(nullptr);
  out["dropped"] = {{"shortContext", dropped.short_context},
                    {"repeatedContext", dropped.repeated_context + sequence.walk.repeated},
                    {"promptContext", dropped.prompt_context},
                    {"repeatedTuple", dropped.repeated_tuple},
                    {"notLogged", sequence.walk.not_logged},
                    {"behindThePlanned", sequence.walk.behind_the_first}};
  out.update(decided_json(finding.result.finding.evidence, by_bet));
  out["log10MostE"] =
      by_bet || finding.e_value ? ordered_json(rounded(sequence.most.log10())) : nullptr;
  ordered_json streams = ordered_json::array();
  for (const scan::StreamFinding& stream : finding.result.streams) {
    ordered_json item = {{"layer", layer_name(stream.layer)}, {"identity", stream.identity}};
    item.update(decided_json(stream.finding.evidence, true));
    item["verdict"] = detect::verdict_name(stream.finding.verdict);
    streams.push_back(std::move(item));
  }
  out["streams"] = std::move(streams);
  if (finding.result.line_up) out["lineUp"] = detect::line_up_json(*finding.result.line_up);
  out["reasons"] = finding.result.reasons;
  return out;
}

ordered_json effect_json(const Effect& effect) {
  return {{"name", "mean-score"},
          {"value", rounded(effect.mean)},
          {"chance", rounded(effect.chance)},
          {"interval", {rounded(effect.least), rounded(effect.most)}},
          {"confidence", kConfidence},
          {"basis", "model"}};
}

// A withheld verdict has no p-value, whatever it is derived from.
void withhold(ordered_json& test) {
  const auto erase = [](ordered_json& of, std::initializer_list<const char*> fields) {
    for (const char* field : fields)
      if (of.contains(field)) of[field] = nullptr;
  };
  erase(test, {"pValue", "log10P", "log10MostE"});
  if (test.contains("lineUp")) erase(test["lineUp"], {"rank", "pValue"});
  for (ordered_json& stream : test["streams"]) {
    erase(stream, {"pValue", "log10P"});
    stream.erase("log10E");
  }
}

ordered_json suspect_json(const PredictionsHeader& of) {
  return {{"name", of.suspect}, {"sha256", of.suspect_sha256}, {"readSha256", of.read_sha256}};
}

ordered_json tuples_json(const Audit& audit, const TupleTest& of) {
  const TupleFinding& finding = of.finding;
  const bool is_withheld = finding.verdict == Verdict::kWithheld;
  ordered_json out = {{"test", kind_name(of.kind)},
                      {"verdict", detect::verdict_name(finding.verdict)},
                      {"alpha", audit.policies.at(of.kind).alpha.to_string()},
                      {"texts", finding.summary.documents}};
  out.update(finding.sequence ? sequence_json(of) : corpus_json(audit, of));
  if (is_withheld) withhold(out);
  out["log10E"] = finding.e_value && !is_withheld ? ordered_json(rounded(finding.e_value->log10()))
                                                  : ordered_json(nullptr);
  out["effect"] = finding.effect ? effect_json(*finding.effect) : ordered_json(nullptr);
  out["couldFind"] = nullptr;
  if (finding.effect)
    out["couldFind"] = {{"meanScore", rounded(finding.effect->detectable)},
                        {"power", audit.policies.at(of.kind).power}};
  out["checks"] = checks_json(finding.checks);
  out["alternatives"] = codes(kTupleAlternatives);
  out["notShown"] = codes(kTupleNotShown);
  if (of.predictions) out["suspect"] = suspect_json(*of.predictions);
  return out;
}

ordered_json mass_json(const Audit& audit, const MassTest& of) {
  const MassFinding& finding = of.finding;
  const scan::Test& test = *of.tests->tests.front();
  const stats::WeightedSum& sum = finding.sum;
  ordered_json out = {{"test", kind_name(TestKind::kUnsupervisedMass)},
                      {"verdict", detect::verdict_name(finding.verdict)},
                      {"alpha", audit.policies.at(TestKind::kUnsupervisedMass).alpha.to_string()},
                      {"texts", finding.texts}};
  out.update(detect::subject_json(test.subject()));
  out["layers"] = layers_json(test);
  out["tokens"] = finding.tokens;
  out.update(detect::evidence_json(finding.evidence));
  out["nullModel"] = {{"law", "weighted-sum"}, {"basis", "upper bound"}};
  out["estimateLog10P"] = rounded(finding.estimate_log10);
  out["log10E"] = rounded(finding.e_value.log10());
  out["streams"] = ordered_json::array();
  if (finding.line_up) out["lineUp"] = detect::line_up_json(*finding.line_up);
  if (finding.verdict == Verdict::kWithheld) {
    withhold(out);
    out["estimateLog10P"] = out["log10E"] = nullptr;
  }
  out["effect"] = out["couldFind"] = nullptr;
  if (sum.n() > 0) {
    const double width = 1.96 * sum.deviation();
    out["effect"] = effect_json({sum.mean(), sum.chance(), sum.mean() - width, sum.mean() + width});
    out["couldFind"] = {{"meanScore", rounded(finding.detectable)},
                        {"power", audit.policies.at(TestKind::kUnsupervisedMass).power}};
  }
  out["reasons"] = finding.reasons;
  out["checks"] = checks_json(finding.checks);
  out["alternatives"] = codes(kTupleAlternatives);
  out["notShown"] = codes(kTupleNotShown);
  out["suspect"] = suspect_json(of.predictions);
  return out;
}

std::string mass_text(const Audit& audit, const MassTest& of) {
  const MassFinding& finding = of.finding;
  const stats::WeightedSum& sum = finding.sum;
  std::string out = std::string(kind_name(TestKind::kUnsupervisedMass)) + "\n";
  if (sum.n() > 0)
    out += row("could find", std::to_string(sum.n()) + " weighted tuples: with a power of " +
                                 fixed(audit.policies.at(TestKind::kUnsupervisedMass).power, 2) +
                                 " found from a mean score of " + fixed(finding.detectable, 4) +
                                 " on (" + fixed(sum.chance(), 4) + " by chance)");
  out += row("verdict", detect::verdict_name(finding.verdict));
  if (sum.n() > 0)
    out += row("scores", "mean " + fixed(sum.mean(), 4) + " (95 % interval " +
                             fixed(sum.mean() - 1.96 * sum.deviation(), 4) + " to " +
                             fixed(sum.mean() + 1.96 * sum.deviation(), 4) + ", by a model)");
  if (finding.verdict != Verdict::kWithheld && sum.n() > 0)
    out += row("p", finding.evidence.asserted.to_string() + ", a bound (estimate 1e" +
                        fixed(finding.estimate_log10, 1) + "); alpha " +
                        audit.policies.at(TestKind::kUnsupervisedMass).alpha.to_string() +
                        "; log10 e " + fixed(finding.e_value.log10(), 2));
  for (const Check& check : finding.checks)
    out += row("check", check.name + " " + state_name(check.state) + ": " + check.detail);
  for (const std::string& reason : finding.reasons) out += row("reason", reason);
  return out;
}

// What of these tuples the laboratory's students would have shown.
std::string could_find_share(const TupleTest& of, const AuditPolicy& policy) {
  const scan::Test& test = *of.tests->tests.front();
  if (test.null_model().law != NullLaw::kExponentialBound || test.subject().model.empty())
    return "";
  const bool by_bet = of.finding.sequence && !of.finding.sequence->planned;
  return share_text(kind_name(of.kind), of.finding.result.finding.evidence.tally.n, by_bet,
                    policy.alpha, policy.power);
}

std::string tuples_text(const Audit& audit, const TupleTest& of) {
  const TupleFinding& finding = of.finding;
  const scan::Finding& found = finding.result.finding;
  const detect::Evidence& evidence = found.evidence;
  const detect::Subject& subject = of.tests->tests.front()->subject();
  const AuditPolicy& policy = audit.policies.at(of.kind);
  std::string out = std::string(kind_name(of.kind)) + "\n";
  const std::string tuples = std::to_string(evidence.tally.n) + " distinct tuples";
  if (const auto& effect = finding.effect) {
    out += row("could find", tuples + ": with a power of " + fixed(policy.power, 2) +
                                 " found from a mean score of " + fixed(effect->detectable, 4) +
                                 " on (" + fixed(effect->chance, 4) + " by chance)");
    const std::string shares = could_find_share(of, policy);
    if (!shares.empty())
      out += row("by share", shares + ", if it is as docs/lab.md's small students are");
  }
  out += row("verdict", detect::verdict_name(finding.verdict));
  if (const auto& effect = finding.effect) {
    out += row("scores", "mean " + fixed(effect->mean, 4) + " (95 % interval " +
                             fixed(effect->least, 4) + " to " + fixed(effect->most, 4) +
                             ", by a model)");
  } else {
    out += row("scored", tuples);
  }
  if (finding.verdict != Verdict::kWithheld) {
    std::string p = evidence.asserted.to_string() + ", " + detect::by_chance(evidence) +
                    " suspects that have nothing to do with this key; alpha " +
                    audit.policies.at(of.kind).alpha.to_string();
    if (finding.e_value) p += "; log10 e " + fixed(finding.e_value->log10(), 2);
    if (finding.sequence && !finding.sequence->planned)
      p += ", at most " + fixed(finding.sequence->most.log10(), 2) + ", whose inverse p is";
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

// What an audit without a plan has not.
ordered_json plan_json(const Audit& audit) {
  ordered_json out = {{"plan", nullptr},
                      {"level", nullptr},
                      {"pValue", nullptr},
                      {"levelLimits", ordered_json::array()}};
  if (!audit.plan) return out;
  const Strength& strength = audit.plan->strength;
  out["plan"] = audit.plan->digest;
  out["level"] = level_name(strength.level);
  if (strength.p) out["pValue"] = strength.p->to_string();
  out["levelLimits"] = strength.limits;
  return out;
}

constexpr std::array kLimits = {
    Reading{"not-detected", "the plan's alpha asks for more"},
    Reading{"model-law", "the law of marked answers' ranks is a model"},
    Reading{"no-registration", "nothing here shows that the key is older than the exhibits"},
    Reading{"no-decoys", "fewer than 1,000 decoys, or they do not behave"},
    Reading{"withheld-test", "a planned test was withheld"},
};

std::string plan_text(const Kept& plan) {
  const Strength& strength = plan.strength;
  std::string out = "level: " + std::string(level_name(strength.level)) + "\n";
  out += row("plan", plan.digest);
  if (strength.p)
    out += row("p", strength.p->to_string() +
                        " of the whole audit: whichever of its planned tests had given it");
  for (const std::string& limit : strength.limits)
    for (const Reading& reading : kLimits)
      if (limit == reading.code) out += row("no higher", reading.text);
  return out;
}

}  // namespace

std::string to_json(const Audit& audit) {
  ordered_json out = {{"schema", "countermark.audit/1"},
                      {"version", kVersion},
                      {"verdict", detect::verdict_name(verdict_of(audit))},
                      {"exploratory", !audit.plan}};
  out.update(plan_json(audit));
  out["alpha"] = audit.alpha.to_string();
  out["account"] = audit.account ? ordered_json(*audit.account) : ordered_json(nullptr);
  out["looks"] = audit.looks == 0 ? ordered_json(nullptr) : ordered_json(audit.looks);
  out["ledger"] = nullptr;
  if (audit.ledger)
    out["ledger"] = {{"analysis", audit.ledger->number},
                     {"analyses", audit.ledger->analyses},
                     {"parts", audit.ledger->parts},
                     {"audit", audit.ledger->audit}};
  out["tests"] = ordered_json::array();
  for (const TestKind kind : kTestKinds) {
    if (kind == TestKind::kServedResponse && audit.served)
      out["tests"].push_back(served_json(audit, *audit.served));
    if (kind == TestKind::kUnsupervisedMass && audit.mass)
      out["tests"].push_back(mass_json(audit, *audit.mass));
    for (const TupleTest& test : audit.tuples)
      if (test.kind == kind) out["tests"].push_back(tuples_json(audit, test));
  }
  ordered_json not_run = ordered_json::array();
  for (const NotRun& each : audit.not_run)
    not_run.push_back({{"test", each.test},
                       {"needs", each.needs},
                       {"alpha", each.alpha ? ordered_json(each.alpha->to_string()) : nullptr}});
  out["notRun"] = std::move(not_run);
  return out.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string to_text(const Audit& audit) {
  std::string out;
  for (const TestKind kind : kTestKinds) {
    if (kind == TestKind::kServedResponse && audit.served) out += served_text(audit, *audit.served);
    if (kind == TestKind::kUnsupervisedMass && audit.mass) out += mass_text(audit, *audit.mass);
    for (const TupleTest& test : audit.tuples)
      if (test.kind == kind) out += tuples_text(audit, test);
  }
  if (audit.looks > 0)
    out +=
        row("looks", std::to_string(audit.looks) + " at the answers: a bet allows for any number");
  for (const NotRun& each : audit.not_run)
    out += row("not run", each.test + ": needs " + each.needs +
                              (each.alpha ? "; keeps its alpha, " + each.alpha->to_string() : ""));
  out += audit.plan
             ? plan_text(*audit.plan)
             : "exploratory: no plan fixed this analysis before the data were seen, so it has no "
               "level\n";
  return out;
}

}  // namespace countermark::audit
