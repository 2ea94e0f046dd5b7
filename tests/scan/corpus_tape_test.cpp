// SPDX-License-Identifier: Apache-2.0
// Threads, memory and spills change nothing of what a corpus yields.
#include "verifier/scan/corpus_tape.h"

#include <gtest/gtest.h>

#include "tests/scan/random_corpus.h"
#include "verifier/io/file.h"
#include "verifier/scan/documents.h"

namespace countermark::scan {
namespace {

constexpr std::uint64_t kLimits[] = {1, 30'000, 200'000, std::uint64_t{1} << 30};

CorpusTape open_tape(CorpusTapeOptions options) {
  Result<CorpusTape> tape = CorpusTape::open(std::move(options));
  if (!tape) ADD_FAILURE() << tape.error().describe();
  return *std::move(tape);
}

TEST_F(Scan, YieldsWhatAMapWould) {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    const auto corpus = random_corpus(seed, 60);
    CorpusTape tape = open_tape({.settings = test_settings()});
    put_all(tape, shuffled(corpus, seed), 1);
    EXPECT_EQ(finish(tape), expected_text(corpus));
  }
}

TEST_F(Scan, MemoryAndThreadsChangeNothing) {
  const auto corpus = random_corpus(4, 120);
  const std::string expected = expected_text(corpus);
  for (const std::uint64_t limit : kLimits)
    for (const unsigned threads : {1U, 2U, 4U}) {
      CorpusTape tape = open_tape({.settings = test_settings(),
                                   .max_memory = limit,
                                   .threads = 1,
                                   .folder = folder_.string()});
      put_all(tape, shuffled(corpus, limit + threads), threads);
      const CorpusTapeCounters counters = tape.counters();
      EXPECT_EQ(counters.documents, corpus.size());
      EXPECT_EQ(counters.spills > 2, limit < 1'000'000) << limit << ": " << counters.spills;
      EXPECT_EQ(finish(tape), expected) << limit << ", " << threads << " threads";
    }
  EXPECT_TRUE(std::filesystem::is_empty(folder_)) << "a scratch folder goes with its tape";
}

TEST_F(Scan, ManyThreadsFinishWithTheSameSums) {
  const auto corpus = random_corpus(5, 400);
  CorpusTape one = open_tape({.settings = test_settings()});
  CorpusTape four = open_tape({.settings = test_settings(), .threads = 4});
  put_all(one, shuffled(corpus, 1), 1);
  put_all(four, shuffled(corpus, 2), 4);
  std::vector<std::vector<Tally>> by_worker(4, std::vector<Tally>(6));
  const Result<Corpus> a = one.finish();
  const Result<Corpus> b =
      four.finish([&](unsigned worker, std::size_t lane, std::span<const std::uint32_t> scores) {
        for (const std::uint32_t score : scores) by_worker[worker][lane] += {1, score};
      });
  EXPECT_EQ(text_of(a, {}), text_of(b, {}));
  std::vector<Tally> sums(6);
  for (const auto& worker : by_worker)
    for (std::size_t lane = 0; lane < 6; ++lane) sums[lane] += worker[lane];
  EXPECT_EQ(sums, b->totals());
}

TEST_F(Scan, ACorpusCanBeReadTwice) {
  const auto corpus = random_corpus(6, 50);
  CorpusTape tape =
      open_tape({.settings = test_settings(), .max_memory = 10'000, .folder = folder_.string()});
  put_all(tape, shuffled(corpus, 1), 1);
  const Result<Corpus> done = tape.finish();
  EXPECT_EQ(text_of(done, {}), text_of(done, {}));
}

TEST_F(Scan, NothingYieldsNothing) {
  CorpusTape tape = open_tape({.settings = test_settings()});
  EXPECT_EQ(finish(tape), expected_text({}));
}

TEST_F(Scan, StaysWithinItsMemory) {
  constexpr std::uint64_t kLimit = 12 << 20;
  CorpusTape tape =
      open_tape({.settings = {"", {1}, {}}, .max_memory = kLimit, .folder = folder_.string()});
  tests::RandomNumbers random(7);
  {
    CorpusTape::Writer writer = tape.writer();
    std::vector<std::uint64_t> fingerprints(1000);
    const std::vector<std::uint32_t> scores(1000, 1);
    for (std::uint64_t i = 0; i < 2000; ++i) {
      for (std::uint64_t& fingerprint : fingerprints) fingerprint = random.next();
      const auto number = writer.add({.place = {0, i}, .own = {{1000, 1000}}});
      ASSERT_TRUE(number);
      ASSERT_TRUE(writer.append(0, *number, fingerprints, scores));
    }
  }
  const Result<Corpus> corpus = tape.finish();
  ASSERT_TRUE(corpus);
  EXPECT_EQ(corpus->totals()[0], (Tally{2'000'000, 2'000'000}));
  const CorpusTapeCounters counters = tape.counters();
  EXPECT_EQ(counters.records, 2'000'000);
  EXPECT_GT(counters.spills, 2);
  EXPECT_LE(counters.peak_memory, kLimit);
  EXPECT_GE(counters.peak_memory, kLimit / 2);
}

TEST_F(Scan, AFullMemoryWithoutAFolderIsAnError) {
  const auto corpus = random_corpus(8, 200);
  CorpusTape tape = open_tape({.settings = test_settings(), .max_memory = 10'000});
  CorpusTape::Writer writer = tape.writer();
  Status status;
  for (std::size_t i = 0; status && i < corpus.size(); ++i) {
    const auto number = writer.add(corpus[i].row);
    if (!number) {
      status = fail(number.error());
    } else {
      status = writer.append(1, *number, corpus[i].fingerprints[1], corpus[i].scores[1]);
    }
  }
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kIo);
  EXPECT_FALSE(writer.add(corpus[0].row)) << "what was lost once stays lost";
  EXPECT_FALSE(tape.finish());
}

TEST_F(Scan, RefusesRowsThatDoNotFit) {
  CorpusTape tape = open_tape({.settings = test_settings()});
  CorpusTape::Writer writer = tape.writer();
  const auto refused = [&](const DocumentRow& row) {
    const auto number = writer.add(row);
    return number                                               ? ""
           : number.error().code == ErrorCode::kInvalidArgument ? number.error().field
                                                                : "?";
  };
  const std::vector<Tally> own(6);
  EXPECT_EQ(refused({.own = own}), "");
  EXPECT_EQ(refused({.own = {{1, 1}}}), "own");
  EXPECT_EQ(refused({.id = std::string(kMostIdBytes + 1, 'x'), .own = own}), "id");
  EXPECT_EQ(refused({.own = own, .spans = {{.lane = 6}}}), "spans");
  EXPECT_EQ(refused({.own = own, .spans = {{.first = 2, .last = 1}}}), "spans");
}

TEST_F(Scan, RefusesSettingsWithoutLanes) {
  const auto code = [](Settings settings) {
    const auto tape = CorpusTape::open({.settings = std::move(settings)});
    return tape ? ErrorCode{} : tape.error().code;
  };
  EXPECT_EQ(code({"", {}, {}}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({"", {0}, {}}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({"", {kMostLanes + 1}, {}}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({"", {1}, {3, 3}}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({"", {1}, {2, 3}}), ErrorCode{});
}

TEST(Settings, ExpectedCollisions) {
  EXPECT_EQ(expected_collisions(0), 0);
  EXPECT_EQ(expected_collisions(std::uint64_t{1} << 32), .5);
  EXPECT_NEAR(expected_collisions(1'000'000'000), .0271, .0001);
}

}  // namespace
}  // namespace countermark::scan
