// SPDX-License-Identifier: Apache-2.0
// The sums over the distinct tuples of a corpus, while they are found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "verifier/scan/corpus.h"
#include "verifier/scan/settings.h"

namespace countermark::scan {

class WinnerTallies {
 public:
  // Both outlive it. `winners` may be empty.
  WinnerTallies(const Settings& settings, const WinnerScores& winners, unsigned workers);

  // Records of distinct tuples. From one thread for each worker.
  void add(unsigned worker, std::size_t channel, std::span<const std::uint32_t> records);

  // By lane, of all workers.
  std::vector<Tally> totals() const;

 private:
  struct alignas(64) Worker {
    std::vector<Tally> totals{};
    std::vector<std::uint32_t> scores{};  // of one lane
  };

  const Settings* settings_;
  const WinnerScores* winners_;
  std::vector<Worker> workers_;
};

}  // namespace countermark::scan
