// SPDX-License-Identifier: Apache-2.0
// A window costs one subtraction and one comparison, with a sum that was computed exactly for its
// length beforehand. Among windows that pass, the Chernoff bound's exponent decides which are
// taken; it needs no accuracy, as every window is corrected for, whichever is taken.
#include "verifier/detect/segments.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <map>

#include "verifier/stats/tail.h"
#include "watermark/portable_math.h"

namespace countermark::detect {
namespace {

__extension__ using Wide = __int128;

constexpr unsigned kScoreBits = 20;

// The expectation of one tuple's score under the null law, at most: numerator / denominator.
struct Mean {
  std::uint64_t numerator;
  std::uint64_t denominator;
};

Mean mean_of(const NullModel& model) {
  switch (model.law) {
    case NullLaw::kExponentialBound:
      return {std::uint64_t{1} << kScoreBits, 1};
    case NullLaw::kTwoExponentialBounds:
      return {(model.a + model.b) << kScoreBits, 1};
    case NullLaw::kGreenList:
    case NullLaw::kGreen:
      return {model.a, model.b};
    case NullLaw::kBits:
      return {model.a, 2};
  }
  return {0, 1};
}

// x ln(x / p), and its limit at 0.
double relative_entropy_term(double x, double p) { return x > 0 ? x * portable_log(x / p) : 0; }

double binomial_exponent(double trials, double successes, double p) {
  const double x = successes / trials;
  return trials * (relative_entropy_term(x, p) + relative_entropy_term(1 - x, 1 - p));
}

// -ln of the Chernoff bound of the tail, for a sum above its expectation.
double exponent(const NullModel& model, const Tally& tally) {
  const auto n = static_cast<double>(tally.n);
  const auto sum = static_cast<double>(tally.sum);
  const auto a = static_cast<double>(model.a);
  const auto b = static_cast<double>(model.b);
  switch (model.law) {
    case NullLaw::kExponentialBound: {
      const double mean = sum * 0x1p-20 / n;
      return n * (mean - 1 - portable_log(mean));
    }
    case NullLaw::kTwoExponentialBounds: {
      // max over t of t s + ln(1 - a t) + ln(1 - b t): a root of a quadratic equation.
      const double s = sum * 0x1p-20 / n;
      const double half = (s * (a + b) - 2 * a * b) / 2;
      const double t = (s - a - b) / (half + std::sqrt(half * half - s * a * b * (s - a - b)));
      return n * (t * s + portable_log(1 - a * t) + portable_log(1 - b * t));
    }
    case NullLaw::kGreenList:
    case NullLaw::kGreen:
      return binomial_exponent(n, sum, a / b);
    case NullLaw::kBits:
      return binomial_exponent(n * a, sum, 0.5);
  }
  return 0;
}

// The least sum of n tuples whose tail is at most `level`; of long weighted sums up to 2^-24 of
// itself less, which only lets a window more be a candidate.
std::uint64_t critical_sum(const NullModel& model, std::uint64_t n, stats::PValue level) {
  if (model.law == NullLaw::kExponentialBound) return stats::gamma_critical(n, level);
  const Mean mean = mean_of(model);
  std::uint64_t low = static_cast<std::uint64_t>(Wide{n} * mean.numerator / mean.denominator);
  std::uint64_t most = ~std::uint64_t{0};
  if (model.law == NullLaw::kGreenList || model.law == NullLaw::kGreen) most = n;
  if (model.law == NullLaw::kBits) most = n * model.a;
  const auto passes = [&](std::uint64_t sum) { return tail(model, {n, sum}) <= level; };
  std::uint64_t high = low;
  for (std::uint64_t step = 1 + low / 8; !passes(high); step *= 2) {
    if (high == most) return ~std::uint64_t{0};
    low = high;
    high = most - high > step ? high + step : most;
  }
  while (high - low > 1 + (high >> 24)) {
    const std::uint64_t middle = low + (high - low) / 2;
    (passes(middle) ? high : low) = middle;
  }
  return low + 1;
}

// A window that passes, by the indices of its tuples.
struct Window {
  std::size_t begin;
  std::size_t end;
  Tally tally;
  double exponent;
  bool in_best_set = false;
};

// What a span more has to add to the exponents of the others, in nats: as much as one among four
// thousand million windows needs by itself for a corrected p-value of 1e-6.
constexpr double kSpanCost = 36;

// Marks the disjoint windows of the largest sum of (exponent - kSpanCost): two spans with unmarked
// text between them rather than one window over all three, and one window rather than its pieces.
void mark_best_set(std::vector<Window>& windows) {
  std::sort(windows.begin(), windows.end(), [](const Window& a, const Window& b) {
    return a.end != b.end ? a.end < b.end : a.begin < b.begin;
  });
  struct Best {
    std::size_t before;  // how many windows end where this one begins
    double sum;          // the largest of this window and those in front of it
  };
  std::vector<Best> best(windows.size());
  const auto sum_of_first = [&best](std::size_t count) {
    return count == 0 ? 0 : best[count - 1].sum;
  };
  for (std::size_t i = 0; i < windows.size(); ++i) {
    const auto after = std::upper_bound(
        windows.begin(), windows.end(), windows[i].begin,
        [](std::size_t begin, const Window& window) { return begin < window.end; });
    const auto before = static_cast<std::size_t>(after - windows.begin());
    const double with = sum_of_first(before) + windows[i].exponent - kSpanCost;
    best[i] = {before, std::max(sum_of_first(i), with)};
  }
  for (std::size_t count = windows.size(); count > 0;) {
    if (sum_of_first(count) == sum_of_first(count - 1)) {
      --count;
    } else {
      windows[count - 1].in_best_set = true;
      count = best[count - 1].before;
    }
  }
}

// The spans that have been taken, by where they begin.
struct Span {
  std::size_t end;
  const Window* window;
};
using Taken = std::map<std::size_t, Span>;

// The ends of the span that a window shows. Tuples count by how far they lie above the level half
// way between the window's mean and the null's; from the window's centre outwards, up to half its
// length beyond it and not into other spans, each end stands where that sum is largest.
std::pair<std::size_t, std::size_t> ends_of(const Window& window, const Mean& mean,
                                            const std::vector<std::uint64_t>& sums,
                                            const Taken& taken) {
  const std::size_t length = window.end - window.begin;
  std::size_t first = window.begin - std::min(window.begin, length / 2);
  std::size_t last = std::min(sums.size() - 1, window.end + length / 2);
  const auto next = taken.lower_bound(window.begin);
  if (next != taken.end()) last = std::min(last, next->first);
  if (next != taken.begin()) first = std::max(first, std::prev(next)->second.end);

  // Everything times 2 x length x denominator, so that it stays whole.
  const Wide level = Wide{mean.numerator} * length + Wide{mean.denominator} * window.tally.sum;
  const Wide scale = Wide{2} * length * mean.denominator;
  const std::size_t centre = window.begin + length / 2;
  const auto height = [&](std::size_t at) {
    return scale * (Wide{sums[at]} - sums[centre]) + level * (Wide{centre} - at);
  };
  std::size_t begin = centre;
  std::size_t end = centre;
  Wide lowest = 0;
  Wide highest = 0;
  for (std::size_t at = centre; at-- > first;) {
    const Wide here = height(at);
    if (here < lowest) {
      lowest = here;
      begin = at;
    }
  }
  for (std::size_t at = centre + 1; at <= last; ++at) {
    const Wide here = height(at);
    if (here > highest) {
      highest = here;
      end = at;
    }
  }
  return {begin, end};
}

bool overlaps(const Window& window, const Taken& taken) {
  const auto next = taken.lower_bound(window.end);
  return next != taken.begin() && std::prev(next)->second.end > window.begin;
}

}  // namespace

std::uint64_t SpanFinder::length(std::size_t index) noexcept {
  constexpr std::uint64_t kRoot2 = 1'518'500'249;  // floor(2^30.5)
  return index % 2 == 0 ? kShortestWindow << (index / 2) : kRoot2 >> (25 - index / 2);
}

std::uint64_t SpanFinder::critical(std::size_t index) const {
  std::atomic<std::uint64_t>& known = criticals_[index];
  std::uint64_t sum = known.load(std::memory_order_relaxed);
  if (sum == 0) {
    sum = critical_sum(model_, length(index), level_);
    known.store(sum, std::memory_order_relaxed);
  }
  return sum;
}

template <typename Score>
SpanSearch SpanFinder::search_any(std::span<const Score> scores,
                                  std::span<const std::uint64_t> positions,
                                  Scratch& scratch) const {
  assert(scores.size() == positions.size());
  SpanSearch out;
  const std::size_t n = scores.size();
  if (n < kShortestWindow) return out;
  std::vector<std::uint64_t>& sums = scratch.sums;
  sums.resize(n + 1);
  sums[0] = 0;
  for (std::size_t i = 0; i < n; ++i) sums[i + 1] = sums[i] + scores[i];

  const Mean mean = mean_of(model_);
  std::vector<Window> passing;
  for (std::size_t index = 0; index < kLengths && length(index) <= n; ++index) {
    const std::uint64_t window = length(index);
    const std::uint64_t stride = window / 4;
    // A window that is not above its expectation shows nothing, at any level.
    const auto expected =
        static_cast<std::uint64_t>(Wide{window} * mean.numerator / mean.denominator);
    const std::uint64_t least = std::max(critical(index), expected + 1);
    out.windows += (n - window) / stride + 1;
    for (std::size_t begin = 0; begin + window <= n; begin += stride) {
      const std::uint64_t sum = sums[begin + window] - sums[begin];
      if (sum < least) continue;
      const Tally tally{window, sum};
      passing.push_back({begin, begin + window, tally, exponent(model_, tally)});
    }
  }

  mark_best_set(passing);
  std::sort(passing.begin(), passing.end(), [](const Window& a, const Window& b) {
    if (a.in_best_set != b.in_best_set) return a.in_best_set;
    if (a.exponent != b.exponent) return a.exponent > b.exponent;
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  Taken taken;
  for (const Window& window : passing) {
    if (overlaps(window, taken)) continue;
    const auto [begin, end] = ends_of(window, mean, sums, taken);
    taken.emplace(begin, Span{end, &window});
  }
  // Spans with less than a window between them are one, by the stronger one's window.
  for (auto at = taken.begin(); at != taken.end();) {
    std::size_t end = at->second.end;
    const Window* strongest = at->second.window;
    const std::size_t begin = at->first;
    for (++at; at != taken.end() && at->first - end < kShortestWindow; ++at) {
      end = at->second.end;
      if (at->second.window->exponent > strongest->exponent) strongest = at->second.window;
    }
    out.candidates.push_back({positions[begin], positions[end - 1] + 1, strongest->tally});
  }
  return out;
}

SpanSearch SpanFinder::search(std::span<const std::uint32_t> scores,
                              std::span<const std::uint64_t> positions, Scratch& scratch) const {
  return search_any(scores, positions, scratch);
}

SpanSearch SpanFinder::search(std::span<const std::uint64_t> scores,
                              std::span<const std::uint64_t> positions, Scratch& scratch) const {
  return search_any(scores, positions, scratch);
}

ByteRange bytes_of(std::string_view text, std::span<const std::uint64_t> offsets,
                   std::uint64_t begin, std::uint64_t end) noexcept {
  assert(begin <= end && end < offsets.size());
  const auto inside_character = [text](std::size_t at) {
    return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80;
  };
  ByteRange out{offsets[begin], offsets[end]};
  while (out.begin > 0 && inside_character(out.begin)) --out.begin;
  while (inside_character(out.end)) ++out.end;
  return out;
}

}  // namespace countermark::detect
