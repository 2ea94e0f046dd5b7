// SPDX-License-Identifier: Apache-2.0
// What of a log is checked before a suspect is judged by it.
#include "verifier/audit/supervised.h"

#include <gtest/gtest.h>

#include <numeric>

namespace countermark::audit {
namespace {

using detect::TokenSegment;

std::vector<TokenId> run_of(TokenId first, std::size_t size) {
  std::vector<TokenId> out(size);
  std::iota(out.begin(), out.end(), first);
  return out;
}

Exhibit exchange(std::vector<TokenId> prompt, std::vector<TokenId> answer) {
  return {{TokenSegment{std::move(prompt), false, {}}, TokenSegment{std::move(answer), true, {}}},
          {}};
}

std::vector<TokenId> joined(std::vector<TokenId> first, const std::vector<TokenId>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

TEST(TurnsCheck, SeesAnswersThatComeBackInPrompts) {
  const std::vector<TokenId> answer = run_of(500, 40);
  const std::vector<TokenId> brief = run_of(700, 9);
  Material material{Order::kAsLogged,
                    {exchange(run_of(1, 30), run_of(900, 20))},
                    {exchange(run_of(1, 30), answer), exchange(run_of(50, 30), brief)}};
  EXPECT_EQ(turns_check(material).state, Check::State::kPassed);
  for (const auto& each : {answer, brief}) {
    material.texts.push_back(exchange(joined(run_of(1, 30), joined(each, run_of(80, 5))), {1, 2}));
    EXPECT_EQ(turns_check(material).state, Check::State::kFailed);
    EXPECT_TRUE(turns_check(material).detail.starts_with("1 of 2 prompts"));
    material.texts.pop_back();
  }
  // Its end alone, or what nobody could tell from chance.
  material.texts.push_back(exchange(run_of(530, 10), {1, 2}));
  material.texts.push_back(exchange(run_of(500, 7), {1, 2}));
  EXPECT_EQ(turns_check(material).state, Check::State::kPassed);
  // What the suspect answers may be what was served.
  material.texts.push_back(exchange(run_of(1, 30), answer));
  EXPECT_EQ(turns_check(material).state, Check::State::kPassed);
}

TEST(OrderCheck, FailsForALogThatIsNotInOrder) {
  EXPECT_EQ(order_check({.used = 3}).state, Check::State::kPassed);
  EXPECT_EQ(order_check({.used = 3, .late = 1}).state, Check::State::kFailed);
}

}  // namespace
}  // namespace countermark::audit
