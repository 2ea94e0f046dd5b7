// SPDX-License-Identifier: Apache-2.0
#include "verifier/detect/line_up.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <utility>

#include "verifier/stats/normal_score.h"

namespace countermark::detect {
namespace {

// Limits at 1,000 decoys: chance leaves a mean within .155 and a smallest p-value of at least
// 1e-6 / K once in a million each, a variance from .78 to 1.25 less often. For more decoys the
// first and the last narrow with the square root.
constexpr std::uint32_t kFewest = 1'000;

bool within_limits(const LineUp& line_up, std::size_t judged) {
  // A key that routes no tuple of the text at all is rare where the true key has enough of them.
  if (judged < line_up.decoys / 2) return false;
  const double narrowing = std::sqrt(double{kFewest} / static_cast<double>(judged));
  return std::abs(line_up.mean) <= 0.155 * narrowing && line_up.variance >= 1 - 0.22 * narrowing &&
         line_up.variance <= 1 + 0.25 * narrowing && line_up.smallest_p_times_k >= 1e-6;
}

LineUp line_up_of(std::size_t decoys, std::size_t as_good,
                  std::span<const stats::PValue> calibration) {
  assert(decoys > 0 && decoys < std::numeric_limits<std::uint32_t>::max());
  assert(calibration.size() <= decoys);
  LineUp line_up;
  line_up.decoys = static_cast<std::uint32_t>(decoys);
  line_up.rank = 1 + static_cast<std::uint32_t>(as_good);
  line_up.p = static_cast<double>(line_up.rank) / (line_up.decoys + 1.0);

  line_up.calibrated = line_up.decoys < kFewest;
  if (calibration.empty()) return line_up;
  const double k = static_cast<double>(calibration.size());
  for (const stats::PValue p : calibration) line_up.scores.push_back(stats::normal_score(p));
  for (const double score : line_up.scores) line_up.mean += score / k;
  for (const double score : line_up.scores) {
    const double deviation = score - line_up.mean;
    line_up.variance += deviation * deviation / std::max(1.0, k - 1);
  }
  line_up.smallest_p_times_k =
      std::min_element(calibration.begin(), calibration.end())->to_double() * k;
  line_up.calibrated = line_up.calibrated || within_limits(line_up, calibration.size());
  return line_up;
}

}  // namespace

Ranking::Ranking(const Tally& truth, Tail tail) : tail_(std::move(tail)), truth_(tail_(truth)) {
  known_[truth.n].as_good_from = truth.sum;
}

bool Ranking::as_good(const Tally& decoy) {
  Known& known = known_[decoy.n];
  if (known.as_good_from && decoy.sum >= *known.as_good_from) return true;
  if (decoy.sum < known.worse_below) return false;
  const bool result = tail_(decoy) <= truth_;
  if (result) {
    known.as_good_from = decoy.sum;
  } else {
    known.worse_below = decoy.sum + 1;
  }
  return result;
}

LineUp compare(stats::PValue truth, std::span<const stats::PValue> decoys,
               std::span<const stats::PValue> calibration) {
  const auto as_good = std::count_if(decoys.begin(), decoys.end(),
                                     [truth](stats::PValue decoy) { return decoy <= truth; });
  return line_up_of(decoys.size(), static_cast<std::size_t>(as_good), calibration);
}

LineUp compare(const Tally& truth, std::span<const Tally> decoys, Ranking::Tail tail,
               std::span<const stats::PValue> calibration) {
  Ranking ranking(truth, std::move(tail));
  const auto as_good = std::count_if(decoys.begin(), decoys.end(), [&ranking](const Tally& decoy) {
    return ranking.as_good(decoy);
  });
  return line_up_of(decoys.size(), static_cast<std::size_t>(as_good), calibration);
}

}  // namespace countermark::detect
