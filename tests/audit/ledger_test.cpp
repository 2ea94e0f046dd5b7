// SPDX-License-Identifier: Apache-2.0
// What a ledger lets each analysis spend, and that none can be taken out of it.
#include "verifier/audit/ledger.h"

#include <gtest/gtest.h>

#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/folder_test.h"
#include "verifier/io/file.h"
#include "watermark/prf/hash.h"

namespace countermark::audit {
namespace {

std::string digest(const std::string& of) { return to_hex(sha256(of)); }

class LedgerTest : public tests::FolderTest {
 protected:
  Entry enters(const std::string& audit, bool is_planned = false) const {
    auto out = enter(path("ledger.jsonl"), line(audit, is_planned));
    EXPECT_TRUE(out) << out.error().describe();
    return out.value_or(Entry{});
  }

  static LedgerLine line(const std::string& audit, bool is_planned = false) {
    LedgerLine out;
    out.audit = digest(audit);
    out.alpha = "1e-6";
    if (is_planned) out.plan = digest("plan of " + audit);
    return out;
  }
};

TEST_F(LedgerTest, AllOfThemTogetherSpendAlpha) {
  double spent = 0;
  for (int i = 1; i <= 100; ++i) {
    const Entry entry = enters(std::to_string(i));
    EXPECT_EQ(entry.number, static_cast<std::uint64_t>(i));
    EXPECT_EQ(entry.check.state, Check::State::kPassed);
    spent += 1 / static_cast<double>(entry.parts);
  }
  EXPECT_LT(spent, 1);
  EXPECT_GT(spent, 0.98);
  // Once more is no other one.
  const Entry again = enters("3");
  EXPECT_EQ(again.number, 3U);
  EXPECT_EQ(again.analyses, 100U);
  EXPECT_EQ(again.parts, 12U);
}

TEST_F(LedgerTest, APlanComesFirstAndSpendsAll) {
  const Entry plan = enters("planned", true);
  EXPECT_EQ(plan.parts, 1U);
  EXPECT_EQ(plan.check.state, Check::State::kPassed);
  EXPECT_EQ(enters("then another").check.state, Check::State::kFailed);
  EXPECT_EQ(enters("another plan", true).check.state, Check::State::kFailed);
  EXPECT_EQ(enters("planned", true).check.state, Check::State::kPassed);
}

TEST_F(LedgerTest, APlanBehindAnAnalysisIsNone) {
  EXPECT_EQ(enters("tried").check.state, Check::State::kPassed);
  EXPECT_EQ(enters("planned", true).check.state, Check::State::kFailed);
}

// Everybody is the next one by himself, or has to come again.
TEST_F(LedgerTest, SeveralEnterAtOnce) {
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::set<std::uint64_t> numbers;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&, i] {
      for (;;) {
        const auto entry = enter(path("ledger.jsonl"), line(std::to_string(i)));
        if (!entry) {
          EXPECT_EQ(entry.error().code, ErrorCode::kIo);
          continue;
        }
        const std::scoped_lock lock(mutex);
        EXPECT_TRUE(numbers.insert(entry->number).second);
        return;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(numbers.size(), 8U);
  EXPECT_EQ(enters("last").number, 9U);
}

TEST_F(LedgerTest, WhatWasEnteredStays) {
  for (const char* audit : {"a", "b", "c"}) enters(audit);
  const std::string file = path("ledger.jsonl");
  const std::string all = io::read_file(file, 1 << 16).value();
  const std::size_t first = all.find('\n') + 1;
  const std::size_t second = all.find('\n', first) + 1;
  write("ledger.jsonl", all.substr(0, first) + all.substr(second));
  const auto left_out = enter(file, line("d"));
  ASSERT_FALSE(left_out);
  EXPECT_EQ(left_out.error().code, ErrorCode::kInvalidInput);
  write("ledger.jsonl", all);
  LedgerLine other = line("d");
  other.alpha = "1e-3";
  const auto richer = enter(file, other);
  ASSERT_FALSE(richer);
  EXPECT_EQ(richer.error().code, ErrorCode::kMismatch);
  EXPECT_EQ(io::read_file(file, 1 << 16).value(), all);
}

}  // namespace
}  // namespace countermark::audit
