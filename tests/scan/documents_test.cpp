// SPDX-License-Identifier: Apache-2.0
// Documents' numbers, their order, and what they lose.
#include "verifier/scan/documents.h"

#include <gtest/gtest.h>

#include <array>
#include <utility>
#include <vector>

namespace countermark::scan {
namespace {

TEST(Documents, RefusesMoreThanItHasNumbersFor) {
  Documents documents({"", {1}, {}}, /*most=*/3);
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_EQ(documents.add(i, {0, i}).value(), i);
  const auto refused = documents.add(3, {0, 3});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
}

TEST(Documents, OrdersByContentThenPlace) {
  Documents documents({"", {1}, {}});
  const auto add = [&](std::uint64_t hash, Place place) {
    return documents.add(hash, place).value();
  };
  const std::uint32_t late = add(5, {1, 0});
  const std::uint32_t early = add(5, {0, 9});
  const std::uint32_t low = add(std::uint64_t{1} << 33, {7, 7});
  const std::uint32_t later = add(5, {1, std::uint64_t{1} << 40});
  EXPECT_TRUE(documents.precedes(early, late));
  EXPECT_TRUE(documents.precedes(late, later));
  EXPECT_TRUE(documents.precedes(later, low));
  EXPECT_FALSE(documents.precedes(low, early));
  EXPECT_FALSE(documents.precedes(low, low));
  EXPECT_EQ(documents.in_order(), (std::vector<std::uint32_t>{early, late, later, low}));
  EXPECT_EQ(documents.originals(), (std::vector<std::uint32_t>{early, early, low, early}));
}

// A fragment is written while documents that belong to the next one lose tuples.
TEST(Documents, LosersOfLaterFragmentsWait) {
  Documents documents(Settings{.lanes = {1}});
  for (std::uint32_t i = 0; i < 6; ++i) ASSERT_TRUE(documents.add(i, {}));
  const auto lose = [&](std::uint32_t document, std::uint64_t sum) {
    documents.lose(0, document, 1, std::array{sum});
  };
  const auto range = [](Documents::Range taken) { return std::pair(taken.first, taken.last); };
  lose(1, 10);
  lose(4, 20);
  EXPECT_EQ(range(documents.take_losers(3)), std::pair(1U, 2U));
  lose(0, 30);
  EXPECT_EQ(range(documents.take_losers(3)), std::pair(0U, 2U));
  const auto none = documents.take_losers(3);
  EXPECT_GT(none.first, none.last);
  const auto [first, last] = documents.take_losers(6);
  EXPECT_LE(first, 4U);
  EXPECT_EQ(last, 4U);
  std::vector<std::uint32_t> words;
  documents.copy_lost(4, words);
  EXPECT_EQ(words, (std::vector<std::uint32_t>{1, 20, 0}));
}

}  // namespace
}  // namespace countermark::scan
