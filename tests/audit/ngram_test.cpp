// SPDX-License-Identifier: Apache-2.0
// Audits in a small world of n-gram models: every scheme at every width, from no marked text in the
// student's training to half of it, by every kind of evidence.
//
// What is asserted is the order of things and every null. Sizes of effects are this world's.
#include <gtest/gtest.h>

#include "tests/support/ngram_audit.h"

namespace countermark::tests {
namespace {

constexpr std::size_t kDocument = 200;   // tokens
constexpr std::size_t kDocuments = 600;  // that a student learns from
constexpr std::size_t kRead = 50;        // documents that it reads, or answers
constexpr std::array kPercents = {0U, 1U, 5U, 10U, 50U};

const World* world() {
  static const std::optional<World> kWorld = World::load();
  return kWorld ? &*kWorld : nullptr;
}

// What one student gave away.
struct Found {
  audit::TupleFinding open;
  audit::TupleFinding closed;
};

class Grid : public testing::TestWithParam<Scheme> {
 protected:
  void SetUp() override {
    if (world() == nullptr) GTEST_SKIP() << "there are no licences in /usr/share/common-licenses";
  }

  std::vector<Text> plain(SplitMix64& random, std::size_t count) {
    return documents(
        *world(), random, count * kDocument, kDocument,
        [&](TokenSpan prompt, std::size_t n) { return teacher_.plain(random, prompt, n); });
  }
  std::vector<Text> marked(const Marker& marker, SplitMix64& random, std::size_t count) {
    return documents(
        *world(), random, count * kDocument, kDocument,
        [&](TokenSpan prompt, std::size_t n) { return marker.write(teacher_, random, prompt, n); });
  }
  static std::vector<Answer> answers(const Ngrams& student, SplitMix64& random) {
    Author author(student);
    std::vector<Answer> out;
    for (std::size_t i = 0; i < kRead; ++i) {
      const Text prompt = world()->prompt(random);
      out.push_back({prompt, author.plain(random, prompt, kDocument)});
    }
    return out;
  }

  Author teacher_{*world()->teacher};
};

// By the law, of as many tuples as there are.
double evidence_a_tuple(const audit::TupleFinding& finding) {
  return -log10_p(finding) / static_cast<double>(finding.result.finding.evidence.tally.n);
}

[[maybe_unused]] void expect_calibrated(const audit::TupleFinding& finding) {
  ASSERT_TRUE(finding.result.line_up);
  EXPECT_TRUE(finding.result.line_up->calibrated);
  EXPECT_LT(std::abs(finding.result.line_up->mean), 0.5);
}

TEST_P(Grid, FindsWhatWasLearnedAndNothingElse) {
  SplitMix64 random(7);
  const Marker marker(GetParam(), random);
  const std::vector<Text> others = plain(random, kDocuments);
  const std::vector<Text> ours = marked(marker, random, kDocuments / 2);
  const std::vector<Text> read = plain(random, kRead);
  std::map<unsigned, Found> found;
  for (const unsigned percent : kPercents) {
    const std::size_t share = kDocuments * percent / 100;
    std::vector<Text> learned(ours.begin(), ours.begin() + static_cast<std::ptrdiff_t>(share));
    learned.insert(learned.end(), others.begin() + static_cast<std::ptrdiff_t>(share),
                   others.end());
    const Ngrams student(learned, world()->vocab_size);
    Auditor auditor(percent == 50 ? 40 : 0);
    found.emplace(percent, Found{auditor.open(marker, read, reader(student)),
                                 auditor.closed(marker, answers(student, random))});
    std::printf("%u %% open %.1f %.5f closed %.1f %.5f\n", percent, log10_p(found.at(percent).open),
                evidence_a_tuple(found.at(percent).open), log10_p(found.at(percent).closed),
                evidence_a_tuple(found.at(percent).closed));
  }
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

}  // namespace
}  // namespace countermark::tests
