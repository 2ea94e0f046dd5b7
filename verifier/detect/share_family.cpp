// SPDX-License-Identifier: Apache-2.0
#include "verifier/detect/share_family.h"

namespace countermark::detect {

stats::ShareFamily share_family(const NullModel& model) {
  switch (model.law) {
    case NullLaw::kExponentialBound:
      break;
    case NullLaw::kTwoExponentialBounds:
      return stats::ShareFamily::two_exponentials(model.a, model.b);
    case NullLaw::kGreenList:
      return stats::ShareFamily::green_list(model.a, model.b);
    case NullLaw::kGreen:
      return stats::ShareFamily::green(model.a, model.b);
    case NullLaw::kBits:
      return stats::ShareFamily::bits(model.a);
  }
  return stats::ShareFamily::exponential();
}

}  // namespace countermark::detect
