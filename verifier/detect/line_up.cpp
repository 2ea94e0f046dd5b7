// SPDX-License-Identifier: Apache-2.0
#include "verifier/detect/line_up.h"

#include <algorithm>
#include <cassert>
#include <cmath>

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

}  // namespace

LineUp compare(stats::PValue truth, std::span<const stats::PValue> decoys,
               std::span<const stats::PValue> calibration) {
  assert(!decoys.empty() && calibration.size() <= decoys.size());
  LineUp line_up;
  line_up.decoys = static_cast<std::uint32_t>(decoys.size());
  const auto as_good = std::count_if(decoys.begin(), decoys.end(),
                                     [truth](stats::PValue decoy) { return decoy <= truth; });
  line_up.rank = 1 + static_cast<std::uint32_t>(as_good);
  line_up.p = static_cast<double>(line_up.rank) / (line_up.decoys + 1.0);

  line_up.calibrated = line_up.decoys < kFewest;
  if (calibration.empty()) return line_up;
  const double k = static_cast<double>(calibration.size());
  for (const stats::PValue p : calibration) line_up.mean += stats::normal_score(p) / k;
  for (const stats::PValue p : calibration) {
    const double deviation = stats::normal_score(p) - line_up.mean;
    line_up.variance += deviation * deviation / std::max(1.0, k - 1);
  }
  line_up.smallest_p_times_k =
      std::min_element(calibration.begin(), calibration.end())->to_double() * k;
  line_up.calibrated = line_up.calibrated || within_limits(line_up, calibration.size());
  return line_up;
}

}  // namespace countermark::detect
