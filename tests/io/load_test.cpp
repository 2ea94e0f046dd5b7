// SPDX-License-Identifier: Apache-2.0
#include "verifier/io/load.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "verifier/io/file.h"

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

// A private file that goes with the test.
class KeyFile {
 public:
  explicit KeyFile(const std::string& text)
      : path_(testing::TempDir() + "countermark-load-test-" + std::to_string(getpid()) + ".key") {
    EXPECT_TRUE(write_file(path_, text, Replace::kAlways, 0600));
  }
  KeyFile(const KeyFile&) = delete;
  KeyFile& operator=(const KeyFile&) = delete;
  ~KeyFile() { unlink(path_.c_str()); }

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(Load, AFileHoldsOneOfThreeKinds) {
  const MasterKey master = MasterKey::generate();
  const auto epoch = master.epoch("m", "e").value();
  EXPECT_TRUE(
      std::holds_alternative<MasterKey>(load_file_key(KeyFile(key_file(master)).path()).value()));
  EXPECT_TRUE(
      std::holds_alternative<EpochKey>(load_file_key(KeyFile(key_file(epoch)).path()).value()));
  const KeyFile foreign("#id:lab\nint:42\n");
  EXPECT_EQ(std::get<ForeignKey>(load_file_key(foreign.path()).value()).name(), "lab");
}

TEST(Load, AMasterKeyDetectsNothing) {
  const MasterKey master = MasterKey::generate();
  const auto epoch = master.epoch("m", "e").value();
  EXPECT_EQ(
      std::get<EpochKey>(load_detection_key(KeyFile(key_file(epoch)).path()).value()).to_text(),
      epoch.to_text());
  EXPECT_TRUE(
      std::holds_alternative<ForeignKey>(load_detection_key(KeyFile("hex:0123\n").path()).value()));
  const KeyFile file(key_file(master));
  const auto refused = load_detection_key(file.path());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kKey);
  EXPECT_EQ(refused.error().file, file.path());
  EXPECT_NE(refused.error().message.find("master key"), std::string::npos);
}

}  // namespace
}  // namespace countermark::io
