// SPDX-License-Identifier: Apache-2.0
// What makes two pieces of work parts of one scan.
#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "watermark/error.h"

namespace countermark::scan {

// Which part of the inputs was read: the index-th of `count`, from 0.
struct Shard {
  std::uint32_t index = 0;
  std::uint32_t count = 1;

  bool operator==(const Shard&) const = default;
};

// A channel is a test and a layer: a tuple of it has one fingerprint. Its lanes are the streams
// (identity and slot) under which that tuple has scores. Lanes are numbered through all channels.
struct Settings {
  // Profiles, key ids, options, inputs: canonical JSON made by the caller, all that the result
  // depends on, and nothing secret. Work under other settings is refused.
  std::string json{};
  std::vector<std::uint32_t> lanes{};  // of each channel, 1 to kMostLanes
  Shard shard{};

  std::size_t channels() const noexcept { return lanes.size(); }
  // The number of the channel's first lane; of all lanes for channels().
  std::size_t first_lane(std::size_t channel) const noexcept {
    return std::accumulate(lanes.begin(), lanes.begin() + static_cast<std::ptrdiff_t>(channel),
                           std::size_t{0});
  }
  std::size_t all_lanes() const noexcept { return first_lane(channels()); }

  bool operator==(const Settings&) const = default;
};

inline constexpr std::uint32_t kMostChannels = 4096;
inline constexpr std::uint32_t kMostLanes = 4096;      // of a channel
inline constexpr std::uint32_t kMostAllLanes = 65536;  // of all channels
inline constexpr std::uint32_t kMostShards = 65536;
inline constexpr std::size_t kMostSettingsBytes = std::size_t{1} << 24;

// kInvalidArgument when one of these limits is broken or the shard is none of its count.
Status check_settings(const Settings& settings);

// SHA-256 of the JSON in hexadecimal: the name of the settings.
std::string digest(const Settings& settings);

// The expected number of tuples that are lost among `tuples` distinct ones because another has the
// same 64-bit fingerprint: n^2 / 2^65. They drop evidence and never add any.
double expected_collisions(std::uint64_t tuples) noexcept;

}  // namespace countermark::scan
