// SPDX-License-Identifier: Apache-2.0
// Works that documents may quote: nothing of them is scored, under the key and under decoys.
#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <vector>

#include "verifier/scan/test.h"
#include "watermark/prf/hash.h"

namespace countermark::scan {
namespace {

std::vector<TokenId> run_of(TokenId first, std::size_t size) {
  std::vector<TokenId> out(size);
  std::iota(out.begin(), out.end(), first);
  return out;
}

// Tuples of each text that a test scores, one text after the other.
std::vector<std::size_t> scored(const Test& test, const std::vector<std::vector<TokenId>>& texts) {
  const auto scorer = test.scorer();
  std::vector<Sheet> sheets;
  std::vector<std::size_t> out;
  for (const std::vector<TokenId>& text : texts) {
    EXPECT_TRUE(scorer->score({{text, true}}, sheets));
    out.push_back(sheets[0].fingerprints.size());
  }
  return out;
}

// `padded`: tuples at the beginning of a text whose contexts reach before it, which is no part of
// a work.
void expect_left_out(const Test& without, const Test& with, const std::vector<TokenId>& work,
                     const std::vector<TokenId>& other, std::size_t padded) {
  const std::vector<std::size_t> all = scored(without, {work, other, work});
  EXPECT_GT(all[0], 50U);
  EXPECT_GT(all[1], 50U);
  EXPECT_EQ(scored(with, {work, other, work}), (std::vector<std::size_t>{padded, all[1], padded}));
  std::array<std::uint8_t, 32> seed{};
  const std::vector<std::size_t> decoys = scored(*with.decoy(seed, 1), {work, other, work});
  EXPECT_EQ(decoys[0], padded);
  EXPECT_GT(decoys[1], 50U);
  EXPECT_EQ(decoys[2], padded);
}

TEST(Shown, IsScoredNowhere) {
  const std::vector<TokenId> work = run_of(100, 300);
  const std::vector<TokenId> other = run_of(1'000, 300);
  const auto shown = std::make_shared<detect::TokenText>(detect::TokenText{{work, false}});

  const EpochKey key =
      EpochKey::create(Secret<32>(sha256("shown")), "model", "epoch")->decoy(as_bytes("shown"), 0);
  const auto native = make_test(key, Profile::defaults(), {}, {});
  const auto native_shown = make_test(key, Profile::defaults(), {}, {}, shown);
  ASSERT_TRUE(native && native_shown);
  expect_left_out(**native, **native_shown, work, other, 0);

  const auto profile = ForeignProfile::parse(R"({"scheme":"vllm-gumbel/philox4x32-10-v1"})");
  ASSERT_TRUE(profile) << profile.error().describe();
  const auto foreign_key = ForeignKey::parse("int:7\n");
  ASSERT_TRUE(foreign_key);
  const auto foreign = make_test(*foreign_key, *profile, {});
  const auto foreign_shown = make_test(*foreign_key, *profile, {}, shown);
  ASSERT_TRUE(foreign && foreign_shown);
  expect_left_out(**foreign, **foreign_shown, work, other, 4);
}

}  // namespace
}  // namespace countermark::scan
