// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/needs.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "verifier/audit/plan.h"
#include "verifier/audit/plannable.h"
#include "verifier/detect/report_parts.h"
#include "verifier/stats/planning.h"

namespace countermark::audit {
namespace {

using detect::fixed;
using stats::PValue;

constexpr std::size_t kLabel = 26;
constexpr std::size_t kColumn = 11;
// Of pairs in which the served answer is above: nobody has published what is usual.
constexpr std::array kAbove = {0.51, 0.52, 0.55, 0.6, 0.7, 0.8};

constexpr std::string_view kServed = "served-response";
// What stats/planning.h says of a sum of scores does not hold of masses.
constexpr std::string_view kMass = "unsupervised-open-mass";

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

std::string right(const std::string& text) {
  return std::string(kColumn - std::min(kColumn, text.size()), ' ') + text;
}

// "12,400".
std::string whole(std::uint64_t count) {
  std::string out = std::to_string(count);
  for (std::size_t at = out.size(); at > 3; at -= 3) out.insert(at - 3, ",");
  return out;
}

// Three digits, rounded up: "1.19M".
std::string about(std::uint64_t count) {
  if (count >= std::uint64_t{1} << 53) return "too many";
  std::uint64_t unit = 1;
  while (count / unit >= 1000) unit *= 10;
  count = (count + unit - 1) / unit * unit;
  const double size = static_cast<double>(count);
  const auto short_form = [](double value) {
    return fixed(value, value < 10 ? 2 : value < 100 ? 1 : 0);
  };
  if (count < 1'000'000) return whole(count);
  if (count < 1'000'000'000) return short_form(size / 1e6) + "M";
  return short_form(size / 1e9) + "bn";
}

std::string probability(double value) {
  if (value < 0.001) return "<.001";
  if (value > 0.999) return ">.999";
  return fixed(value, 3).substr(1);
}

// "with probability .03", "with a probability below .001".
std::string with_probability(double value) {
  if (value < 0.001) return "with a probability below .001";
  if (value > 0.999) return "with a probability above .999";
  return "with probability " + fixed(value, 3).substr(1);
}

std::string percent(double share) {
  std::string out = fixed(100 * share, 4);
  while (out.back() == '0') out.pop_back();
  if (out.back() == '.') out.pop_back();
  return out + " %";
}

std::uint64_t needed(const Scale& scale, double value, PValue level, double power) {
  return scale.is_green()
             ? stats::green_needed(value, scale.numerator, scale.denominator, level, power)
             : stats::tuples_needed(value, level, power);
}

double power_of(const Scale& scale, std::uint64_t n, double value, PValue level) {
  return scale.is_green() ? stats::green_power(n, value, scale.numerator, scale.denominator, level)
                          : stats::mean_power(n, value, level);
}

// Before a number that is smaller the larger the effect is.
std::string sign(MeasuredEffect::Bound bound) {
  switch (bound) {
    case MeasuredEffect::Bound::kNone:
      return "";
    case MeasuredEffect::Bound::kAtLeast:
      return "<=";
    case MeasuredEffect::Bound::kAtMost:
      return ">=";
  }
  return "";
}

// The chance of finding it is larger the larger the effect is.
std::string probability(MeasuredEffect::Bound bound, double value) {
  const bool is_low = value < 0.001;
  const bool is_high = value > 0.999;
  switch (bound) {
    case MeasuredEffect::Bound::kNone:
      break;
    case MeasuredEffect::Bound::kAtLeast:
      return is_low ? ">=0" : is_high ? ">.999" : ">=" + probability(value);
    case MeasuredEffect::Bound::kAtMost:
      return is_high ? "<=1" : is_low ? "<.001" : "<=" + probability(value);
  }
  return probability(value);
}

// "1e-6" for all, or each test's part.
std::string levels(const std::vector<Needs::Test>& tests) {
  const bool is_one = std::all_of(tests.begin(), tests.end(), [&](const Needs::Test& test) {
    return test.alpha == tests.front().alpha;
  });
  return is_one ? "alpha " + decimal(tests.front().alpha) : "each test's part of alpha";
}

std::string head(const std::vector<double>& shares) {
  std::string out = padded("", kLabel);
  for (const double share : shares) out += right(percent(share));
  return out + "\n";
}

// Where each source stands among those of these tests: "[1]".
std::vector<std::string_view> sources_of(const Needs& needs) {
  std::vector<std::string_view> out;
  for (const Needs::Test& test : needs.tests)
    for (const MeasuredEffect& effect : measured_effects())
      if (effect.test == test.name && std::find(out.begin(), out.end(), effect.source) == out.end())
        out.push_back(effect.source);
  return out;
}

std::string number(const std::vector<std::string_view>& sources, std::string_view source) {
  const auto found = std::find(sources.begin(), sources.end(), source);
  return "[" + std::to_string(found - sources.begin() + 1) + "]";
}

// A row for each effect that somebody measured of one of the tests; `cell` says what is in it.
template <typename Cell>
std::string rows(const Needs& needs, Cell cell) {
  std::string out;
  const std::vector<std::string_view> all = sources_of(needs);
  for (const Needs::Test& test : needs.tests) {
    for (const MeasuredEffect& effect : measured_effects()) {
      if (effect.test != test.name) continue;
      out += padded("  " + test.name + " " + number(all, effect.source), kLabel);
      for (const double share : needs.shares) {
        const EffectAt at = effect_at(effect, share);
        out += right(cell(effect, at, PValue::from_decimal(test.alpha)));
      }
      out += "\n";
    }
  }
  return out;
}

std::string tuples_text(const Needs& needs) {
  std::string out = rows(needs, [&](const MeasuredEffect& effect, EffectAt at, PValue level) {
    return sign(effect.bound) + about(needed(effect.scale, at.value, level, needs.power)) +
           (at.is_measured ? " " : "*");
  });
  if (out.empty()) return out;
  out = "Distinct tuples that find it with probability " + fixed(needs.power, 2) + " at " +
        levels(needs.tests) + ", by the share\nof the training text that was marked\n" +
        head(needs.shares) + out;
  if (!needs.tuples) return out;
  return out + "With " + whole(*needs.tuples) + " tuples it is found with probability\n" +
         rows(needs, [&](const MeasuredEffect& effect, EffectAt at, PValue level) {
           return probability(effect.bound,
                              power_of(effect.scale, *needs.tuples, at.value, level)) +
                  " ";
         });
}

std::string served_text(const Needs& needs, const Needs::Test& test) {
  const PValue level = PValue::from_decimal(test.alpha);
  const std::uint64_t others = needs.regenerations;
  std::string out = "Prompts, by how often the served answer is above one of its " +
                    std::to_string(others) + " regenerations\n" +
                    head({kAbove.begin(), kAbove.end()}) + padded("  " + test.name, kLabel);
  for (const double share : kAbove)
    out += right(about(stats::groups_needed(share, others, level, needs.power)) + " ");
  out += "\n";
  if (!needs.prompts) return out;
  out += "With " + whole(*needs.prompts) + " prompts it is found with probability\n" +
         padded("  " + test.name, kLabel);
  for (const double share : kAbove)
    out += right(probability(stats::share_power(*needs.prompts, others, share, level)) + " ");
  const double least = stats::detectable_share(*needs.prompts, others, level, needs.power);
  return out + "\n" +
         (least >= 1 ? "  and with probability " + fixed(needs.power, 2) + " nothing is\n"
                     : "  and with probability " + fixed(needs.power, 2) + " from " +
                           percent(std::ceil(1000 * least) / 1000) + " on\n");
}

// What an effect needs, and what so much would find.
std::string sentence(const Needs::Test& test, const std::string& what, const std::string& unit,
                     std::uint64_t least, std::optional<std::uint64_t> there, double found) {
  std::string out = "  at alpha " + decimal(test.alpha) + " " + what + " needs about " +
                    about(least) + " " + unit;
  if (there) out += "; " + whole(*there) + " would find it " + with_probability(found);
  return out + "\n";
}

std::string served_effect(const Needs& needs, const Needs::Test& test) {
  const double above = *needs.effect;
  if (above <= 0.5 || above > 1) return "";
  const PValue level = PValue::from_decimal(test.alpha);
  const std::uint64_t others = needs.regenerations;
  return sentence(test, "a served answer that is above in " + percent(above) + " of pairs",
                  "prompts", stats::groups_needed(above, others, level, needs.power), needs.prompts,
                  stats::share_power(needs.prompts.value_or(0), others, above, level));
}

std::string tuple_effect(const Needs& needs, const Needs::Test& test) {
  const bool is_mean = *needs.effect > 1;
  if (!is_mean && (!needs.green || *needs.effect <= needs.green->chance())) return "";
  const Scale scale = is_mean ? Scale{} : *needs.green;
  const PValue level = PValue::from_decimal(test.alpha);
  const std::string what = is_mean ? "a mean score of " + fixed(*needs.effect, 4)
                                   : "a green share of " + percent(*needs.effect);
  return sentence(test, what, "tuples", needed(scale, *needs.effect, level, needs.power),
                  needs.tuples, power_of(scale, needs.tuples.value_or(0), *needs.effect, level));
}

// Of tests with the same part of alpha once.
std::string effect_text(const Needs& needs) {
  std::vector<std::string> said;
  std::string out;
  for (const Needs::Test& test : needs.tests) {
    if (test.name == kMass) continue;
    std::string next =
        test.name == kServed ? served_effect(needs, test) : tuple_effect(needs, test);
    if (std::find(said.begin(), said.end(), next) != said.end()) continue;
    out += next;
    said.push_back(std::move(next));
  }
  return out;
}

// What stands behind the numbers, each source once.
std::string sources(const Needs& needs) {
  std::string out;
  const std::vector<std::string_view> all = sources_of(needs);
  std::vector<std::string_view> said;
  bool has_bounds = false;
  std::string unknown;
  for (const Needs::Test& test : needs.tests) {
    bool is_known = false;
    for (const MeasuredEffect& effect : measured_effects()) {
      if (effect.test != test.name) continue;
      is_known = true;
      has_bounds |= effect.bound != MeasuredEffect::Bound::kNone;
      if (std::find(said.begin(), said.end(), effect.source) != said.end()) continue;
      said.push_back(effect.source);
      out += detect::row("measured " + number(all, effect.source),
                         std::string(effect.mark) + ": " + std::string(effect.source));
    }
    if (!is_known && test.name != kMass) unknown += (unknown.empty() ? "" : ", ") + test.name;
    if (test.name == kMass)
      out += detect::row("unmeasured", test.name + ": no effect is known to plan it with");
  }
  if (!said.empty())
    out += detect::row("*",
                       "not measured at this share: between two that were, or in proportion; "
                       "what is learned by heart stays the same");
  if (has_bounds)
    out +=
        detect::row("<=, >=", "the effect was at least, or at most, what the number is made with");
  if (!unknown.empty() && !needs.effect)
    out += detect::row("unmeasured", unknown + ": give your own, --effect X");
  return out + detect::row("so", "orders of magnitude: another student shows more or less");
}

}  // namespace

bool has_effect(const Needs& needs) { return needs.effect && !effect_text(needs).empty(); }

std::string share_text(const std::string& test, std::uint64_t tuples, bool by_bet, PValue level,
                       double power) {
  constexpr std::array kShares = {0.01, 0.1, 1.0};
  const auto found = std::find_if(measured_effects().begin(), measured_effects().end(),
                                  [&](const MeasuredEffect& effect) {
                                    return effect.test == test && !effect.scale.is_green();
                                  });
  if (found == measured_effects().end()) return "";
  std::string out;
  for (const double share : kShares) {
    const double mean = effect_at(*found, share).value;
    const double seen = by_bet ? stats::mean_power_by_bet(tuples, mean, level)
                               : stats::mean_power(tuples, mean, level);
    const std::uint64_t enough = by_bet ? stats::tuples_needed_by_bet(mean, level, power)
                                        : stats::tuples_needed(mean, level, power);
    out += (out.empty() ? "" : ", ") + percent(share) + " " + with_probability(seen) +
           (by_bet && enough >= stats::kMostOfBet
                ? " (for a bet no number is enough: plan one)"
                : " (about " + about(enough) + " tuples are needed)");
  }
  return out;
}

std::string to_text(const Needs& needs) {
  std::string out = tuples_text(needs);
  for (const Needs::Test& test : needs.tests)
    if (test.name == kServed) out += served_text(needs, test);
  if (needs.effect) out += "With the effect given\n" + effect_text(needs);
  return out + "What is behind it\n" + sources(needs);
}

}  // namespace countermark::audit
