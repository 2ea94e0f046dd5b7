// SPDX-License-Identifier: Apache-2.0
// Levels hold for an audit, not for each test in it.
#include "verifier/audit/level.h"

#include <gtest/gtest.h>

#include "tests/support/random_numbers.h"
#include "verifier/stats/limits.h"

namespace countermark::audit {
namespace {

using detect::Verdict;
using stats::PValue;

PlannedResult result(double p, double alpha, Verdict verdict) {
  return {verdict, PValue::from_decimal(p), alpha};
}

TEST(Level, ByTheWholeAuditsP) {
  struct Case {
    double p;
    double part;
    Level level;
    const char* of_audit;
  };
  // Of alpha 1e-4.
  for (const auto& [p, part, level, of_audit] : {
           Case{2e-4, 1e-4, Level::kNone, "2.00e-4"},
           Case{1e-4, 1e-4, Level::kIndication, "1.00e-4"},
           Case{6e-5, 5e-5, Level::kNone, "1.21e-4"},
           Case{5e-5, 5e-5, Level::kIndication, "1.00e-4"},
           Case{1e-6, 1e-4, Level::kStrong, "1.00e-6"},
           Case{1e-6, 5e-5, Level::kIndication, "2.00e-6"},
           Case{5e-7, 5e-5, Level::kStrong, "1.00e-6"},
           Case{1e-12, 1e-5, Level::kStrong, "1.00e-11"},
       }) {
    const Strength found = strength_of(
        {result(p, part, p <= part ? Verdict::kDetected : Verdict::kNotDetected)}, 1e-4);
    EXPECT_EQ(found.level, level) << p;
    EXPECT_EQ(found.p->to_string(), of_audit);
  }
}

TEST(Level, NoHigherThanWhatStandsBehindIt) {
  using Limits = std::vector<std::string>;
  PlannedResult one = result(1e-12, 1e-6, Verdict::kDetected);
  EXPECT_EQ(strength_of({one}, 1e-6).limits, Limits{"no-registration"});
  one.has_decoys = false;
  EXPECT_EQ(strength_of({one, result(1, 1e-7, Verdict::kWithheld)}, 1e-6).limits,
            (Limits{"no-registration", "no-decoys", "withheld-test"}));
  one.is_model = true;
  EXPECT_EQ(strength_of({one}, 1e-6).level, Level::kIndication);
  EXPECT_EQ(strength_of({one}, 1e-6).limits.front(), "model-law");
  // A plan that asks for more than strong evidence does not get it for less.
  const Strength missed = strength_of({result(1e-8, 1e-9, Verdict::kNotDetected)}, 1e-9);
  EXPECT_EQ(missed.level, Level::kIndication);
  EXPECT_EQ(missed.limits, Limits{"not-detected"});
  EXPECT_TRUE(strength_of({result(1e-7, 1e-6, Verdict::kDetected)}, 1e-6).limits.empty());
}

TEST(Level, OfTheTestThatGivesIt) {
  PlannedResult model = result(1e-20, 5e-7, Verdict::kDetected);
  model.is_model = true;
  const Strength found = strength_of({model, result(1e-8, 5e-7, Verdict::kDetected)}, 1e-6);
  EXPECT_EQ(found.level, Level::kStrong);
  EXPECT_EQ(found.p->to_string(), "2.00e-8");
}

TEST(Level, WhatWasNotJudgedGivesNothing) {
  for (const Verdict verdict : {Verdict::kWithheld, Verdict::kInconclusive}) {
    const Strength found = strength_of({result(1e-12, 1e-6, verdict)}, 1e-6);
    EXPECT_EQ(found.level, Level::kNone);
    EXPECT_FALSE(found.p);
  }
  EXPECT_FALSE(strength_of({}, 1e-6).p);
}

TEST(Level, HasNames) {
  EXPECT_STREQ(level_name(Level::kNone), "none");
  EXPECT_STREQ(level_name(Level::kVeryStrong), "very-strong");
}

// Of three tests with unlike parts, one of which is not run: P(p of the audit <= t) <= t.
TEST(LevelLaws, HoldForTheAudit) {
  constexpr int kAudits = 200'000;
  tests::RandomNumbers random(3);
  for (const double t : {0.3, 0.01}) {
    std::uint64_t found = 0;
    for (int i = 0; i < kAudits; ++i) {
      std::vector<PlannedResult> results;
      for (const double part : {0.01, 0.03})
        results.push_back({Verdict::kNotDetected, PValue::from_double(1 - random.unit()), part});
      found += strength_of(results, 0.05).p->to_double() <= t ? 1U : 0U;
    }
    EXPECT_LE(found, stats::binomial_interval(kAudits, t, 1 - 1e-6).most);
  }
}

}  // namespace
}  // namespace countermark::audit
