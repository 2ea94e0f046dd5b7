// SPDX-License-Identifier: Apache-2.0
// One tape for many threads: writers, spills and the end at once.
#include <gtest/gtest.h>

#include "tests/scan/random_corpus.h"

namespace countermark::scan {
namespace {

TEST_F(Scan, OneTapeForManyThreads) {
  const auto corpus = random_corpus(31, 150);
  std::string first;
  for (const std::uint64_t limit : {std::uint64_t{60'000}, std::uint64_t{1} << 30}) {
    Result<CorpusTape> tape = CorpusTape::open({.settings = test_settings(),
                                                .max_memory = limit,
                                                .threads = 4,
                                                .folder = folder_.string()});
    ASSERT_TRUE(tape);
    put_all(*tape, shuffled(corpus, limit), 4);
    const std::string text = text_of(tape->finish(), {});
    if (first.empty()) first = text;
    EXPECT_EQ(text, first);
  }
}

}  // namespace
}  // namespace countermark::scan
