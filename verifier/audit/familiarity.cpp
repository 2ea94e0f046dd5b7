// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/familiarity.h"

#include <cmath>
#include <string>
#include <unordered_map>
#include <utility>

#include "verifier/detect/report_parts.h"

namespace countermark::audit {
namespace {

// A mean and the sum of squares about it, score by score.
class Mean {
 public:
  void add(double score) {
    ++n_;
    const double away = score - mean_;
    mean_ += away / static_cast<double>(n_);
    squares_ += away * (score - mean_);
  }

  Scored above(double chance) const {
    if (n_ < 2) return {n_, 0, 0};
    return {n_, mean_ - chance, squares_ / static_cast<double>(n_ - 1)};
  }

 private:
  std::uint64_t n_ = 0;
  double mean_ = 0;
  double squares_ = 0;
};

// Of a score.
double chance_of(const NullModel& model) {
  switch (model.law) {
    case NullLaw::kGreenList:
    case NullLaw::kGreen:
      return static_cast<double>(model.a) / static_cast<double>(model.b);
    case NullLaw::kBits:
      return static_cast<double>(model.a) / 2;
    case NullLaw::kExponentialBound:
    case NullLaw::kTwoExponentialBounds:
      break;
  }
  return 1;
}

struct Context {
  std::uint64_t count = 0;
  double score = 0;  // at its first place
};

double error_of(const Scored& scored) { return scored.variance / static_cast<double>(scored.n); }

std::string described(const Familiarity& of) {
  return "scores above chance: " + detect::fixed(of.rare.mean, 3) + " at " +
         std::to_string(of.rare.n) + " contexts that stand in one text, " +
         detect::fixed(of.familiar.mean, 3) + " at " + std::to_string(of.familiar.n) +
         " that stand in " + std::to_string(kFamiliar) + " and more";
}

}  // namespace

double Familiarity::deviations() const noexcept {
  if (familiar.n < kEnoughScores || rare.n < kEnoughScores) return 0;
  if (familiar.mean <= kFamiliarityDeviations * std::sqrt(error_of(familiar))) return 0;
  return (rare.mean - familiar.mean / 2) / std::sqrt(error_of(rare) + error_of(familiar) / 4);
}

Result<Familiarity> familiarity(const scan::Test& test, const std::vector<Exhibit>& texts) {
  // Weighted sums of two keys' scores have no chance of their own.
  if (!test.tells_contexts_apart() || test.null_model().law == NullLaw::kTwoExponentialBounds)
    return Familiarity{};
  const auto scorer = test.scorer(scan::Columns::kScoresAndContexts);
  std::vector<std::unordered_map<std::uint64_t, Context>> contexts(test.lanes().size());
  std::vector<scan::Sheet> sheets;
  for (const Exhibit& exhibit : texts) {
    detect::TokenText text = exhibit.text;
    for (detect::TokenSegment& segment : text) segment = {std::move(segment.ids), segment.scored};
    COUNTERMARK_CHECK(scorer->score(text, sheets));
    for (std::size_t channel = 0; channel < sheets.size(); ++channel) {
      const scan::Sheet& sheet = sheets[channel];
      for (std::size_t i = 0; i < sheet.contexts.size(); ++i) {
        Context& context = contexts[channel][sheet.contexts[i]];
        if (context.count++ > 0) continue;
        // Whichever slot it was marked in: of the others the mean is that of chance.
        for (const std::vector<std::uint32_t>& lane : sheet.scores)
          context.score += static_cast<double>(lane[i]) / static_cast<double>(sheet.scores.size());
      }
    }
  }
  const double unit = test.null_model().law == NullLaw::kExponentialBound ? 0x1p20 : 1;
  Mean rare;
  Mean familiar;
  for (const auto& channel : contexts)
    for (const auto& [print, context] : channel) {
      if (context.count == 1) rare.add(context.score / unit);
      if (context.count >= kFamiliar) familiar.add(context.score / unit);
    }
  const double chance = chance_of(test.null_model());
  return Familiarity{familiar.above(chance), rare.above(chance)};
}

Check forgery_check(const Familiarity& of) {
  const double deviations = of.deviations();
  if (deviations == 0)
    return {"spoofing", Check::State::kNotRun,
            "too little marked text to tell what was served from what was forged"};
  return {"spoofing",
          deviations < -kFamiliarityDeviations ? Check::State::kFailed : Check::State::kPassed,
          described(of) + (deviations < -kFamiliarityDeviations
                               ? ": the text looks forged, by somebody who learned the mark"
                               : "")};
}

Check learned_check(const Familiarity& of) {
  const double deviations = of.deviations();
  if (deviations == 0)
    return {"learned", Check::State::kNotRun,
            "too few answers that show the mark to tell whether it was learned"};
  const bool is_flat = deviations > kFamiliarityDeviations;
  return {"learned", is_flat ? Check::State::kNotRun : Check::State::kPassed,
          described(of) + (is_flat ? ": as in answers of the marked model itself, which somebody "
                                     "may have passed on, or of one that learned from very much"
                                   : "")};
}

}  // namespace countermark::audit
