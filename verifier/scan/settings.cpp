// SPDX-License-Identifier: Apache-2.0
#include "verifier/scan/settings.h"

#include <cmath>

#include "watermark/prf/hash.h"

namespace countermark::scan {

std::string digest(const Settings& settings) { return to_hex(sha256(settings.json)); }

Status check_settings(const Settings& settings) {
  const auto bad = [](const char* message) { return fail(ErrorCode::kInvalidArgument, message); };
  if (settings.lanes.empty() || settings.channels() > kMostChannels)
    return bad("expected 1 to 4096 channels");
  std::uint64_t all = 0;
  for (const std::uint32_t lanes : settings.lanes) {
    if (lanes == 0 || lanes > kMostLanes) return bad("expected 1 to 4096 lanes in each channel");
    all += lanes;
  }
  if (all > kMostAllLanes) return bad("expected at most 65536 lanes in all channels");
  if (settings.shard.index >= settings.shard.count || settings.shard.count > kMostShards)
    return bad("expected a shard that is one of its count, at most 65536");
  if (settings.json.size() > kMostSettingsBytes) return bad("expected settings of at most 16 MiB");
  return {};
}

double expected_collisions(std::uint64_t tuples) noexcept {
  const auto n = static_cast<double>(tuples);
  return std::ldexp(n * n, -65);
}

}  // namespace countermark::scan
