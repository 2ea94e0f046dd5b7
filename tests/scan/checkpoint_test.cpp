// SPDX-License-Identifier: Apache-2.0
// A scan that is killed, or whose disk fills up, goes on from its last checkpoint to the same end.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "tests/scan/random_corpus.h"
#include "verifier/io/file.h"
#include "verifier/scan/corpus_tape.h"

namespace countermark::scan {
namespace {

using Clock = std::chrono::steady_clock;

class Checkpoint : public Scan {
 protected:
  std::string state() const { return path("state"); }
  CorpusTapeOptions options() const {
    return {.settings = test_settings(), .max_memory = 600'000, .folder = state(), .keep = true};
  }

  // Reads on where the last checkpoint says, with one every few documents; the whole result.
  static std::string go_on(const CorpusTapeOptions& options,
                           const std::vector<RandomDocument>& corpus, std::size_t every) {
    Result<CorpusTape> tape = CorpusTape::open(options);
    if (!tape) return "ERROR " + tape.error().describe();
    std::size_t at = tape->progress() ? std::stoul(*tape->progress()) : 0;
    {
      CorpusTape::Writer writer = tape->writer();
      while (at < corpus.size()) {
        put(writer, corpus[at++]);
        if (at % every != 0) continue;
        const Status status = tape->checkpoint(std::to_string(at));
        if (!status) return "ERROR " + status.error().describe();
      }
    }
    return finish(*tape);
  }

  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& entry : std::filesystem::directory_iterator(state()))
      all.push_back(entry.path().filename());
    std::sort(all.begin(), all.end());
    return all;
  }
};

TEST_F(Checkpoint, KilledAtAnyPointItEndsTheSame) {
  const auto corpus = random_corpus(21, 120);
  const std::string expected = expected_text(corpus);
  const auto run = [&] { return go_on(options(), corpus, 12); };

  const auto begin = Clock::now();
  EXPECT_EQ(run(), expected);
  const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
  std::filesystem::remove_all(state());

  tests::RandomNumbers random(22);
  int killed = 0;
  int went_on = 0;
  for (int round = 0; killed < 50 && round < 500; ++round) {
    const ::pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const bool same = run() == expected;
      ::_exit(same ? 0 : 1);
    }
    // Shorter than a whole run, so that most are killed and some of the rest is done.
    std::this_thread::sleep_for(whole * random.below(1000) / 1500);
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
      ++killed;
      {
        const Result<CorpusTape> resumed = CorpusTape::open(options());
        ASSERT_TRUE(resumed) << resumed.error().describe();
        went_on += resumed->progress() ? 1 : 0;
      }
      if (random.below(4) != 0) continue;
      ASSERT_EQ(run(), expected);
    } else {
      ASSERT_EQ(WEXITSTATUS(status), 0) << "a resumed scan ended differently";
    }
    std::filesystem::remove_all(state());  // and from the beginning
  }
  EXPECT_EQ(killed, 50);
  EXPECT_GT(went_on, 10);
}

TEST_F(Checkpoint, KeepsTheCallersWords) {
  const std::string words("\0any \xff bytes\n\"", 14);
  {
    Result<CorpusTape> tape = CorpusTape::open(options());
    ASSERT_TRUE(tape);
    EXPECT_EQ(tape->progress(), std::nullopt);
    ASSERT_TRUE(tape->checkpoint(words));
  }
  EXPECT_EQ(CorpusTape::open(options())->progress(), words);
}

TEST_F(Checkpoint, OnlyOneProcessWorksInAFolder) {
  const Result<CorpusTape> first = CorpusTape::open(options());
  ASSERT_TRUE(first);
  const Result<CorpusTape> second = CorpusTape::open(options());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kIo);
  EXPECT_EQ(second.error().describe(), state() + ": another process works in this folder");
}

TEST_F(Checkpoint, RefusesAnotherScansFolder) {
  ASSERT_TRUE(CorpusTape::open(options())->checkpoint(""));
  for (Settings settings : {test_settings({1, 2}), Settings{"{}", {1, 3, 2}, {}}}) {
    CorpusTapeOptions others = options();
    others.settings = settings;
    const Result<CorpusTape> tape = CorpusTape::open(others);
    ASSERT_FALSE(tape);
    EXPECT_EQ(tape.error().code, ErrorCode::kMismatch);
    EXPECT_EQ(tape.error().file, state() + "/manifest");
  }
}

TEST_F(Checkpoint, ACheckpointNeedsAFolderThatIsKept) {
  const Status status = CorpusTape::open({.settings = test_settings()})->checkpoint("");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(Checkpoint, RemovesItsOwnLeftoversAndNothingElse) {
  std::filesystem::create_directory(state());
  for (const char* name : {"/fragment-000001", "/.countermark-1-1.tmp", "/thesis.txt"})
    ASSERT_TRUE(io::write_file(state() + name, "x", io::Replace::kNever));
  ASSERT_TRUE(CorpusTape::open(options()));
  EXPECT_EQ(names(), (std::vector<std::string>{"lock", "thesis.txt"}));
}

TEST_F(Checkpoint, FindsEveryDamageOfItsManifest) {
  const auto corpus = random_corpus(23, 40);
  ASSERT_EQ(go_on(options(), corpus, 10), expected_text(corpus));
  const std::string manifest = io::read_file(state() + "/manifest").value();
  for (std::size_t at = 0; at < manifest.size(); ++at) {
    std::string flipped = manifest;
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    write(state() + "/manifest", flipped);
    const Result<CorpusTape> tape = CorpusTape::open(options());
    ASSERT_FALSE(tape) << at;
    ASSERT_EQ(tape.error().code, ErrorCode::kInvalidInput);
  }
  write(state() + "/manifest", manifest);
  const std::string second = io::read_file(state() + "/fragment-000002").value();
  write(state() + "/fragment-000001", second);
  const Result<CorpusTape> swapped = CorpusTape::open(options());
  ASSERT_FALSE(swapped);
  EXPECT_EQ(swapped.error().file, state() + "/fragment-000001");
}

// Files may grow to this size only, while it lives.
class FileLimit {
 public:
  explicit FileLimit(::rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const ::rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
  }
  FileLimit(const FileLimit&) = delete;
  FileLimit& operator=(const FileLimit&) = delete;
  ~FileLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  ::rlimit before_{};
  void (*handler_)(int) = SIG_DFL;
};

TEST_F(Checkpoint, AFullDiskLosesNothingThatWasCheckpointed) {
  const auto corpus = random_corpus(24, 200);
  CorpusTapeOptions large = options();
  large.max_memory = std::uint64_t{1} << 30;
  for (const ::rlim_t limit : {10U, 5'000U, 50'000U, 120'000U}) {
    {
      Result<CorpusTape> tape = CorpusTape::open(large);
      ASSERT_TRUE(tape);
      CorpusTape::Writer writer = tape->writer();
      for (std::size_t i = 0; i < 50; ++i) put(writer, corpus[i]);
      ASSERT_TRUE(tape->checkpoint("50"));
      for (std::size_t i = 50; i < 200; ++i) put(writer, corpus[i]);
      const FileLimit full(limit);
      const Status status = tape->checkpoint("200");
      ASSERT_FALSE(status) << limit;
      EXPECT_EQ(status.error().code, ErrorCode::kIo);
      EXPECT_TRUE(status.error().file.starts_with(state())) << status.error().describe();
      EXPECT_NE(status.error().message.find("File too large"), std::string::npos);
      EXPECT_EQ(tape->checkpoint("200").error().describe(), status.error().describe());
    }
    EXPECT_EQ(go_on(large, corpus, 1000), expected_text(corpus)) << limit;
    std::filesystem::remove_all(state());
  }
}

}  // namespace
}  // namespace countermark::scan
