// SPDX-License-Identifier: Apache-2.0
// What documents lose, and which of them are written down with which fragment.
#include "verifier/scan/documents.h"

#include <gtest/gtest.h>

#include <array>

namespace countermark::scan {
namespace {

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
