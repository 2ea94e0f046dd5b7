// SPDX-License-Identifier: Apache-2.0
// Shards, merged, say what the whole says; fragments that do not belong are refused by name.
#include "verifier/scan/merge.h"

#include <gtest/gtest.h>

#include "tests/scan/random_corpus.h"
#include "verifier/io/file.h"

namespace countermark::scan {
namespace {

class Merge : public Scan {
 protected:
  // Writes the fragment of one shard.
  std::string write_shard(const std::vector<const RandomDocument*>& documents, Shard shard,
                          std::uint64_t limit = std::uint64_t{1} << 30, unsigned threads = 1,
                          const std::string& name = "shard-") {
    Result<CorpusTape> tape = CorpusTape::open({.settings = test_settings(shard),
                                                .max_memory = limit,
                                                .threads = threads,
                                                .folder = folder_.string()});
    put_all(*tape, documents, threads);
    const std::string file =
        path(name + std::to_string(shard.index) + "-" + std::to_string(shard.count));
    const Status status = tape->finish_shard(file);
    EXPECT_TRUE(status) << status.error().describe();
    return file;
  }

  static std::string merged(const std::vector<std::string>& paths) {
    Scores scores;
    const WinnerScores winners = into(scores);
    const Result<Corpus> corpus = merge(paths, winners);
    return text_of(corpus, scores);
  }

  static ErrorCode refusal(const std::vector<std::string>& paths, std::string& said) {
    const Result<Corpus> corpus = merge(paths);
    if (corpus) return ErrorCode{};
    said = corpus.error().describe();
    return corpus.error().code;
  }
};

TEST_F(Merge, SaysWhatTheWholeSays) {
  const auto corpus = random_corpus(11, 50, 60);
  const std::string expected = expected_text(corpus);
  tests::RandomNumbers random(12);
  for (const std::uint32_t count : {1U, 2U, 3U, 7U})
    for (const std::uint64_t limit :
         {std::uint64_t{1}, std::uint64_t{20'000}, std::uint64_t{1} << 30})
      for (const unsigned threads : {1U, 4U}) {
        std::vector<std::vector<const RandomDocument*>> shards(count);
        for (const RandomDocument& document : corpus)
          shards[random.below(count)].push_back(&document);
        std::vector<std::string> paths;
        for (std::uint32_t i = 0; i < count; ++i)
          paths.insert(paths.begin() + static_cast<std::ptrdiff_t>(random.below(i + 1)),
                       write_shard(shards[i], {i, count}, limit, threads));
        EXPECT_EQ(merged(paths), expected) << count << " shards, " << limit << ", " << threads;
        for (const std::string& file : paths) std::filesystem::remove(file);
      }
}

TEST_F(Merge, FragmentsDoNotDependOnThreadsAndMemory) {
  const auto corpus = random_corpus(13, 50, 60);
  const std::string whole = io::read_file(write_shard(shuffled(corpus, 1), {0, 2})).value();
  for (const std::uint64_t limit : {1U, 20'000U, 1'000'000'000U})
    for (const unsigned threads : {1U, 3U}) {
      const std::string other =
          write_shard(shuffled(corpus, limit), {0, 2}, limit, threads, "other");
      EXPECT_TRUE(io::read_file(other).value() == whole) << limit << ", " << threads;
      std::filesystem::remove(other);
    }
}

TEST_F(Merge, RefusesShardsByName) {
  const auto corpus = random_corpus(14, 9);
  const auto all = shuffled(corpus, 1);
  const std::string first = write_shard({all[0], all[1]}, {0, 2});
  const std::string second = write_shard({all[2]}, {1, 2});
  const std::string third = write_shard({all[2]}, {2, 3});
  std::string said;
  EXPECT_EQ(refusal({first, second}, said), ErrorCode{});
  EXPECT_EQ(refusal({second}, said), ErrorCode::kMismatch);
  EXPECT_NE(said.find("shard 1 of 2 is missing"), std::string::npos) << said;
  EXPECT_EQ(refusal({first, second, first}, said), ErrorCode::kMismatch);
  EXPECT_EQ(said, first + ": shard 1 of 2 is also " + first);
  EXPECT_EQ(refusal({first, third}, said), ErrorCode::kMismatch);
  EXPECT_TRUE(said.starts_with(third)) << said;
  EXPECT_EQ(refusal({}, said), ErrorCode::kInvalidArgument);
}

TEST_F(Merge, RefusesOtherSettings) {
  const std::string first = write_shard({}, {0, 2});
  Settings others = test_settings({1, 2});
  others.json += " ";
  Result<CorpusTape> tape = CorpusTape::open({.settings = others});
  ASSERT_TRUE(tape->finish_shard(path("others")));
  std::string said;
  EXPECT_EQ(refusal({first, path("others")}, said), ErrorCode::kMismatch);
  EXPECT_TRUE(said.starts_with(path("others"))) << said;
  EXPECT_EQ(fragment_settings(first).value(), test_settings());
}

TEST_F(Merge, RefusesADocumentThatTwoShardsHave) {
  const auto corpus = random_corpus(15, 9);
  const auto all = shuffled(corpus, 1);
  const std::string first = write_shard({all[0], all[1]}, {0, 2});
  const std::string second = write_shard({all[1]}, {1, 2});
  EXPECT_TRUE(merged({first, second}).find("comes twice") != std::string::npos);
}

TEST_F(Merge, NeverReplacesAFragment) {
  const std::string file = write_shard({}, {0, 1});
  Result<CorpusTape> tape = CorpusTape::open({.settings = test_settings()});
  const Status again = tape->finish_shard(file);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kExists);
}

TEST_F(Merge, FindsEveryDamageAndNamesTheFile) {
  const auto corpus = random_corpus(16, 3, 4);
  const std::string file = write_shard(shuffled(corpus, 1), {0, 1});
  const std::string bytes = io::read_file(file).value();
  const std::string damaged = path("damaged");
  std::string said;
  const auto expect_refused = [&](std::string_view with, const std::string& what) {
    write(damaged, with);
    const ErrorCode code = refusal({damaged}, said);
    ASSERT_TRUE(code == ErrorCode::kInvalidInput || code == ErrorCode::kUnsupported) << what;
    ASSERT_TRUE(said.starts_with(damaged + " (byte ")) << said;
  };
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ 1 << at % 8);
    expect_refused(flipped, "flipped at " + std::to_string(at));
  }
  for (std::size_t size = 0; size < bytes.size(); size += 13)
    expect_refused(std::string_view(bytes).substr(0, size), "cut at " + std::to_string(size));
  expect_refused(bytes + '\0', "longer");
}

}  // namespace
}  // namespace countermark::scan
