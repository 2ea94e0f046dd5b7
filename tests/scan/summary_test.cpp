// SPDX-License-Identifier: Apache-2.0
// What a scan remembers beside its tuples: the sample's rule, and bytes that come back as they
// were.
#include "verifier/scan/summary.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace countermark::scan {
namespace {

struct Document {
  std::uint64_t hash;
  Place place;
  std::uint64_t tokens;
};

std::vector<Document> documents(std::size_t count) {
  std::mt19937_64 random(7);
  std::vector<Document> out;
  for (std::size_t i = 0; i < count; ++i)
    out.push_back({random() % 50, {static_cast<std::uint32_t>(i % 3), i}, 1 + random() % 40});
  return out;
}

void add(Sample& sample, const Document& document) {
  detect::TokenText text{{std::vector<TokenId>(document.tokens, 5), true}, {{9, 9}, false}};
  sample.add(document.hash, document.place, {{text}, document.tokens});
}

TEST(Sample, IsTheSameInAnyOrderAndFromAnyParts) {
  std::vector<Document> all = documents(200);
  Sample whole(300);
  for (const Document& document : all) add(whole, document);
  // Enough, and not without its last one.
  EXPECT_GE(whole.tokens(), 300U);
  EXPECT_LT(whole.tokens() - std::prev(whole.entries().end())->second.tokens, 300U);
  std::mt19937_64 random(8);
  for (int round = 0; round < 20; ++round) {
    std::shuffle(all.begin(), all.end(), random);
    std::vector<Sample> parts(1 + random() % 5, Sample(300));
    for (const Document& document : all) add(parts[random() % parts.size()], document);
    Sample together(300);
    for (const Sample& part : parts) together.add(part);
    EXPECT_TRUE(together == whole);
  }
}

TEST(Sample, OfNothingTakesNothing) {
  Sample none(0);
  add(none, {1, {}, 10});
  EXPECT_TRUE(none.entries().empty());
}

Summary summary() {
  Summary out = Summary::none(2, 300);
  out.documents = 12;
  out.bad_records = 3;
  out.tokens = 1ULL << 40;
  out.routed = {5, 6};
  out.tuples = {7, 8};
  out.windows = {9, 1ULL << 50};
  out.dropped = {{1, 2, 3, 4}, {5, 6, 7, 8}};
  for (const Document& document : documents(60)) add(out.sample, document);
  return out;
}

TEST(Summary, ComesBackFromItsBytes) {
  const auto again = Summary::from_bytes(summary().to_bytes());
  ASSERT_TRUE(again) << again.error().describe();
  EXPECT_TRUE(*again == summary());
}

TEST(Summary, AddsUp) {
  Summary twice = summary();
  twice += summary();
  EXPECT_EQ(twice.documents, 24U);
  EXPECT_EQ(twice.windows[1], 1ULL << 51);
  EXPECT_EQ(twice.dropped[1].prompt_context, 14U);
  // Documents are known by their places.
  EXPECT_TRUE(twice.sample == summary().sample);
}

TEST(Summary, DamagedBytesAreRefusedOrRead) {
  const std::string bytes = summary().to_bytes();
  std::mt19937_64 random(9);
  for (std::size_t size = 0; size < bytes.size(); size += 1 + size / 16)
    EXPECT_FALSE(Summary::from_bytes(std::string_view(bytes).substr(0, size)));
  for (int i = 0; i < 5'000; ++i) {
    std::string damaged = bytes;
    damaged[random() % damaged.size()] = static_cast<char>(random());
    static_cast<void>(Summary::from_bytes(damaged));
  }
}

}  // namespace
}  // namespace countermark::scan
