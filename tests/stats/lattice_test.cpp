// SPDX-License-Identifier: Apache-2.0
// Sums of independent integers against convolutions of whole numbers, and against the binomial law.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tests/stats/decimal.h"
#include "tests/support/random_numbers.h"
#include "verifier/stats/lattice.h"
#include "verifier/stats/tail.h"

namespace countermark::stats::testing {
namespace {

using tests::RandomNumbers;

// Never below, and above by less than a relative 1e-9.
void expect_just_above(PValue p, const cpp_rational& exact) {
  EXPECT_GE(p, smallest_at_least(decimal_above(exact)));
  const cpp_rational most = std::min(cpp_rational(1), exact * (1 + cpp_rational(1, 1'000'000'000)));
  EXPECT_LE(p, smallest_at_least(decimal_above(most)));
}

// How many ways lead to each sum.
std::vector<cpp_int> ways(const std::vector<LatticeTerm>& terms) {
  std::vector<cpp_int> out = {1};
  for (const LatticeTerm& term : terms)
    for (std::uint64_t n = 0; n < term.count; ++n) {
      std::vector<cpp_int> next(out.size() + term.weights.size() - 1);
      for (std::size_t i = 0; i < out.size(); ++i)
        for (std::size_t v = 0; v < term.weights.size(); ++v)
          next[i + v] += out[i] * term.weights[v];
      out = std::move(next);
    }
  return out;
}

void expect_every_tail(const std::vector<LatticeTerm>& terms) {
  const std::vector<cpp_int> exact = ways(terms);
  cpp_int all = 0;
  std::size_t most = 0;
  for (std::size_t x = 0; x < exact.size(); ++x) {
    all += exact[x];
    if (exact[x] != 0) most = x;
  }
  cpp_int above = 0;
  for (std::size_t x = most + 1; x-- > 0;) {
    above += exact[x];
    SCOPED_TRACE(::testing::Message() << "sum " << x << " of " << most);
    expect_just_above(lattice_tail(terms, x), cpp_rational(above, all));
  }
}

TEST(Lattice, EveryTailOfSmallSums) {
  expect_every_tail({{{1, 1}, 1}});
  expect_every_tail({{{1, 1, 1, 1, 1}, 60}});
  expect_every_tail({{{0, 0, 3, 0, 0, 1}, 17}});                 // steps of three
  expect_every_tail({{{2, 0, 1, 0, 2}, 9}, {{0, 5, 0, 7}, 4}});  // of two, unlike starts
  expect_every_tail({{{1, 0, 2, 0, 2}, 31}, {{0, 2, 0, 3, 0}, 8}, {{5}, 3}});  // and a constant
  expect_every_tail({{{4294967295, 1}, 40}});
  expect_every_tail({{{1, 4294967295}, 40}, {{1, 0, 0, 0, 0, 1}, 5}});
  expect_every_tail({{{9}, 5}, {{1, 2}, 0}, {{1, 1, 0}, 3}});
}

TEST(Lattice, RandomLaws) {
  RandomNumbers random(20261122);
  for (int i = 0; i < 60; ++i) {
    std::vector<LatticeTerm> terms;
    for (std::uint64_t t = 1 + random.below(6); t > 0; --t) {
      LatticeTerm term{std::vector<std::uint64_t>(1 + random.below(9)), 1 + random.below(12)};
      for (std::uint64_t& weight : term.weights)
        weight = random.below(4) == 0 ? 0 : random.below(50);
      term.weights[random.below(static_cast<std::uint32_t>(term.weights.size()))] = 1;
      terms.push_back(std::move(term));
    }
    expect_every_tail(terms);
  }
}

// Where no convolution of whole numbers is possible any more.
TEST(Lattice, LongSumsOfTwoValuesAreBinomial) {
  struct Case {
    std::uint64_t trials;
    std::uint64_t successes;
    std::uint64_t hit;
    std::uint64_t miss;
  };
  for (const auto& [trials, successes, hit, miss] : std::vector<Case>{
           {100'000, 50'000, 1, 1},
           {100'000, 51'000, 1, 1},
           {100'000, 90'000, 1, 1},
           {100'000, 100'000, 1, 1},
           {1'000'000, 252'000, 1, 3},
           {1'000'000, 260'000, 1, 3},
           {100'000'000, 50'030'000, 1, 1},
       }) {
    const PValue exact = binomial_tail(trials, successes, hit, hit + miss);
    const PValue p = lattice_tail(std::vector<LatticeTerm>{{{miss, hit}, trials}}, successes);
    EXPECT_GE(p, exact) << trials << " " << successes;
    EXPECT_LT(p.log10() - exact.log10(), 5e-7) << trials << " " << successes;
  }
}

}  // namespace
}  // namespace countermark::stats::testing
