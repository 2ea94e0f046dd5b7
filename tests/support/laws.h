// SPDX-License-Identifier: Apache-2.0
// The joint law of a few tokens, and its chi-square test over random keys. A law test comes with a
// decoder that is wrong in one respect wherever that respect is subtle: the same statistic has to
// find it out.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "tests/support/random.h"
#include "tests/support/stat_test.h"
#include "watermark/sampler.h"

namespace countermark::tests {

// The probabilities of all sequences of `length` tokens below `vocab_size`.
struct JointLaw {
  std::size_t vocab_size;
  std::size_t length;
  std::vector<double> cells{};

  // From the law of the next token, which may depend on those before it.
  using NextToken = std::function<std::vector<double>(TokenSpan)>;
  JointLaw(std::size_t ids, std::size_t tokens, const NextToken& next)
      : vocab_size(ids), length(tokens) {
    std::size_t size = 1;
    for (std::size_t i = 0; i < length; ++i) size *= vocab_size;
    for (std::size_t cell = 0; cell < size; ++cell) {
      const std::vector<TokenId> text = sequence(cell);
      double probability = 1;
      for (std::size_t t = 0; t < length; ++t)
        probability *= next(TokenSpan(text).first(t))[text[t]];
      cells.push_back(probability);
    }
  }

  // Of independent tokens.
  JointLaw(const std::vector<double>& token, std::size_t tokens)
      : JointLaw(token.size(), tokens, [&](TokenSpan) { return token; }) {}

  std::size_t index(TokenSpan sequence) const {
    std::size_t out = 0;
    for (const TokenId token : sequence) out = out * vocab_size + token;
    return out;
  }

  std::vector<TokenId> sequence(std::size_t index) const {
    std::vector<TokenId> out(length);
    for (auto token = out.rbegin(); token != out.rend(); ++token, index /= vocab_size)
      *token = static_cast<TokenId>(index % vocab_size);
    return out;
  }
};

// Draws from the same probabilities of the ids 0, 1, … at every position.
struct Engine {
  explicit Engine(const std::vector<double>& probabilities) {
    for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  }

  Draw draw(const Response& response, std::uint32_t attempt = 0) {
    return sample({logits}, {}, response, {}, attempt, workspace).value();
  }

  std::vector<float> logits{};
  SamplerWorkspace workspace{};
};

// Writes one sequence under keys from the generator.
using Writer = std::function<std::vector<TokenId>(SplitMix64&)>;

// Pearson's statistic of as many sequences as `trials`. Every cell is expected 30 times at least,
// where its chi-square law is close enough for tolerances of 1e-6.
inline double law_statistic(const JointLaw& law, int trials, std::uint64_t seed,
                            const Writer& write) {
  EXPECT_GE(trials * *std::min_element(law.cells.begin(), law.cells.end()), 30);
  std::vector<std::uint64_t> counts(law.cells.size());
  SplitMix64 random(seed);
  for (int trial = 0; trial < trials; ++trial) {
    const std::vector<TokenId> sequence = write(random);
    EXPECT_EQ(sequence.size(), law.length);
    ++counts.at(law.index(sequence));
  }
  return pearson(counts, law.cells);
}

// That the sequences follow the law: not too far from it, and not suspiciously close.
inline void expect_law(const JointLaw& law, int trials, std::uint64_t seed, const Writer& write) {
  const StatTest test{1e-6, 2};
  const double statistic = law_statistic(law, trials, seed, write);
  EXPECT_LE(statistic, test.chi_square(law.cells.size() - 1));
  EXPECT_GE(statistic, test.least_chi_square(law.cells.size() - 1));
}

// That the same test finds out a wrong decoder.
inline void expect_other_law(const JointLaw& law, int trials, std::uint64_t seed,
                             const Writer& write) {
  const StatTest test{1e-6, 2};
  EXPECT_GT(law_statistic(law, trials, seed, write), test.chi_square(law.cells.size() - 1));
}

inline std::vector<TokenId> text_after(const Response& response, std::size_t prefix) {
  return {response.tokens().begin() + static_cast<std::ptrdiff_t>(prefix), response.tokens().end()};
}

}  // namespace countermark::tests
