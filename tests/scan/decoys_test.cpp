// SPDX-License-Identifier: Apache-2.0
// The sample that decoys read: each of its tuples once, whatever the lengths of its documents.
#include "verifier/scan/decoys.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

#include "watermark/prf/hash.h"

namespace countermark::scan {
namespace {

EpochKey key() {
  return EpochKey::create(Secret<32>(sha256("decoys")), "model", "epoch")
      ->decoy(as_bytes("decoys"), 0);
}

TEST(TallySample, CountsEachDistinctTupleOnce) {
  const auto test = make_test(key(), Profile::defaults(), {}, {});
  ASSERT_TRUE(test);
  std::mt19937_64 random(3);
  std::vector<TokenId> text(3'000);
  for (TokenId& token : text) token = static_cast<TokenId>(random() % 1'000);

  // The whole first, then ever shorter parts of it: nothing new but where a part begins.
  Sample sample(1'000'000);
  std::set<std::uint64_t> distinct;
  std::uint64_t sum = 0;
  const auto scorer = (*test)->scorer();
  std::vector<Sheet> sheets;
  for (const std::size_t tokens : {3'000U, 800U, 100U, 20U}) {
    const detect::TokenText part = {
        {{text.end() - static_cast<std::ptrdiff_t>(tokens), text.end()}, true}};
    sample.add(10'000 - tokens, {}, {{part}, tokens});
    ASSERT_TRUE(scorer->score(part, sheets));
    for (std::size_t i = 0; i < sheets[0].fingerprints.size(); ++i)
      if (distinct.insert(sheets[0].fingerprints[i]).second) sum += sheets[0].scores[0][i];
  }
  const LaneTallies tallies = tally_sample(**test, sample, 0);
  EXPECT_EQ(tallies[0][0].n, distinct.size());
  EXPECT_EQ(tallies[0][0].sum, sum);
}

}  // namespace
}  // namespace countermark::scan
