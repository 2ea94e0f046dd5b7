// SPDX-License-Identifier: Apache-2.0
// The true key among decoys: random keys of the same form that were never used to mark.
//
// The rank is a p-value that rests on no law at all, only on the key having been drawn at random
// like the decoys. It cannot fall below 1 / (K + 1).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "verifier/detect/tally.h"
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
  std::vector<double> scores{};  // those normal scores: what is drawn
};

// Whether a decoy's tail is at most the truth's, exactly, at the cost of few tails: given n a tail
// falls with the statistic, so what is known of one statistic is known of all on one side of it. Of
// K decoys in random order about 2 ln K are computed for each n that occurs: 28 of a million.
// A value type; not thread-safe.
class Ranking {
 public:
  // P(statistic >= sum) given n; never rises with the sum.
  using Tail = std::function<stats::PValue(const Tally&)>;

  Ranking(const Tally& truth, Tail tail);
  bool as_good(const Tally& decoy);

 private:
  struct Known {
    std::uint64_t worse_below = 0;
    std::optional<std::uint64_t> as_good_from{};
  };

  Tail tail_;
  stats::PValue truth_;
  std::map<std::uint64_t, Known> known_;  // by n
};

// Compares the true key's corrected p-value with those of the decoys. `calibration` holds the
// uncorrected p-values of one slot of those decoys that have a tuple in the text: of the others p
// is 1, whatever the law.
LineUp compare(stats::PValue truth, std::span<const stats::PValue> decoys,
               std::span<const stats::PValue> calibration);

// The same from tallies, by a Ranking: for a million decoys, and tails that take long.
LineUp compare(const Tally& truth, std::span<const Tally> decoys, Ranking::Tail tail,
               std::span<const stats::PValue> calibration);

}  // namespace countermark::detect
