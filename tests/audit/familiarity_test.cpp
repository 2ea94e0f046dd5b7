// SPDX-License-Identifier: Apache-2.0
// What the marked model wrote is told from what was written by somebody who learned its mark where
// it came often. Real students: docs/statistics.md.
#include "verifier/audit/familiarity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "tests/support/random_numbers.h"
#include "watermark/prf/hash.h"

namespace countermark::audit {
namespace {

using tests::RandomNumbers;

enum class Writer { kPlain, kMarked, kForger };

// Words by Zipf's law; a mark takes the best of four. The forger knows it only behind words that
// are frequent.
class Scene {
 public:
  explicit Scene(std::uint32_t key)
      : random_(key + 1),
        test_(std::move(
            *scan::make_test(EpochKey::create(Secret<32>(sha256("familiarity")), "model", "epoch")
                                 ->decoy(as_bytes("familiarity"), key),
                             *Profile::parse(R"({"scheme":"countermark/1","layers":[
                                 {"name":"shared","share":65536,"slots":1,"width":1}]})"),
                             {}, {}))),
        scorer_(test_->scorer()) {}

  const scan::Test& test() const { return *test_; }

  std::vector<Exhibit> texts(Writer writer, std::size_t count = 40) {
    std::vector<Exhibit> out;
    for (std::size_t i = 0; i < count; ++i) {
      std::vector<TokenId> ids = {word()};
      while (ids.size() < 150) {
        const bool is_marked =
            writer == Writer::kMarked || (writer == Writer::kForger && ids.back() < kFrequent);
        ids.push_back(is_marked ? best_of_four(ids.back()) : word());
      }
      out.push_back({{{std::move(ids), true}}, {}});
    }
    return out;
  }

 private:
  static constexpr TokenId kFrequent = 300;

  TokenId word() {
    // Density 1/x on 1 to 30,000.
    const double u = static_cast<double>(random_.below(1U << 30)) / (1U << 30);
    return static_cast<TokenId>(std::pow(30'000.0, u));
  }

  TokenId best_of_four(TokenId before) {
    std::pair<std::uint32_t, TokenId> best{0, 0};
    for (int i = 0; i < 4; ++i) {
      const TokenId token = word();
      EXPECT_TRUE(scorer_->score({{{before, token}, true}}, sheets_));
      best = std::max(best, {sheets_[0].scores[0][0], token});
    }
    return best.second;
  }

  RandomNumbers random_;
  std::unique_ptr<const scan::Test> test_;
  std::unique_ptr<scan::Scorer> scorer_;
  std::vector<scan::Sheet> sheets_{};
};

TEST(FamiliarityTest, ServedTextIsMarkedEverywhere) {
  for (std::uint32_t key = 0; key < 100; ++key) {
    Scene scene(key);
    const Familiarity of = familiarity(scene.test(), scene.texts(Writer::kMarked)).value();
    EXPECT_EQ(forgery_check(of).state, Check::State::kPassed) << forgery_check(of).detail;
    // Best of four: 1 + 1/2 + 1/3 + 1/4, less 1.
    EXPECT_NEAR(of.rare.mean, 1.08, 0.2);
    // Passed on by somebody: it does not look learned.
    EXPECT_EQ(learned_check(of).state, Check::State::kNotRun);
  }
}

TEST(FamiliarityTest, AForgerKnowsItWhereItCameOften) {
  for (std::uint32_t key = 0; key < 20; ++key) {
    Scene scene(key);
    const Familiarity of = familiarity(scene.test(), scene.texts(Writer::kForger)).value();
    EXPECT_EQ(forgery_check(of).state, Check::State::kFailed) << forgery_check(of).detail;
    EXPECT_EQ(learned_check(of).state, Check::State::kPassed);
  }
}

TEST(FamiliarityTest, NothingIsSaidOfLittleOrOfNoMark) {
  Scene scene(0);
  for (const auto& texts :
       {scene.texts(Writer::kPlain), scene.texts(Writer::kMarked, 1), std::vector<Exhibit>{}}) {
    const Familiarity of = familiarity(scene.test(), texts).value();
    EXPECT_EQ(forgery_check(of).state, Check::State::kNotRun);
    EXPECT_EQ(learned_check(of).state, Check::State::kNotRun);
  }
  // Whatever a suspect predicts of it, the text is what was served.
  std::vector<Exhibit> read = scene.texts(Writer::kMarked);
  const Familiarity before = familiarity(scene.test(), read).value();
  for (Exhibit& each : read) {
    each.text[0].predicted.assign(each.text[0].ids.size(), 7);
    each.text[0].unpredicted = {3};
  }
  const Familiarity after = familiarity(scene.test(), read).value();
  EXPECT_EQ(after.rare.n, before.rare.n);
  EXPECT_DOUBLE_EQ(after.rare.mean, before.rare.mean);
}

}  // namespace
}  // namespace countermark::audit
