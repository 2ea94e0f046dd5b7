// SPDX-License-Identifier: Apache-2.0
// A scan that is stopped and goes on tells and counts each thing once.
#include "verifier/scan/scanner.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "watermark/prf/hash.h"

namespace countermark::scan {
namespace {

TEST(Scanner, DamageIsCountedOnceHoweverOftenItStops) {
  auto folder = io::TemporaryFolder::create();
  ASSERT_TRUE(folder);
  const std::string sound = folder->path() + "/sound.jsonl";
  std::ofstream(sound) << "{\"ids\":[1,2,3,4,5,6,7,8]}\n{\"ids\":[8,7,6,5,4,3,2,1]}\n";

  const EpochKey key =
      EpochKey::create(Secret<32>(sha256("scan")), "model", "epoch")->decoy(as_bytes("scan"), 0);
  Tests tests;
  auto test = make_test(key, Profile::defaults(), {}, {});
  ASSERT_TRUE(test);
  tests.add(std::move(*test), nullptr);

  std::atomic<bool> stop = false;
  std::vector<std::string> told;
  ScanOptions options;
  options.inputs = {folder->path() + "/missing.jsonl", sound};
  options.reader.ids_field = "ids";
  options.skip_bad = true;
  options.state = folder->path() + "/state";
  options.skipped = [&](const Error& error) {
    told.push_back(error.describe());
    stop = true;
  };
  options.stop = &stop;
  const auto stopped = scan(tests, options);
  ASSERT_TRUE(stopped) << stopped.error().describe();
  EXPECT_FALSE(stopped->has_value());

  stop = false;
  const auto scanned = scan(tests, options);
  ASSERT_TRUE(scanned) << scanned.error().describe();
  ASSERT_TRUE(scanned->has_value());
  EXPECT_TRUE((*scanned)->resumed);
  EXPECT_EQ((*scanned)->summary.bad_records, 1U);
  EXPECT_EQ((*scanned)->summary.documents, 2U);
  EXPECT_EQ(told.size(), 1U);
  std::filesystem::remove_all(options.state);
  std::filesystem::remove(sound);
}

}  // namespace
}  // namespace countermark::scan
