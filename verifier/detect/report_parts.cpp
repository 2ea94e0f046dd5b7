// SPDX-License-Identifier: Apache-2.0
#include "verifier/detect/report_parts.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

namespace countermark::detect {

using nlohmann::ordered_json;
using stats::PValue;

namespace {

// The law's name, how large it is, and whether it is exact or a bound.
ordered_json law_json(const NullModel& model, const Tally& tally) {
  const auto binomial = [](std::uint64_t trials, std::uint64_t a, std::uint64_t b,
                           const char* basis) {
    return ordered_json{{"law", "binomial"},
                        {"trials", std::to_string(trials)},
                        {"probability", std::to_string(a) + "/" + std::to_string(b)},
                        {"basis", basis}};
  };
  const std::string n = std::to_string(tally.n);
  switch (model.law) {
    case NullLaw::kExponentialBound:
      break;
    case NullLaw::kTwoExponentialBounds:
      return {{"law", "two-gammas"},
              {"shape", n},
              {"weights", {model.a, model.b}},
              {"unit", "2^-20"},
              {"basis", "upper bound"}};
    case NullLaw::kGreenList:
      return binomial(tally.n, model.a, model.b, "upper bound");
    case NullLaw::kGreen:
      return binomial(tally.n, model.a, model.b, "exact");
    case NullLaw::kBits:
      return binomial(tally.n * model.a, 1, 2, "exact");
  }
  return {{"law", "gamma"}, {"shape", n}, {"unit", "2^-20"}, {"basis", "upper bound"}};
}

// Of a law that is only a model: "model", what it would be, and why it is not.
ordered_json null_model_json(const Evidence& evidence) {
  ordered_json law = law_json(evidence.null_model, evidence.tally);
  if (evidence.model_reasons.empty()) return law;
  ordered_json out = {{"law", "model"}, {"form", law["law"]}};
  law.erase("law");
  out.update(law);
  out["basis"] = "model";
  out["reasons"] = evidence.model_reasons;
  return out;
}

}  // namespace

double rounded_log10(PValue p) {
  const double value = std::round(p.log10() * 1e4) / 1e4;
  return value == 0 ? 0 : value;  // no minus zero
}

std::string fixed(double value, int decimals) {
  char buffer[64];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed, decimals);
  return {buffer, end.ptr};
}

ordered_json evidence_json(const Evidence& evidence) {
  return {{"scored", evidence.tally.n},
          {"statistic", std::to_string(evidence.tally.sum)},
          {"nullModel", null_model_json(evidence)},
          {"pValue", evidence.p.to_string()},
          {"log10P", rounded_log10(evidence.p)},
          {"pFloor", evidence.floor.to_string()},
          {"hypotheses", evidence.hypotheses}};
}

ordered_json line_up_json(const LineUp& line_up) {
  return {{"decoys", line_up.decoys},
          {"seed", line_up.seed},
          {"rank", line_up.rank},
          {"pValue", PValue().scaled(line_up.rank, std::uint64_t{line_up.decoys} + 1).to_string()},
          {"mean", std::round(line_up.mean * 1e4) / 1e4},
          {"variance", std::round(line_up.variance * 1e4) / 1e4},
          {"calibrated", line_up.calibrated}};
}

ordered_json subject_json(const Subject& subject) {
  return {{"scheme", subject.scheme},
          {"profile", subject.profile},
          {"keyId", subject.key_id},
          {"model", subject.model},
          {"epoch", subject.epoch}};
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ", ") + part;
  return out;
}

std::string row(const std::string& name, const std::string& value) {
  return "  " + name + std::string(name.size() < 12 ? 12 - name.size() : 1, ' ') + value + "\n";
}

std::string by_chance(const Evidence& evidence) {
  const PValue p = evidence.asserted;
  const double times = std::pow(10.0, -p.log10());
  // Rounded down, as p-values are rounded up.
  const double unit = times < 1e6 ? 1 : std::pow(10.0, std::floor(-p.log10()) - 1);
  const auto format = times < 1e6 ? std::chars_format::fixed : std::chars_format::scientific;
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, std::floor(times / unit) * unit,
                                 format, times < 1e6 ? 0 : 1);
  const std::string count(buffer, end.ptr);
  return (p <= evidence.floor ? "at most 1 in " : "1 in ") + count;
}

}  // namespace countermark::detect
