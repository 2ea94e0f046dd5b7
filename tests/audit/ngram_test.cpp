// SPDX-License-Identifier: Apache-2.0
// Audits in a small world of n-gram models: every scheme at every width, from no marked text in the
// student's training to half of it, by every kind of evidence; and every rule of an audit, with it
// and without.
//
// What is asserted is the order of things, and that nothing is found where nothing is. Sizes of
// effects are this world's (docs/studies.md). A chance of 1e-4 a null, some hundred of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/support/ngram_audit.h"
#include "verifier/stats/limits.h"
#include "verifier/stats/published.h"

namespace countermark::tests {
namespace {

constexpr double kFound = -4;  // log10 p

constexpr std::size_t kDocument = 200;   // tokens
constexpr std::size_t kDocuments = 600;  // that a student learns from
constexpr std::size_t kRead = 50;        // documents that it reads, or answers
constexpr std::array kPercents = {0U, 1U, 5U, 10U, 50U};

const World* world() {
  static const std::optional<World> kWorld = World::load();
  return kWorld ? &*kWorld : nullptr;
}

class Ngram : public testing::Test {
 protected:
  void SetUp() override {
    if (world() == nullptr) GTEST_SKIP() << "there are no licences in /usr/share/common-licenses";
  }

  std::vector<Text> plain(SplitMix64& random, std::size_t count) {
    return documents(*world(), random, count * kDocument, kDocument,
                     [&](TokenSpan prompt, std::size_t n) {
                       return Author(*world()->teacher).plain(random, prompt, n);
                     });
  }
  // Answers that the teacher gave.
  std::vector<Answer> served(const Marker& marker, SplitMix64& random, std::size_t count) {
    Author teacher(*world()->teacher);
    std::vector<Answer> out;
    for (std::size_t i = 0; i < count; ++i) {
      const Text prompt = world()->prompt(random);
      out.push_back({prompt, marker.write(teacher, random, prompt, kDocument)});
    }
    return out;
  }
  static std::vector<Text> said(std::span<const Answer> answers) {
    std::vector<Text> out;
    for (const Answer& answer : answers) out.push_back(answer.said);
    return out;
  }
  // What a student says to the same prompts.
  static std::vector<Answer> asked(std::span<const Answer> prompts, const Ngrams& student,
                                   SplitMix64& random) {
    Author author(student);
    std::vector<Answer> out;
    for (const Answer& answer : prompts)
      out.push_back({answer.prompt, author.plain(random, answer.prompt, kDocument)});
    return out;
  }
  // Of some texts, and of others.
  static Ngrams student(std::vector<Text> learned, std::span<const Text> others) {
    learned.insert(learned.end(), others.begin(), others.end());
    return Ngrams(learned, world()->vocab_size);
  }
};

// log10 p of one student, by each kind of evidence.
struct Found {
  double supervised_open;
  double marked_open;
  double open;
  double supervised_closed;
  double closed;

  std::array<double, 5> all() const {
    return {supervised_open, marked_open, open, supervised_closed, closed};
  }
};

class Grid : public Ngram, public testing::WithParamInterface<Scheme> {
 protected:
  void SetUp() override {
    Ngram::SetUp();
    if (IsSkipped()) return;
    SplitMix64 random(7);
    const Marker marker(GetParam(), random);
    const std::vector<Text> others = plain(random, kDocuments);
    const std::vector<Answer> ours = served(marker, random, kDocuments / 2);
    const std::vector<Text> read = plain(random, kRead);
    const std::vector<Text> fresh = said(served(marker, random, kRead));
    const std::vector<Answer> prompts = served(marker, random, kRead);
    for (const unsigned percent : kPercents) {
      const std::size_t share = kDocuments * percent / 100;
      const Ngrams learned =
          student(said(std::span(ours).first(share)), std::span(others).subspan(share));
      const auto log = std::span(ours).first(percent == 0 ? kRead : std::min(share, kRead));
      Auditor auditor(0);
      found_[percent] = {
          log10_p(auditor.supervised_open(marker, log, reader(learned))),
          log10_p(auditor.marked_open(marker, fresh, reader(learned))),
          log10_p(auditor.open(marker, read, reader(learned))),
          log10_p(auditor.supervised_closed(marker, asked(log, learned, random), log)),
          log10_p(auditor.closed(marker, asked(prompts, learned, random))),
      };
      if (percent != 50) continue;
      line_up_ = Auditor(60).closed(marker, asked(prompts, learned, random)).result.line_up;
      if (!is_foreign()) mass_ = log10_p(auditor.mass(marker, read, reader(learned)));
    }
  }

  bool is_green() const { return GetParam().name.starts_with("green"); }
  bool is_foreign() const { return !GetParam().name.starts_with("native"); }

  std::map<unsigned, Found> found_{};
  std::optional<detect::LineUp> line_up_{};
  std::optional<double> mass_{};  // where the law has one
};

TEST_P(Grid, FindsWhatWasLearnedAndNothingElse) {
  for (const double none : found_.at(0).all()) EXPECT_GT(none, kFound);
  for (const double half : found_.at(50).all()) EXPECT_LT(half, kFound);
  EXPECT_LT(mass_.value_or(2 * kFound), kFound);
  for (std::size_t kind = 0; kind < 5; ++kind)
    EXPECT_LT(found_.at(50).all()[kind], found_.at(10).all()[kind]) << kind;

  // What was served shows most; then marked text that the student has not seen, except under green
  // words, whose source adds up the tokens of a context, so that many contexts are one and count
  // once; and least what has no mark.
  const Found& tenth = found_.at(10);
  EXPECT_LT(tenth.supervised_open, std::min(tenth.open, tenth.closed));
  EXPECT_LT(tenth.supervised_open, tenth.supervised_closed);
  if (!is_green()) {
    EXPECT_LT(tenth.marked_open, std::min(tenth.open, tenth.closed));
  }

  ASSERT_TRUE(line_up_);
  EXPECT_EQ(line_up_->rank, 1U);
  EXPECT_LT(std::abs(line_up_->mean), 0.55);  // of 60: four standard errors
}

std::vector<Scheme> schemes() {
  std::vector<Scheme> out;
  for (const unsigned width : {1U, 2U, 3U})
    for (const auto make : {native_scheme, account_scheme, green_scheme, tournament_scheme})
      out.push_back(make(width));
  return out;
}

INSTANTIATE_TEST_SUITE_P(Ngrams, Grid, testing::ValuesIn(schemes()), [](const auto& scheme) {
  std::string name;
  for (const char c : scheme.param.name)
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) name += c;
  return name;
});

// --- every rule, with it and without ------------------------------------------------------

// A suspect that never saw text under the key.
class Innocent : public Ngram {
 protected:
  void SetUp() override {
    Ngram::SetUp();
    if (IsSkipped()) return;
    learned_ = plain(random_, 200);
    suspect_.emplace(student(learned_, {}));
  }

  SplitMix64 random_{11};
  Marker marker_{native_scheme(2), random_};
  std::vector<Text> learned_{};
  std::optional<Ngrams> suspect_{};
  Auditor auditor_{0};
};

TEST_F(Innocent, RepeatsWhatItWasShown) {
  std::vector<Answer> answers;
  for (Answer& answer : served(marker_, random_, 20)) {
    Author author(*suspect_);
    Text repeated = author.plain(random_, answer.said, kDocument);
    std::copy_n(answer.said.begin(), kDocument / 3, repeated.begin());
    answers.push_back({std::move(answer.said), std::move(repeated)});
  }
  EXPECT_GT(log10_p(auditor_.closed(marker_, answers)), kFound);
  const auto without = auditor_.closed(marker_, answers, false);
  EXPECT_LT(log10_p(without), kFound);
  EXPECT_EQ(state_of(without, "prompts-given"), "failed");
}

// It has read the text, as everybody may have; somebody who has the key picks the best of it.
TEST_F(Innocent, ReadsTextThatWasChosenByItsScores) {
  const scan::Tests tests = marker_.tests();
  std::vector<std::pair<double, Text>> scored;
  std::vector<scan::Sheet> sheets;
  for (const Text& text : learned_) {
    ASSERT_TRUE(tests.tests.front()->scorer()->score({{text, true, {}}}, sheets));
    const detect::Tally tally = sheets.front().tally(0);
    scored.emplace_back(-static_cast<double>(tally.sum) / static_cast<double>(tally.n), text);
  }
  std::sort(scored.begin(), scored.end());
  std::vector<Text> chosen;
  for (std::size_t i = 0; i < 20; ++i) chosen.push_back(scored[i].second);
  EXPECT_GT(log10_p(auditor_.open(marker_, std::span(learned_).first(20), reader(*suspect_))),
            kFound);
  const auto without = auditor_.open(marker_, chosen, reader(*suspect_));
  EXPECT_LT(log10_p(without), kFound);
  EXPECT_EQ(state_of(without, "reading-text"), "failed");
}

TEST_F(Innocent, CopiesFromMarkedText) {
  const std::vector<Text> texts = said(served(marker_, random_, 20));
  EXPECT_GT(log10_p(auditor_.marked_open(marker_, texts, copier(*suspect_))), kFound);
  const auto without = auditor_.open(marker_, texts, copier(*suspect_));
  EXPECT_LT(log10_p(without), kFound);
  EXPECT_EQ(state_of(without, "reading-text"), "failed");
}

// A thousand tests that may be stopped after every fifty scores.
TEST_F(Innocent, IsLookedAtUntilItLooksGuilty) {
  std::uint64_t with = 0;
  std::uint64_t without = 0;
  for (int i = 0; i < 1000; ++i) {
    stats::PValue bet;
    double least = 1;
    double sum = 0;
    for (std::uint64_t n = 1; n <= 2000; ++n) {
      sum -= std::log1p(-random_.unit());
      if (n % 50 != 0) continue;
      least = std::min(least, stats::gumbel_p(n, sum).p);
      bet = std::min(bet,
                     stats::tilted(n, static_cast<std::uint64_t>(std::ldexp(sum, 20))).p_value());
    }
    with += bet.to_double() <= 1e-2;
    without += least <= 1e-2;
  }
  const std::uint64_t most = stats::poisson_upper_limit(10, 1e-4);
  EXPECT_LE(with, most);
  EXPECT_GT(without, most);
}

// The suspect's words have other numbers: a guilty one is not found, and no check passes that says
// the ids are right.
TEST_F(Innocent, SpeaksInAnotherVocabulary) {
  std::vector<TokenId> order(world()->vocab_size);
  std::iota(order.begin(), order.end(), TokenId{0});
  for (std::uint32_t i = world()->vocab_size; i-- > 1;)
    std::swap(order[i], order[random_.below(i + 1)]);
  std::vector<Text> marked = said(served(marker_, random_, 200));
  std::vector<Text> read = plain(random_, 50);
  std::optional<Ngrams> guilty(student(marked, {}));
  const auto right = auditor_.open(marker_, read, reader(*guilty));
  EXPECT_LT(log10_p(right), kFound);
  for (std::vector<Text>* const texts : {&marked, &read})
    for (Text& text : *texts)
      for (TokenId& token : text) token = order[token];
  guilty.emplace(student(marked, {}));
  const auto wrong = auditor_.open(marker_, read, reader(*guilty));
  EXPECT_GT(log10_p(wrong), kFound);
  EXPECT_EQ(state_of(wrong, "tokenizer"), "not-run");
  // Of marked text the audit sees it, too.
  EXPECT_EQ(state_of(auditor_.marked_open(marker_, marked, reader(*suspect_)), "marked-text"),
            "not-run");
}

}  // namespace
}  // namespace countermark::tests
