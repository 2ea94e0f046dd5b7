// SPDX-License-Identifier: Apache-2.0
#include "verifier/io/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "tests/support/folder_test.h"

namespace countermark::io {
namespace {

namespace fs = std::filesystem;

class Files : public tests::FolderTest {
 protected:
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& entry : fs::directory_iterator(folder_))
      all.push_back(entry.path().filename());
    std::sort(all.begin(), all.end());
    return all;
  }
  static unsigned mode_of(const std::string& name) {
    struct stat status {};
    EXPECT_EQ(::stat(name.c_str(), &status), 0);
    return status.st_mode & 07777;
  }
};

std::string pattern_of(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 131 + i / 251);
  return bytes;
}

TEST_F(Files, RoundTrip) {
  for (const std::size_t size : {0UL, 1UL, 65535UL, 65536UL, 65537UL, 3'000'000UL}) {
    const std::string bytes = pattern_of(size);
    ASSERT_TRUE(write_file(path("f"), bytes, Replace::kAlways));
    const auto read = read_file(path("f"));
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, bytes);
    EXPECT_EQ(names(), std::vector<std::string>{"f"});
  }
}

TEST_F(Files, ReadsUpToTheLimit) {
  ASSERT_TRUE(write_file(path("f"), "12345", Replace::kNever));
  EXPECT_EQ(*read_file(path("f"), 5), "12345");
  EXPECT_EQ(*read_file(path("f"), UINT64_MAX), "12345");
  const auto over = read_file(path("f"), 4);
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code, ErrorCode::kInvalidInput);
  EXPECT_EQ(over.error().message, "expected at most 4 bytes");
  EXPECT_EQ(over.error().file, path("f"));
  EXPECT_EQ(*read_file("/dev/null", 0), "");
  EXPECT_FALSE(read_file("/dev/zero", 1 << 20));
}

TEST_F(Files, ReadErrorsNameTheFile) {
  const auto missing = read_file(path("none"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kIo);
  EXPECT_EQ(missing.error().file, path("none"));
  const auto directory = read_file(folder_.string());
  ASSERT_FALSE(directory);
  EXPECT_EQ(directory.error().code, ErrorCode::kIo);
  EXPECT_FALSE(read_file(""));
  if (::geteuid() != 0) {
    ASSERT_TRUE(write_file(path("secret"), "x", Replace::kNever, 0));
    EXPECT_EQ(read_file(path("secret")).error().code, ErrorCode::kPermission);
  }
}

TEST_F(Files, ReadsStandardInputAndLeavesItOpen) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const int saved = ::dup(0);
  ASSERT_EQ(::dup2(ends[0], 0), 0);
  ::close(ends[0]);
  const std::string bytes = pattern_of(300'000);  // more than a pipe holds
  std::thread writer([&] {
    for (std::size_t at = 0; at < bytes.size();) {
      const ssize_t n = ::write(ends[1], bytes.data() + at, bytes.size() - at);
      if (n > 0) at += static_cast<std::size_t>(n);
    }
    ::close(ends[1]);
  });
  const auto read = read_file("-");
  writer.join();
  EXPECT_NE(::fcntl(0, F_GETFD), -1);
  ::dup2(saved, 0);
  ::close(saved);
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, bytes);
}

TEST_F(Files, ReadSurvivesSignals) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  struct sigaction quiet {};
  quiet.sa_handler = [](int) {};  // without SA_RESTART: read returns EINTR
  struct sigaction saved {};
  ASSERT_EQ(::sigaction(SIGUSR1, &quiet, &saved), 0);
  const pthread_t reader = ::pthread_self();
  std::thread writer([&] {
    ::usleep(20'000);
    for (int i = 0; i < 20; ++i) {
      ::pthread_kill(reader, SIGUSR1);  // while open blocks
      ::usleep(1000);
    }
    const int out = ::open(path("pipe").c_str(), O_WRONLY);
    for (int i = 0; i < 20; ++i) {
      ::usleep(1000);
      ::pthread_kill(reader, SIGUSR1);  // while read blocks
      EXPECT_EQ(::write(out, "ab", 2), 2);
    }
    ::close(out);
  });
  const auto read = read_file(path("pipe"));
  writer.join();
  ::sigaction(SIGUSR1, &saved, nullptr);
  ASSERT_TRUE(read) << read.error().describe();
  EXPECT_EQ(read->size(), 40U);
}

TEST_F(Files, WriteSetsTheMode) {
  const mode_t mask = ::umask(022);
  ASSERT_TRUE(write_file(path("key"), "k", Replace::kNever, 0600));
  ASSERT_TRUE(write_file(path("out"), "o", Replace::kNever));
  ASSERT_TRUE(write_file(path("out2"), "o", Replace::kNever, 0666));
  ::umask(mask);
  EXPECT_EQ(mode_of(path("key")), 0600U);
  EXPECT_EQ(mode_of(path("out")), 0644U);
  EXPECT_EQ(mode_of(path("out2")), 0644U);
  ASSERT_TRUE(write_file(path("out"), "o", Replace::kAlways, 0600));
  EXPECT_EQ(mode_of(path("out")), 0600U);
}

TEST_F(Files, NeverKeepsWhatIsThere) {
  ASSERT_TRUE(write_file(path("f"), "old", Replace::kNever));
  ASSERT_EQ(::symlink("nowhere", path("dangling").c_str()), 0);
  for (const std::string& name : {path("f"), path("dangling"), folder_.string()}) {
    const auto status = write_file(name, "new", Replace::kNever);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::kExists);
    EXPECT_EQ(status.error().file, name);
  }
  EXPECT_EQ(*read_file(path("f")), "old");
  EXPECT_EQ(names(), (std::vector<std::string>{"dangling", "f"}));
}

TEST_F(Files, AlwaysReplacesRegularFilesOnly) {
  ASSERT_TRUE(write_file(path("f"), "old", Replace::kAlways));
  ASSERT_TRUE(write_file(path("f"), "new", Replace::kAlways));
  EXPECT_EQ(*read_file(path("f")), "new");
  ASSERT_EQ(::symlink("f", path("link").c_str()), 0);
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  for (const std::string& name : {path("link"), path("pipe"), folder_.string()}) {
    const auto status = write_file(name, "x", Replace::kAlways);
    ASSERT_FALSE(status) << name;
    EXPECT_EQ(status.error().code, ErrorCode::kIo);
  }
  EXPECT_EQ(*read_file(path("f")), "new");
  EXPECT_EQ(names(), (std::vector<std::string>{"f", "link", "pipe"}));
}

TEST_F(Files, OneOfManyRacingWritersWins) {
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> wins{0};
    std::atomic<int> winner{-1};
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i)
      threads.emplace_back([&, i] {
        const auto status = write_file(path("f"), std::to_string(i), Replace::kNever);
        if (status) {
          ++wins;
          winner = i;
        } else {
          EXPECT_EQ(status.error().code, ErrorCode::kExists);
        }
      });
    for (auto& thread : threads) thread.join();
    ASSERT_EQ(wins, 1);
    EXPECT_EQ(*read_file(path("f")), std::to_string(winner));
    EXPECT_EQ(names(), std::vector<std::string>{"f"});
    fs::remove(path("f"));
  }
}

TEST_F(Files, FailureLeavesNothingBehind) {
  EXPECT_EQ(write_file(path("none/f"), "x", Replace::kNever).error().code, ErrorCode::kIo);
  EXPECT_FALSE(write_file("", "x", Replace::kNever));
  EXPECT_FALSE(write_file(path("f/"), "x", Replace::kNever));
  ASSERT_TRUE(write_file(path("f"), "old", Replace::kNever));
  struct rlimit saved {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &saved), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  struct rlimit small = saved;
  small.rlim_cur = 1000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto status = write_file(path("f"), pattern_of(5000), Replace::kAlways);
  ::setrlimit(RLIMIT_FSIZE, &saved);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kIo);
  EXPECT_EQ(status.error().file, path("f"));
  EXPECT_EQ(*read_file(path("f")), "old");
  EXPECT_EQ(names(), std::vector<std::string>{"f"});
}

TEST_F(Files, StepsOverLeftovers) {
  // A crashed process with our number left temporaries behind. The numbers count up from 0, and
  // the other tests together use fewer than these.
  constexpr int kLeftovers = 2000;
  for (int i = 0; i < kLeftovers; ++i) {
    const std::string name =
        ".countermark-" + std::to_string(::getpid()) + "-" + std::to_string(i) + ".tmp";
    std::ofstream(path(name.c_str())) << "leftover";
  }
  ASSERT_TRUE(write_file(path("f"), "x", Replace::kNever));
  EXPECT_EQ(*read_file(path("f")), "x");
  EXPECT_EQ(names().size(), kLeftovers + 1U);
}

TEST_F(Files, LinesAreAppended) {
  LineFile file = LineFile::open(path("f")).value();
  EXPECT_EQ(mode_of(path("f")), 0600U);
  EXPECT_EQ(file.append("one\n"), 4U);
  EXPECT_EQ(file.append(""), 0U);
  LineFile other = LineFile::open(path("f")).value();
  EXPECT_EQ(other.append("two\n"), 4U);
  EXPECT_EQ(file.append("three\n"), 6U);
  EXPECT_EQ(*read_file(path("f")), "one\ntwo\nthree\n");
}

TEST_F(Files, ATornLineIsEndedBeforeTheNext) {
  ASSERT_TRUE(write_file(path("f"), "one\ntw", Replace::kNever, 0640));
  LineFile file = LineFile::open(path("f")).value();
  EXPECT_EQ(*read_file(path("f")), "one\ntw");
  EXPECT_EQ(file.append("three\n"), 6U);
  EXPECT_EQ(file.append("four\n"), 5U);
  EXPECT_EQ(*read_file(path("f")), "one\ntw\nthree\nfour\n");
  EXPECT_EQ(mode_of(path("f")), 0640U);
}

TEST_F(Files, LinesFollowAFileThatWasPutAside) {
  LineFile file = LineFile::open(path("f")).value();
  file.append("one\n");
  fs::rename(path("f"), path("g"));
  EXPECT_EQ(file.append("two\n"), 4U);
  EXPECT_EQ(*read_file(path("g")), "one\n");
  EXPECT_EQ(*read_file(path("f")), "two\n");
  fs::remove(path("f"));
  fs::create_directory(path("f"));
  EXPECT_EQ(file.append("lost\n"), 0U);
  fs::remove(path("f"));
  EXPECT_EQ(file.append("three\n"), 6U);
  EXPECT_EQ(*read_file(path("f")), "three\n");
}

TEST_F(Files, LinesGoToFilesAndPipes) {
  EXPECT_EQ(LineFile::open(folder_.string()).error().code, ErrorCode::kIo);
  EXPECT_EQ(LineFile::open("/dev/null").error().code, ErrorCode::kIo);
  EXPECT_EQ(LineFile::open(path("none/f")).error().code, ErrorCode::kIo);
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_EQ(LineFile::open(path("pipe")).error().code, ErrorCode::kIo);  // nobody reads
  const int reader = ::open(path("pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  LineFile pipe = LineFile::open(path("pipe")).value();
  EXPECT_EQ(pipe.append("one\n"), 4U);
  char bytes[8];
  EXPECT_EQ(::read(reader, bytes, sizeof bytes), 4);
  ::close(reader);
}

}  // namespace
}  // namespace countermark::io
