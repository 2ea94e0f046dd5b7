// SPDX-License-Identifier: Apache-2.0
// The true key among decoys: random keys of the same form that were never used to mark.
//
// The rank is a p-value that rests on no law at all, only on the key having been drawn at random
// like the decoys. It cannot fall below 1 / (K + 1).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "verifier/stats/p_value.h"

namespace countermark::detect {

struct LineUp {
  std::uint32_t decoys = 0;
  std::string seed{};      // what the decoys were derived from, hex: tape digest and chosen seed
  std::uint32_t rank = 0;  // 1 + number of decoys whose p-value is at most the true key's
  double p = 1;            // rank / (decoys + 1)
  // Of the decoys' exact p-values (one slot, uncorrected) as normal scores; null law: mean 0,
  // variance 1.
  double mean = 0;
  double variance = 0;
  double smallest_p_times_k = 0;
  // False when the decoys do not behave like keys that have nothing to do with the text, which a
  // fault in the tape, the tokenizer or the PRF would cause: false alarm about 2e-6. Judged from
  // 1,000 decoys on.
  bool calibrated = true;
};

// Compares the true key's corrected p-value with those of the decoys. `calibration` holds the
// uncorrected p-values of one slot of those decoys that have a tuple in the text: of the others p
// is 1, whatever the law.
LineUp compare(stats::PValue truth, std::span<const stats::PValue> decoys,
               std::span<const stats::PValue> calibration);

}  // namespace countermark::detect
