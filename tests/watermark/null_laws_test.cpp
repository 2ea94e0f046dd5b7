// SPDX-License-Identifier: Apache-2.0
// The laws of words, scores and p-values when the key is random and the text has nothing to do
// with it. These carry the promise to the innocent.
#include <gtest/gtest.h>

#include <bit>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>
#include <functional>
#include <vector>

#include "tests/support/random.h"
#include "tests/support/stat_test.h"
#include "verifier/detect/tape.h"

namespace countermark::tests {
namespace {

std::uint32_t word_of(const NativeMark& mark, const Route& route, const Tag& tag, TokenId token) {
  std::uint32_t word = 0;
  mark.words(route, tag, TokenSpan(&token, 1), std::span(&word, 1));
  return word;
}

Route route_after(const NativeMark& mark, std::vector<TokenId> tokens) {
  return mark.route(tokens).value();
}

TEST(NullLaws, ScoresFollowTheExponential) {
  constexpr std::uint64_t kKeys = 10'000, kWords = 100, kAll = kKeys * kWords;
  const std::vector<double> points = {1e-4, 0.01, 0.1, 0.5, 1, 2, 4, 7, 9};
  const StatTest test{1e-6, 2 + 2 * points.size()};
  SplitMix64 random(1);
  const Profile profile = one_layer(1);
  std::vector<std::uint64_t> above(points.size());
  std::uint64_t sum = 0;
  std::vector<TokenId> tokens(kWords);
  std::vector<std::uint32_t> words(kWords);
  for (std::uint64_t i = 0; i < kKeys; ++i) {
    const NativeMark mark = make_mark(random.epoch_key(), profile);
    for (std::size_t j = 0; j < kWords; ++j) tokens[j] = static_cast<TokenId>(3 * j);
    mark.words(route_after(mark, {5}), mark.tag(0, "", 0), tokens, words);
    for (const std::uint32_t word : words) {
      const std::uint32_t score = exponential_score(word);
      sum += score;
      for (std::size_t j = 0; j < points.size(); ++j) above[j] += score * 0x1p-20 > points[j];
    }
  }
  // An exponential has mean and variance 1; a score is at most 6.17 units below one, by which its
  // mean lies below 1 by 6e-6 at most.
  const double mean = static_cast<double>(sum) * 0x1p-20 / kAll;
  const double limit = test.normal() / std::sqrt(static_cast<double>(kAll));
  EXPECT_LE(mean, 1 + limit);
  EXPECT_GE(mean, 1 - 6e-6 - limit);
  for (std::size_t j = 0; j < points.size(); ++j) {
    const auto count = static_cast<double>(above[j]);
    EXPECT_LE(count, test.most(kAll, std::exp(-points[j]))) << points[j];
    EXPECT_GE(count, test.least(kAll, std::exp(-points[j] - 6.17 * 0x1p-20))) << points[j];
  }
}

// Two words of every random key; their top and bottom three bits are jointly uniform.
using TwoWords = std::function<std::pair<std::uint32_t, std::uint32_t>(const NativeMark&)>;
void expect_independent(const Profile& profile, std::uint64_t seed, const TwoWords& draw) {
  const StatTest test{1e-6, 3};
  constexpr int kKeys = 20'000;
  const std::vector<double> cells(64, 1 / 64.0);
  std::vector<std::uint64_t> top(64), bottom(64), crossed(64);
  SplitMix64 random(seed);
  for (int i = 0; i < kKeys; ++i) {
    const auto [a, b] = draw(make_mark(random.epoch_key(), profile));
    ++top[8 * (a >> 29) + (b >> 29)];
    ++bottom[8 * (a & 7) + (b & 7)];
    ++crossed[8 * (a >> 29) + (b & 7)];
  }
  for (const auto& counts : {top, bottom, crossed})
    EXPECT_LE(pearson(counts, cells), test.chi_square(63));
}

TEST(NullLaws, TokensOfOneContextAreIndependent) {
  for (const auto& [a, b] : {std::pair{8u, 9u}, std::pair{8u, 11u}, std::pair{10u, 11u},
                             std::pair{8u, 12u}, std::pair{0u, 0xFFFFFFFFu}})
    expect_independent(one_layer(1), a + b, [a = a, b = b](const NativeMark& mark) {
      const Route route = route_after(mark, {5});
      const Tag tag = mark.tag(0, "", 0);
      return std::pair(word_of(mark, route, tag, a), word_of(mark, route, tag, b));
    });
}

TEST(NullLaws, ContextsAreIndependent) {
  for (const std::vector<TokenId>& other :
       {std::vector<TokenId>{5, 7}, {7, 6}, {6, 5}, {5, 6 + (1u << 31)}})
    expect_independent(one_layer(2), 20 + other[0] + other[1], [&other](const NativeMark& mark) {
      const Tag tag = mark.tag(0, "", 0);
      return std::pair(word_of(mark, route_after(mark, {5, 6}), tag, 8),
                       word_of(mark, route_after(mark, other), tag, 8));
    });
}

TEST(NullLaws, SlotsAccountsAndLayersAreIndependent) {
  const Profile profile = one_layer(1, LayerKind::kAccount, 8);
  const auto at_tags = [](auto tags) {
    return [tags](const NativeMark& mark) {
      const auto [a, b] = tags(mark);
      const Route route = route_after(mark, {5});
      return std::pair(word_of(mark, route, a, 8), word_of(mark, route, b, 8));
    };
  };
  expect_independent(profile, 31, at_tags([](const NativeMark& mark) {
                       return std::pair(mark.tag(0, "account", 0), mark.tag(0, "account", 1));
                     }));
  expect_independent(profile, 32, at_tags([](const NativeMark& mark) {
                       return std::pair(mark.tag(0, "account-1", 0), mark.tag(0, "account-2", 0));
                     }));
  expect_independent(profile, 33, at_tags([](const NativeMark& mark) {
                       return std::pair(mark.tag(0, "account", 0), mark.tag(1, "account", 0));
                     }));
  // The candidate keys alone keep layers apart.
  const Profile two =
      Profile::create({{LayerKind::kShared, 1, kShareTotal, 1}, {LayerKind::kShared, 1, 0, 1}},
                      std::nullopt)
          .value();
  expect_independent(two, 34, [](const NativeMark& mark) {
    Route route = route_after(mark, {5});
    const std::uint32_t first = word_of(mark, route, Tag{}, 8);
    route.layer = 1;
    return std::pair(first, word_of(mark, route, Tag{}, 8));
  });
}

// How many bits of 64 words differ between two keys.
std::uint64_t changed_bits(const EpochKey& a, const EpochKey& b) {
  const Profile profile = one_layer(1);
  const NativeMark first = make_mark(a, profile), second = make_mark(b, profile);
  std::uint64_t bits = 0;
  for (TokenId token = 0; token < 64; ++token) {
    const std::uint32_t x = word_of(first, route_after(first, {5}), first.tag(0, "", 0), token);
    const std::uint32_t y = word_of(second, route_after(second, {5}), second.tag(0, "", 0), token);
    bits += static_cast<std::uint64_t>(std::popcount(x ^ y));
  }
  return bits;
}

TEST(NullLaws, EveryBitOfTheKeyChangesHalfOfTheWords) {
  constexpr std::uint64_t kBits = 64 * 32;
  const StatTest test{1e-6, 2 * 3 * 256};
  SplitMix64 random(41);
  std::array<std::uint8_t, 32> bytes{};
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.next());
  const auto expect_half = [&](const EpochKey& a, const EpochKey& b) {
    const auto changed = static_cast<double>(changed_bits(a, b));
    EXPECT_LE(changed, test.most(kBits, 0.5));
    EXPECT_GE(changed, test.least(kBits, 0.5));
  };
  for (std::size_t bit = 0; bit < 256; ++bit) {
    auto flipped = bytes;
    flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ (1u << bit % 8));
    const Secret<32> a(bytes), b(flipped);
    expect_half(EpochKey::create(a, "m", "e").value(), EpochKey::create(b, "m", "e").value());
    expect_half(MasterKey(a).epoch("m", "e").value(), MasterKey(b).epoch("m", "e").value());
    expect_half(MasterKey(a).epoch("m", "e").value(),
                MasterKey(a).epoch("m", "e" + std::to_string(bit)).value());
  }
}

// The p-values of one text under 20,000 keys, for the shared layer and for an account.
class PValues {
 public:
  // Several responses, of which later ones add nothing that stood before.
  explicit PValues(const std::vector<std::vector<TokenId>>& responses) {
    SplitMix64 random(responses.size() * 1000 + responses[0].size());
    for (std::uint64_t i = 0; i < kKeys; ++i) {
      const NativeMark mark = make_mark(random.epoch_key(), Profile::defaults());
      detect::Tape tape(mark);
      for (const auto& response : responses) tape.add(response);
      for (const std::uint8_t layer : {std::uint8_t{0}, std::uint8_t{2}}) {
        const std::string_view identity = layer == 0 ? "" : "account";
        const auto tally = detect::tally(tape, layer, mark.tag(layer, identity, 0));
        if (tally.n == 0) continue;  // nothing to test: no accusation
        const double sum = static_cast<double>(tally.sum) * 0x1p-20;
        const double p = boost::math::gamma_q(static_cast<double>(tally.n), sum);
        for (std::size_t j = 0; j < kLevels.size(); ++j) accused_[layer][j] += p <= kLevels[j];
      }
    }
  }

  // One-sided at every level, and at the first two-sided: the bound is close to the truth.
  void expect_uniform() const {
    const StatTest test{1e-6, 2 * (kLevels.size() + 1)};
    for (const std::size_t layer : {0u, 2u}) {
      for (std::size_t j = 0; j < kLevels.size(); ++j)
        EXPECT_LE(static_cast<double>(accused_[layer][j]), test.most(kKeys, kLevels[j]))
            << "layer " << layer << ", level " << kLevels[j];
      EXPECT_GE(static_cast<double>(accused_[layer][0]), test.least(kKeys, kLevels[0]))
          << "layer " << layer;
    }
  }

 private:
  static constexpr std::uint64_t kKeys = 20'000;
  static constexpr std::array kLevels = {1e-1, 1e-2, 1e-3};

  std::array<std::array<std::uint64_t, 3>, 3> accused_{};
};

std::vector<TokenId> random_text(std::uint64_t seed, std::size_t length, std::uint32_t vocab_size) {
  SplitMix64 random(seed);
  std::vector<TokenId> out(length);
  for (TokenId& token : out) token = random.below(vocab_size);
  return out;
}

TEST(NullLaws, PValuesOfAVariedTextAreUniform) {
  PValues({random_text(51, 80, 50'000)}).expect_uniform();
}

// Without the rule that a context counts once, these would accuse the innocent.
TEST(NullLaws, PValuesOfARepetitiveTextAreUniform) {
  PValues({random_text(52, 150, 6)}).expect_uniform();
  std::vector<TokenId> phrases;
  const std::vector<TokenId> phrase = random_text(53, 40, 1000);
  for (int i = 0; i < 6; ++i) phrases.insert(phrases.end(), phrase.begin(), phrase.end());
  PValues({phrases}).expect_uniform();
}

TEST(NullLaws, PValuesOfACorpusWithCopiesAreUniform) {
  const std::vector<TokenId> text = random_text(54, 50, 1000);
  std::vector<TokenId> quoted = random_text(55, 20, 1000);
  quoted.insert(quoted.end(), text.begin() + 10, text.end());
  PValues({text, text, quoted, text}).expect_uniform();
}

}  // namespace
}  // namespace countermark::tests
