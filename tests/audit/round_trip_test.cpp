// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/round_trip.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/random_numbers.h"
#include "verifier/io/file.h"

namespace countermark::audit {
namespace {

constexpr const char* kTokenizer = COUNTERMARK_SOURCE_DIR "/corpora/model/tokenizer.json";

class RoundTripTest : public testing::Test {
 protected:
  static std::unique_ptr<const text::Tokenizer> load() {
    return text::load_tokenizer(kTokenizer).value();
  }

  const std::unique_ptr<const text::Tokenizer> tokenizer_ = load();
  const std::string text_ =
      "The server reads its files in the order in which they were named. Every name that stands "
      "twice counts once, na\u00efve or not \u2014 whatever was said before.";
};

TEST_F(RoundTripTest, OfItsOwnIdsAllComeBack) {
  const auto ids = tokenizer_->encode(text_).value();
  RoundTrip whole(tokenizer_.get());
  whole.add(ids);
  EXPECT_EQ(whole.tokens(), ids.size());
  EXPECT_EQ(whole.same(), ids.size());
  EXPECT_EQ(whole.check().state, Check::State::kPassed);
  // A character that is cut in two costs its tokens alone, wherever the text ends.
  for (std::size_t size = 1; size < ids.size(); ++size) {
    RoundTrip part(tokenizer_.get());
    part.add(TokenSpan(ids).first(size));
    EXPECT_GE(part.same() + 4, size) << size;
  }
}

TEST_F(RoundTripTest, BytesThatAreNoTextCostTheirNeighboursAlone) {
  const auto ids = tokenizer_->encode(text_).value();
  const auto dash = tokenizer_->encode("\u2014").value();
  std::vector<TokenId> broken = ids;
  broken.insert(broken.begin() + static_cast<std::ptrdiff_t>(ids.size() / 2), dash.front());
  RoundTrip trip(tokenizer_.get());
  trip.add(broken);
  EXPECT_LT(trip.same(), broken.size());
  EXPECT_GE(trip.same() + 4, broken.size());
}

TEST_F(RoundTripTest, AnotherCutIsSeenWhereItIs) {
  const auto ids = tokenizer_->encode(text_).value();
  // One word letter by letter.
  std::vector<TokenId> other = tokenizer_->encode("Every name that").value();
  const std::size_t first = other.size();
  for (const char letter : std::string("standstwice"))
    other.push_back(tokenizer_->encode(std::string(1, letter)).value().front());
  const auto rest = tokenizer_->encode(" counts once").value();
  other.insert(other.end(), rest.begin(), rest.end());
  RoundTrip trip(tokenizer_.get());
  trip.add(other);
  EXPECT_EQ(trip.tokens(), other.size());
  EXPECT_GE(trip.same(), first + rest.size());
  EXPECT_LE(trip.same(), first + rest.size() + 2);
}

TEST_F(RoundTripTest, OtherTokenizersIdsDoNot) {
  const auto ids = tokenizer_->encode(text_).value();
  RoundTrip outside(tokenizer_.get());
  std::vector<TokenId> large = ids;
  large.push_back(1'000'000);
  outside.add(large);
  EXPECT_EQ(outside.same(), 0U);
  EXPECT_EQ(outside.check().state, Check::State::kFailed);

  tests::RandomNumbers random(3);
  RoundTrip drawn(tokenizer_.get());
  for (int i = 0; i < 50; ++i) {
    std::vector<TokenId> any(60);
    for (TokenId& id : any) id = static_cast<TokenId>(random.below(4096));
    drawn.add(any);
  }
  EXPECT_EQ(drawn.check().state, Check::State::kFailed);
}

TEST_F(RoundTripTest, WithoutATokenizerNobodyKnows) {
  RoundTrip trip(nullptr);
  trip.add(std::vector<TokenId>{1, 2});
  EXPECT_EQ(trip.check().state, Check::State::kNotRun);
  EXPECT_EQ(RoundTrip(tokenizer_.get()).check().state, Check::State::kNotRun);
  RoundTrip little(tokenizer_.get(), 1);
  const auto ids = tokenizer_->encode(text_).value();
  little.add(ids);
  little.add(ids);
  EXPECT_EQ(little.tokens(), ids.size());
}

// Real tokenizers, each reading the others' ids of the same paragraphs.
TEST(RoundTripOfTokenizers, IdsOfAnotherOneAreSeen) {
  const char* const folder = std::getenv("COUNTERMARK_TEST_DATA");
  const std::filesystem::path files =
      std::filesystem::path(folder != nullptr ? folder : COUNTERMARK_SOURCE_DIR "/../shared/data");
  if (!std::filesystem::exists(files / "tokenizers")) GTEST_SKIP() << "no tokenizers in " << files;
  std::map<std::string, std::unique_ptr<const text::Tokenizer>> tokenizers;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(files / "tokenizers"))
    if (auto read = text::load_tokenizer(entry.path().string()))
      tokenizers.emplace(entry.path().filename().string(), *std::move(read));
  ASSERT_GT(tokenizers.size(), 5U);
  const std::string all = io::read_file(COUNTERMARK_SOURCE_DIR "/docs/mark.md").value();
  std::vector<std::string> texts;
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t end = std::min(all.find("\n\n", at), all.size());
    if (end - at > 200) texts.push_back(all.substr(at, end - at));
    at = end + 2;
  }
  double most = 0;
  for (const auto& [name, of] : tokenizers)
    for (const auto& [other, by] : tokenizers) {
      RoundTrip trip(by.get());
      bool is_same = true;
      for (const std::string& each : texts) {
        const auto ids = of->encode(each).value();
        trip.add(ids);
        is_same = is_same && by->encode(each).value() == ids;
      }
      const double share = static_cast<double>(trip.same()) / static_cast<double>(trip.tokens());
      if (is_same) {
        EXPECT_NE(trip.check().state, Check::State::kFailed) << name;
      } else if (trip.check().state != Check::State::kNotRun) {
        EXPECT_LT(share, kRoundTrip) << name << " read by " << other;
        most = std::max(most, share);
      }
    }
  std::printf("another tokenizer's ids: %.1f %% come back at most\n", 100 * most);
}

}  // namespace
}  // namespace countermark::audit
