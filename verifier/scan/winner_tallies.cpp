// SPDX-License-Identifier: Apache-2.0
#include "verifier/scan/winner_tallies.h"

#include "verifier/scan/assign.h"

namespace countermark::scan {

WinnerTallies::WinnerTallies(const Settings& settings, const WinnerScores& winners,
                             unsigned workers)
    : settings_(&settings), winners_(&winners), workers_(workers) {
  for (Worker& worker : workers_) worker.totals.resize(settings.all_lanes());
}

void WinnerTallies::add(unsigned worker, std::size_t channel,
                        std::span<const std::uint32_t> records) {
  if (records.empty()) return;
  Worker& mine = workers_[worker];
  const std::size_t lanes = settings_->lanes[channel];
  const std::size_t stride = kRecordHead + lanes;
  const std::size_t first_lane = settings_->first_lane(channel);
  const std::size_t size = records.size() / stride;
  if (mine.scores.size() < size) mine.scores.resize(size);
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    const std::uint32_t* const from = &records[kRecordHead + lane];
    std::uint32_t* const to = mine.scores.data();
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < size; ++i) sum += to[i] = from[i * stride];
    mine.totals[first_lane + lane] += Tally{size, sum};
    if (*winners_) (*winners_)(worker, first_lane + lane, {to, size});
  }
}

std::vector<Tally> WinnerTallies::totals() const {
  std::vector<Tally> sums(settings_->all_lanes());
  for (const Worker& worker : workers_)
    for (std::size_t lane = 0; lane < sums.size(); ++lane) sums[lane] += worker.totals[lane];
  return sums;
}

}  // namespace countermark::scan
