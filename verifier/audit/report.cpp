// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/report.h"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

#include "verifier/detect/report_parts.h"
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

// The digits behind the sixth decimal are not portable and tell nothing.
double rounded(double value) { return std::round(value * 1e6) / 1e6; }

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

ordered_json served_json(const Audit& audit, const ServedFinding& finding) {
  const stats::RankSum& ranks = finding.ranks;
  const auto [least, most] = interval(ranks);
  return {{"test", "served-response"},
          {"verdict", detect::verdict_name(finding.verdict)},
          {"alpha", audit.policy.alpha.to_string()},
          {"prompts", ranks.groups()},
          {"regenerations", {finding.least_regenerated, finding.most_regenerated}},
          {"tied", ranks.tied()},
          {"statistic", std::to_string(ranks.statistic())},
          {"nullModel",
           {{"law", "rank-sum"}, {"most", std::to_string(ranks.most())}, {"basis", "exact"}}},
          {"pValue", finding.p.to_string()},
          {"log10P", detect::rounded_log10(finding.p)},
          {"smallestP", finding.smallest_p.to_string()},
          {"log10E", rounded(ranks.e_value().log10())},
          {"effect",
           {{"name", "share-above"},
            {"value", rounded(ranks.share())},
            {"chance", 0.5},
            {"interval", {rounded(least), rounded(most)}},
            {"confidence", kConfidence}}},
          {"couldFind",
           {{"share", rounded(finding.detectable)}, {"power", audit.policy.power}}},
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
    return among + ": with a power of " + fixed(audit.policy.power, 2) + " nothing would be found";
  return among + ": with a power of " + fixed(audit.policy.power, 2) + " found from " +
         percent(finding.detectable) + " on";
}

std::string served_text(const Audit& audit, const ServedFinding& finding) {
  const stats::RankSum& ranks = finding.ranks;
  const auto [least, most] = interval(ranks);
  std::string out =
      std::string("served-response: ") + detect::verdict_name(finding.verdict) + "\n";
  out += row("could find", could_find(audit, finding));
  std::string regenerated = std::to_string(finding.least_regenerated);
  if (finding.most_regenerated != finding.least_regenerated)
    regenerated += " to " + std::to_string(finding.most_regenerated);
  out += row("ranks", "the served answer is above one of its " + regenerated +
                          " regenerations in " + percent(ranks.share()) +
                          " of pairs (50 % by chance; 95 % interval " + percent(least) + " to " +
                          percent(most) + ")");
  out += row("p", finding.p.to_string() + ", exact; alpha " + audit.policy.alpha.to_string() +
                      "; log10 e " + fixed(ranks.e_value().log10(), 2));
  if (ranks.tied() > 0)
    out += row("tied", std::to_string(ranks.tied()) + " prompts say nothing: all answers tie");
  for (const Check& check : finding.checks)
    out += row("check", check.name + " " + state_name(check.state) + ": " + check.detail);
  add_readings("or else", alternatives(finding), out);
  add_readings("not shown", kServedNotShown, out);
  return out;
}

}  // namespace

Verdict verdict_of(const Audit& audit) noexcept {
  return audit.served ? audit.served->verdict : Verdict::kInconclusive;
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
  return out.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string to_text(const Audit& audit) {
  std::string out;
  if (audit.served) out += served_text(audit, *audit.served);
  out += "exploratory: no plan fixed this analysis before the data were seen, so it has no level\n";
  return out;
}

}  // namespace countermark::audit
