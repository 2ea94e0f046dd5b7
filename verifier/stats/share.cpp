// SPDX-License-Identifier: Apache-2.0
#include "verifier/stats/share.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

#include "verifier/stats/normal_score.h"
#include "verifier/stats/tail.h"
#include "verifier/stats/wide.h"

namespace countermark::stats {
namespace {

// Multiples of 1/64.
constexpr std::uint64_t kParts = 64;
constexpr std::array<std::uint64_t, kMostShareThresholds> kLevels = {1, 4, 16, 32, 48, 60, 63};

// Exact: no such fraction needs more digits than a mantissa has.
PValue level_of(std::uint64_t part) {
  return PValue::from_double(static_cast<double>(part) / kParts);
}

// The smallest score in [1, most] with tail(score) <= level, where there is one.
template <typename Tail>
std::uint64_t critical(std::uint64_t most, PValue level, Tail tail) {
  std::uint64_t low = 0;
  while (most - low > 1) {
    const std::uint64_t middle = low + (most - low) / 2;
    (tail(middle) <= level ? most : low) = middle;
  }
  return most;
}

template <typename Score>
void count_all(std::span<const ShareFamily::Threshold> thresholds, std::span<const Score> scores,
               ShareCounts& counts) {
  counts.tuples += scores.size();
  // Pieces whose counts fit into a score's own type, so that the loop has one width throughout.
  constexpr std::size_t kPiece = 4096;
  for (std::size_t at = 0; at < scores.size(); at += kPiece) {
    const std::span<const Score> piece = scores.subspan(at, std::min(kPiece, scores.size() - at));
    for (std::size_t j = 0; j < thresholds.size(); ++j) {
      const auto threshold = static_cast<Score>(thresholds[j].score);
      Score reaching = 0;
      for (const Score score : piece) reaching += score >= threshold ? 1 : 0;
      counts.reaching[j] += reaching;
    }
  }
}

}  // namespace

double ShareBound::share() const noexcept {
  if (tuples == 0) return 0;
  const double nearest = static_cast<double>(marked) / static_cast<double>(tuples);
  return marked == 0 || marked == tuples ? nearest : nearest * (1 - 0x1p-50);
}

ShareFamily::ShareFamily(std::vector<Threshold> thresholds, bool lists)
    : thresholds_(std::move(thresholds)), lists_(lists) {
  assert(!thresholds_.empty() && thresholds_.size() <= kMostShareThresholds);
}

ShareFamily ShareFamily::exponential() {
  std::vector<Threshold> thresholds;
  thresholds.reserve(kLevels.size());
  for (const std::uint64_t part : kLevels)
    thresholds.push_back({gamma_critical(1, level_of(part)), part, kParts});
  return ShareFamily(std::move(thresholds));
}

ShareFamily ShareFamily::two_exponentials(std::uint64_t weight_a, std::uint64_t weight_b) {
  // Scores are below 2^25, so that no sum exceeds this.
  const std::uint64_t most = (weight_a + weight_b) << 25;
  std::vector<Threshold> thresholds;
  thresholds.reserve(kLevels.size());
  for (const std::uint64_t part : kLevels)
    thresholds.push_back({critical(most, level_of(part),
                                   [=](std::uint64_t score) {
                                     return two_gamma_tail(1, score, weight_a, weight_b);
                                   }),
                          part, kParts});
  return ShareFamily(std::move(thresholds));
}

ShareFamily ShareFamily::green(std::uint64_t numerator, std::uint64_t denominator) {
  return ShareFamily({{1, numerator, denominator}});
}

ShareFamily ShareFamily::green_list(std::uint64_t green_size, std::uint64_t vocab_size) {
  return ShareFamily({{1, green_size, vocab_size}}, true);
}

ShareFamily ShareFamily::bits(std::uint64_t depth) {
  const auto tail = [depth](std::uint64_t ones) { return binomial_tail(depth, ones, 1, 2); };
  std::vector<Threshold> thresholds;
  for (const std::uint64_t part : kLevels) {
    const std::uint64_t ones = critical(depth, level_of(part), tail);
    if (!thresholds.empty() && thresholds.back().score == ones) continue;
    // Rounded up to 32 bits, beyond what the conversion errs by.
    const auto above = static_cast<std::uint64_t>(tail(ones).to_double() * 0x1p32) + 1;
    thresholds.push_back({ones, above, std::uint64_t{1} << 32});
  }
  return ShareFamily(std::move(thresholds));
}

void ShareFamily::count(std::span<const std::uint32_t> scores, ShareCounts& counts) const noexcept {
  count_all(thresholds(), scores, counts);
}

void ShareFamily::count(std::span<const std::uint64_t> scores, ShareCounts& counts) const noexcept {
  count_all(thresholds(), scores, counts);
}

// Whether threshold j leaves it possible, at its part of alpha, that no more are marked.
bool ShareFamily::possible(std::size_t j, const ShareCounts& counts, std::uint64_t marked,
                           PValue alpha) const {
  if (marked >= counts.reaching[j]) return true;
  const auto& [score, numerator, denominator] = thresholds_[j];
  const std::uint64_t trials = counts.tuples - marked;
  const std::uint64_t successes = counts.reaching[j] - marked;
  // Not above the expectation: the tail is about a half, and to call it so only lowers the bound.
  if (Wide{successes} * denominator <= Wide{trials} * numerator) return true;
  const PValue tail = lists_ ? green_tail(trials, successes, numerator, denominator)
                             : binomial_tail(trials, successes, numerator, denominator);
  return tail.times(thresholds_.size()) > alpha;
}

ShareBound ShareFamily::lower_bound(const ShareCounts& counts, PValue alpha) const {
  ShareBound bound{0, counts.tuples};
  // Where the normal law would have the bound of each threshold. The most promising one goes first,
  // so that one tail is enough for most others; a guess decides nothing but how many tails it
  // takes.
  const double z = normal_score(alpha.scaled(1, thresholds_.size()));
  std::vector<std::pair<double, std::size_t>> guesses;
  for (std::size_t j = 0; j < thresholds_.size(); ++j) {
    assert(counts.reaching[j] <= counts.tuples);
    const auto n = static_cast<double>(counts.tuples);
    const auto reaching = static_cast<double>(counts.reaching[j]);
    const double q = static_cast<double>(thresholds_[j].numerator) /
                     static_cast<double>(thresholds_[j].denominator);
    guesses.emplace_back((reaching - n * q - z * std::sqrt((n - reaching) * q)) / (1 - q), j);
  }
  std::sort(guesses.rbegin(), guesses.rend());
  for (const auto& [guess, j] : guesses) {
    if (possible(j, counts, bound.marked, alpha)) continue;
    std::uint64_t low = bound.marked;         // not possible
    std::uint64_t high = counts.reaching[j];  // possible
    // From the guess outwards in doubling steps.
    const double least = static_cast<double>(low) + 1;
    auto next = static_cast<std::uint64_t>(
        std::clamp(guess, least, std::max(static_cast<double>(high) - 1, least)));
    const bool down = possible(j, counts, next, alpha);
    (down ? high : low) = next;
    for (std::uint64_t step = 1; high - low > step; step *= 2) {
      next = down ? high - step : low + step;
      const bool still = possible(j, counts, next, alpha);
      (still ? high : low) = next;
      if (still != down) break;
    }
    while (high - low > 1) {
      const std::uint64_t middle = low + (high - low) / 2;
      (possible(j, counts, middle, alpha) ? high : low) = middle;
    }
    bound.marked = high;
  }
  return bound;
}

}  // namespace countermark::stats
