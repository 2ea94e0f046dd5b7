// SPDX-License-Identifier: Apache-2.0
#include "verifier/io/load.h"

#include <gtest/gtest.h>

namespace countermark::io {
namespace {

TEST(Load, AKeyFileReadsBack) {
  const MasterKey master = MasterKey::generate();
  const auto read_master = parse_key(key_file(master));
  ASSERT_TRUE(read_master);
  EXPECT_EQ(master_key(*read_master)->to_text(), master.to_text());
  // Ids may hold any character, a line feed, too.
  for (const char* model : {"chat-3", "two\nlines", "\nCM-SECRET-KEY-1", "# x"}) {
    const auto epoch = master.epoch(model, "2026\n11");
    ASSERT_TRUE(epoch);
    const auto read = parse_key(key_file(*epoch));
    ASSERT_TRUE(read) << model << ": " << read.error().describe();
    EXPECT_EQ(epoch_key(*read)->to_text(), epoch->to_text());
  }
}

TEST(Load, KeysOfTheOtherKindAreRefused) {
  const MasterKey master = MasterKey::generate();
  const auto epoch = master.epoch("m", "e");
  ASSERT_TRUE(epoch);
  EXPECT_EQ(epoch_key(master).error().code, ErrorCode::kKey);
  EXPECT_EQ(master_key(*epoch).error().code, ErrorCode::kKey);
}

}  // namespace
}  // namespace countermark::io
