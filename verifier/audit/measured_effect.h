// SPDX-License-Identifier: Apache-2.0
// How large an effect was where somebody measured it: what plans are made with. It decides nothing.
//
// To add a measurement is to add an entry to the table in measured_effect.cpp. A student of another
// size, trained otherwise or on other text, shows more or less.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace countermark::audit {

// What is measured of a tuple, and what chance gives.
struct Scale {
  // Green tokens, numerator / denominator of them by chance; 0 / 0: exponential scores, of mean 1.
  std::uint64_t numerator = 0;
  std::uint64_t denominator = 0;

  bool is_green() const noexcept { return denominator != 0; }
  double chance() const noexcept {
    return is_green() ? static_cast<double>(numerator) / static_cast<double>(denominator) : 1;
  }
};

struct EffectPoint {
  double share;   // of the training tokens that were marked, 0 to 1
  double excess;  // above chance
};

struct MeasuredEffect {
  std::string_view test;  // a name of plannable_tests()
  std::string_view mark;
  Scale scale{};
  std::span<const EffectPoint> points;  // by rising share; not empty
  // Below the first point: in proportion to the share, or the same as there (what was learned by
  // heart does not fade among other text).
  bool falls_with_share = true;
  // What the numbers are said to be.
  enum class Bound : std::uint8_t { kNone, kAtLeast, kAtMost } bound = Bound::kNone;
  std::string_view source;  // who measured it, how, on what
};

// In the order of plannable_tests(), of each test by source. Of one without an entry nobody has
// measured anything.
std::span<const MeasuredEffect> measured_effects() noexcept;

// At a share, 0 < share <= 1: between two points on the line between them, above the last as there.
struct EffectAt {
  double value;      // chance and excess
  bool is_measured;  // at this very share
};
EffectAt effect_at(const MeasuredEffect& effect, double share) noexcept;

}  // namespace countermark::audit
