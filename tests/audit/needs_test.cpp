// SPDX-License-Identifier: Apache-2.0
// What was measured elsewhere, and what is made of it.
#include "verifier/audit/needs.h"

#include <gtest/gtest.h>

#include "verifier/audit/measured_effect.h"
#include "verifier/audit/plannable.h"

namespace countermark::audit {
namespace {

const MeasuredEffect& effect_of(std::string_view test) {
  for (const MeasuredEffect& effect : measured_effects())
    if (effect.test == test) return effect;
  return measured_effects().front();
}

TEST(Effects, AreOfTestsAndInOrder) {
  for (const MeasuredEffect& effect : measured_effects()) {
    EXPECT_NE(find_plannable(effect.test), nullptr) << effect.test;
    EXPECT_FALSE(effect.source.empty());
    double before = 0;
    for (const EffectPoint& point : effect.points) {
      EXPECT_GT(point.share, before);
      EXPECT_LE(point.share, 1);
      EXPECT_GT(point.excess, 0);
      before = point.share;
    }
    EXPECT_GT(before, 0);
  }
}

TEST(Effects, BetweenAndBelowWhatWasMeasured) {
  const MeasuredEffect& closed = effect_of("unsupervised-closed");
  EXPECT_DOUBLE_EQ(effect_at(closed, 0.1).value, 0.2524);
  EXPECT_TRUE(effect_at(closed, 0.1).is_measured);
  EXPECT_DOUBLE_EQ(effect_at(closed, 0.01).value, 0.25024);
  EXPECT_FALSE(effect_at(closed, 0.01).is_measured);
  EXPECT_NEAR(effect_at(closed, 0.55).value, 0.25 + (0.0024 + 0.016) / 2, 1e-12);
  EXPECT_DOUBLE_EQ(effect_at(closed, 1).value, 0.266);
  const MeasuredEffect& supervised = effect_of("supervised-open");
  for (const double share : {0.001, 0.01, 1.0})
    EXPECT_DOUBLE_EQ(effect_at(supervised, share).value, 0.2605);
}

// The numbers of the design: "about 1.2 million" for a closed model at a tenth.
TEST(Needs, SayWhatTheDesignSays) {
  Needs needs;
  needs.tests = {{"unsupervised-closed", 1e-6}};
  needs.shares = {0.1};
  needs.tuples = 12'400;
  const std::string text = to_text(needs);
  for (const char* part : {"0.90", "alpha 1e-6", "10 %", "1.19M", "12,400", "<.001", "Sander"})
    EXPECT_NE(text.find(part), text.npos) << part << "\n" << text;
}

TEST(Needs, OwnEffects) {
  Needs needs;
  needs.tests = {{"served-response", 5e-7}, {"unsupervised-open", 5e-7}};
  needs.shares = {0.1};
  needs.prompts = 700;
  needs.tuples = 10;
  struct Case {
    double effect;
    bool is_green;
    const char* says;
  };
  for (const auto& [effect, is_green, says] :
       {Case{1.02, false, "a mean score of 1.0200 needs about"},
        Case{0.6, false, "above in 60 % of pairs needs about 477 prompts; 700 would find it"},
        Case{0.4, true, "a green share of 40 % needs about 3"}}) {
    needs.effect = effect;
    needs.green = is_green ? std::optional(Scale{1, 4}) : std::nullopt;
    EXPECT_TRUE(has_effect(needs));
    EXPECT_NE(to_text(needs).find(says), std::string::npos) << to_text(needs);
  }
  needs.effect = 0.3;
  needs.green.reset();
  EXPECT_FALSE(has_effect(needs));
}

}  // namespace
}  // namespace countermark::audit
