// SPDX-License-Identifier: Apache-2.0
// The served-response test: what it finds, what withholds it, and that chance stays chance.
#include "verifier/audit/served_response.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/random_numbers.h"
#include "verifier/stats/limits.h"

namespace countermark::audit {
namespace {

using detect::Verdict;
using tests::RandomNumbers;
using text::Finish;
using text::Transcript;

// A prompt whose served answer is `lift` better than chance would have it.
ServedScore scored(RandomNumbers& random, int number, double lift, std::size_t others = 4) {
  ServedScore out{"r" + std::to_string(number), "alice", random.unit() + lift, {}, false};
  for (std::size_t i = 0; i < others; ++i) out.regenerated.push_back(random.unit());
  return out;
}

ServedScore control(RandomNumbers& random, int number, double lift = 0) {
  ServedScore out = scored(random, number, lift);
  out.id = "c" + std::to_string(number);
  out.never_served = true;
  return out;
}

Transcript served(int number) {
  Transcript out;
  out.id = "r" + std::to_string(number);
  out.time = text::TranscriptTime(std::chrono::milliseconds(1000 * number));
  out.account = "alice";
  out.profile = std::string(64, '0');
  out.prompt_ids = {7, static_cast<TokenId>(number)};
  out.ids = {1, 2, static_cast<TokenId>(number)};
  out.finish = Finish::kEnd;
  return out;
}

const Check& check(const ServedFinding& finding, const std::string& name) {
  const auto found = std::find_if(finding.checks.begin(), finding.checks.end(),
                                  [&](const Check& each) { return each.name == name; });
  EXPECT_NE(found, finding.checks.end()) << name;
  return *found;
}

TEST(ServedResponse, FindsAnswersThatAreKnown) {
  RandomNumbers random(1);
  ServedResponse test({});
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(test.add(scored(random, i, 0.3)));
    ASSERT_TRUE(test.add(control(random, i)));
    test.add(served(i));
  }
  const ServedFinding finding = test.finish({});
  EXPECT_EQ(finding.verdict, Verdict::kDetected);
  EXPECT_LT(finding.p.log10(), -30);
  EXPECT_EQ(finding.ranks.groups(), 500);
  EXPECT_EQ(finding.control.groups(), 500);
  EXPECT_EQ(finding.checks.size(), 8);
  for (const Check& each : finding.checks)
    EXPECT_EQ(each.state, Check::State::kPassed) << each.name;
  EXPECT_FALSE(finding.is_marked);
}

TEST(ServedResponse, ChanceIsNotDetected) {
  RandomNumbers random(2);
  ServedResponse test({});
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(test.add(scored(random, i, 0)));
  const ServedFinding finding = test.finish({});
  EXPECT_EQ(finding.verdict, Verdict::kNotDetected);
  EXPECT_TRUE(finding.is_marked);  // for all that is known without a log
  EXPECT_EQ(check(finding, "negative-control").state, Check::State::kNotRun);
  EXPECT_EQ(check(finding, "log").state, Check::State::kNotRun);
}

TEST(ServedResponse, FewPromptsAreInconclusive) {
  RandomNumbers random(3);
  ServedResponse none({});
  EXPECT_EQ(none.finish({}).verdict, Verdict::kInconclusive);
  ServedResponse eight({});
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(eight.add(scored(random, i, 9)));
  EXPECT_EQ(eight.finish({}).verdict, Verdict::kInconclusive);  // 5^-8 is above 1e-6
  ASSERT_TRUE(eight.add(scored(random, 8, 9)));
  EXPECT_EQ(eight.finish({}).verdict, Verdict::kDetected);
}

TEST(ServedResponse, OfOneAccount) {
  RandomNumbers random(4);
  ServedResponse test("bob");
  for (int i = 0; i < 100; ++i) {
    ServedScore score = scored(random, i, i % 2 == 0 ? 9 : 0);
    score.account = i % 2 == 0 ? "bob" : "alice";
    if (i == 98) score.account.reset();
    ASSERT_TRUE(test.add(score));
    ASSERT_TRUE(test.add(control(random, i)));
  }
  const ServedFinding finding = test.finish({});
  EXPECT_EQ(finding.ranks.groups(), 49);
  EXPECT_EQ(finding.control.groups(), 100);
  EXPECT_EQ(finding.verdict, Verdict::kDetected);
}

// Controls that could not fail pass nothing.
TEST(ServedResponse, FewControlsAreNotRun) {
  RandomNumbers random(9);
  ServedResponse test({});
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(test.add(control(random, i, 9)));
  EXPECT_EQ(check(test.finish({}), "negative-control").state, Check::State::kNotRun);
  ASSERT_TRUE(test.add(control(random, 4, 9)));
  EXPECT_EQ(check(test.finish({}), "negative-control").state, Check::State::kFailed);
}

TEST(ServedResponse, AnIdComesOnce) {
  RandomNumbers random(5);
  ServedResponse test({});
  ASSERT_TRUE(test.add(scored(random, 1, 0)));
  ASSERT_TRUE(test.add(control(random, 1)));
  EXPECT_EQ(test.add(scored(random, 1, 0)).error().field, "id");
  EXPECT_FALSE(test.add(control(random, 1)));
  EXPECT_EQ(test.finish({}).ranks.groups(), 1);
}

// Each rule matters: with what it forbids the test would be wrong, and it withholds.
class Broken : public ::testing::Test {
 protected:
  // 300 answers that were made in another way than their regenerations, and are rated higher.
  void fill(ServedResponse& test, double control_lift = 0) {
    for (int i = 0; i < 300; ++i) {
      ASSERT_TRUE(test.add(scored(random_, i, 0.2)));
      ASSERT_TRUE(test.add(control(random_, i, control_lift)));
    }
  }
  static void expect_withheld(const ServedFinding& finding, const std::string& name) {
    EXPECT_LT(finding.p.log10(), -6);
    EXPECT_EQ(finding.verdict, Verdict::kWithheld);
    for (const Check& each : finding.checks)
      EXPECT_EQ(each.state, each.name == name ? Check::State::kFailed : Check::State::kPassed)
          << each.name << ": " << each.detail;
  }

  RandomNumbers random_{6};
};

TEST_F(Broken, ByAPipelineThatDrifted) {
  ServedResponse test({});
  fill(test, 0.2);
  for (int i = 0; i < 300; ++i) test.add(served(i));
  expect_withheld(test.finish({}), "negative-control");
  ServedResponse below({});
  fill(below, -0.2);
  for (int i = 0; i < 300; ++i) below.add(served(i));
  expect_withheld(below.finish({}), "negative-control");
}

TEST_F(Broken, ByAnswersThatAreNotInTheLog) {
  ServedResponse test({});
  fill(test);
  for (int i = 0; i < 299; ++i) test.add(served(i));
  expect_withheld(test.finish({}), "in-log");
  ServedResponse other({});
  fill(other);
  for (int i = 0; i < 300; ++i) {
    Transcript transcript = served(i);
    if (i == 7) transcript.account = "bob";
    other.add(transcript);
  }
  expect_withheld(other.finish({}), "in-log");
}

TEST_F(Broken, ByAbortedAnswers) {
  ServedResponse test({});
  fill(test);
  for (int i = 0; i < 300; ++i) {
    Transcript transcript = served(i);
    if (i == 7) transcript.finish = Finish::kAborted;
    test.add(transcript);
  }
  expect_withheld(test.finish({}), "whole-answers");
}

TEST_F(Broken, ByAClientThatChoseAmongAnswers) {
  ServedResponse test({});
  fill(test);
  for (int i = 0; i < 300; ++i) test.add(served(i));
  Transcript later = served(7);
  later.id = "unscored";
  later.time += std::chrono::milliseconds(1);  // when it was over; it may have been asked first
  later.ids = {9};
  test.add(later);
  expect_withheld(test.finish({}), "single-answers");
}

TEST_F(Broken, ByALogThatDoesNotTell) {
  ServedResponse empty({});
  fill(empty);
  empty.expect_log();
  expect_withheld(empty.finish({}), "in-log");
  ServedResponse twice({});
  fill(twice);
  for (int i = 0; i < 300; ++i) twice.add(served(i));
  twice.add(served(7));
  expect_withheld(twice.finish({}), "in-log");
  ServedResponse open({});
  fill(open);
  for (int i = 0; i < 300; ++i) {
    Transcript transcript = served(i);
    if (i == 7) transcript.finish.reset();
    open.add(transcript);
  }
  expect_withheld(open.finish({}), "whole-answers");
}

// Three hundred accounts ask the same, and are ranked among the same four regenerations.
TEST_F(Broken, BySharedRegenerations) {
  ServedResponse test({});
  const ServedScore first = scored(random_, 0, 0.2);
  for (int i = 0; i < 300; ++i) {
    ServedScore score = scored(random_, i, 0.2);
    score.account = "account-" + std::to_string(i);
    score.regenerated = first.regenerated;
    ASSERT_TRUE(test.add(score));
    ASSERT_TRUE(test.add(control(random_, i)));
    Transcript transcript = served(i);
    transcript.account = score.account;
    transcript.prompt_ids = {7};
    test.add(transcript);
  }
  expect_withheld(test.finish({}), "own-regenerations");
}

TEST_F(Broken, ByAMarkWithoutAControlUnderItsKey) {
  const auto marked = [](int i) {
    Transcript transcript = served(i);
    transcript.key_id = "0123456789abcdef";
    transcript.epoch = "e";
    return transcript;
  };
  ServedResponse test({});
  for (int i = 0; i < 300; ++i) {
    ServedScore score = scored(random_, i, 0.2);
    score.key_id = "0123456789abcdef";
    ASSERT_TRUE(test.add(score));
    if (i < 140) {
      ASSERT_TRUE(test.add(control(random_, i)));
    }
    test.add(marked(i));
  }
  expect_withheld(test.finish({}), "marked-answers");
}

// What a key prefers everywhere lifts all of its answers above regenerations that are not marked
// under it, in a suspect that has seen neither.
TEST_F(Broken, ByRegenerationsWithoutTheMark) {
  for (const char* key : {"", "fedcba9876543210"}) {
    ServedResponse test({});
    for (int i = 0; i < 300; ++i) {
      ServedScore score = scored(random_, i, 0.2);
      if (*key != 0) score.key_id = key;
      ASSERT_TRUE(test.add(score));
      ASSERT_TRUE(test.add(control(random_, i)));
      Transcript transcript = served(i);
      transcript.key_id = "0123456789abcdef";
      transcript.epoch = "e";
      test.add(transcript);
    }
    expect_withheld(test.finish({}), "same-mark");
  }
}

TEST_F(Broken, NotByScoresForAPart) {
  ServedResponse test({});
  fill(test);
  for (int i = 0; i < 400; ++i) test.add(served(i));
  const ServedFinding finding = test.finish({});
  EXPECT_EQ(finding.verdict, Verdict::kDetected);
  EXPECT_EQ(check(finding, "all-answers").state, Check::State::kNotRun);
}

TEST_F(Broken, ByAnAnswerFromACache) {
  ServedResponse test({});
  fill(test);
  for (int i = 0; i < 300; ++i) {
    Transcript transcript = served(i);
    if (i == 7) {
      transcript.prompt_ids = served(6).prompt_ids;
      transcript.ids = served(6).ids;
      transcript.account = "carol";
    }
    test.add(transcript);
  }
  EXPECT_EQ(check(test.finish({}), "in-log").state, Check::State::kFailed);
  ServedResponse anonymous({});
  for (int i = 0; i < 300; ++i) {
    ServedScore score = scored(random_, i, 0.2);
    score.account.reset();
    ASSERT_TRUE(anonymous.add(score));
    ASSERT_TRUE(anonymous.add(control(random_, i)));
  }
  for (int i = 0; i < 300; ++i) {
    Transcript transcript = served(i == 7 ? 6 : i);
    transcript.id = "r" + std::to_string(i);
    if (i == 7) transcript.account = "carol";
    anonymous.add(transcript);
  }
  expect_withheld(anonymous.finish({}), "own-answers");
}

TEST_F(Broken, PromptsThatAreKeptAsDigestsAreTheSamePrompts) {
  ServedResponse test({});
  fill(test);
  for (int i = 0; i < 300; ++i) {
    Transcript transcript = served(i);
    if (i % 2 == 0) {
      transcript.prompt_sha256 = text::prompt_sha256(*transcript.prompt_ids);
      transcript.prompt_ids.reset();
    }
    test.add(transcript);
  }
  const ServedFinding finding = test.finish({});
  EXPECT_EQ(finding.verdict, Verdict::kDetected);
  EXPECT_FALSE(finding.is_marked);
}

// A thousand audits of chance: false vetoes of the control as rare as it says.
TEST(ServedResponse, ControlsRarelyFailByChance) {
  RandomNumbers random(7);
  std::uint64_t failed = 0;
  for (int audit = 0; audit < 3000; ++audit) {
    ServedResponse test({});
    for (int i = 0; i < 40; ++i) ASSERT_TRUE(test.add(control(random, i)));
    failed += check(test.finish({}), "negative-control").state == Check::State::kFailed ? 1U : 0U;
  }
  EXPECT_LE(failed, stats::poisson_upper_limit(3000 * kControlLevel, 1e-5));
}

}  // namespace
}  // namespace countermark::audit
