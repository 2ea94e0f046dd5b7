// SPDX-License-Identifier: Apache-2.0
#include "verifier/stats/normal_score.h"

#include <algorithm>
#include <boost/math/special_functions/erf.hpp>
#include <cmath>

namespace countermark::stats {

double normal_score(PValue p) {
  constexpr double kFarthest = 38;
  const double value = p.to_double();
  if (value >= 1) return -kFarthest;
  if (value < 1e-300) return kFarthest;
  return std::clamp(std::sqrt(2.0) * boost::math::erfc_inv(2 * value), -kFarthest, kFarthest);
}

}  // namespace countermark::stats
