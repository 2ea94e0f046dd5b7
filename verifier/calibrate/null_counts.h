// SPDX-License-Identifier: Apache-2.0
// What p-values and scores of clean text look like, counted: sums of disjoint parts add up.
//
// Null law: a document's p-value is uniform where the law of its scores is continuous (Gumbel
// scores, whose rounding to 2^-20 moves nothing that could be counted), and a little larger where
// it is a count.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "verifier/detect/tally.h"
#include "watermark/null_model.h"

namespace countermark::calibrate {

// 1e-1 to 1e-6.
inline constexpr std::size_t kLevels = 6;
double level(std::size_t index) noexcept;

// The chances of a sum at least as large, and at most as large, in double precision. Of lists
// (NullLaw::kGreenList) by the binomial law, in both directions.
struct Tails {
  double upper = 1;
  double lower = 1;
};
Tails tails(const NullModel& model, const detect::Tally& tally);

// Whether p-values of this law are uniform, so that too few small ones are a fault, too.
bool is_continuous(const NullModel& model) noexcept;

struct NullCounts {
  static constexpr std::size_t kBins = 20;
  // Quarters of a power of ten, down to 1e-8.
  static constexpr std::size_t kSteps = 33;

  std::uint64_t judged = 0;                    // p-values
  std::array<std::uint64_t, kLevels> upper{};  // at or below each level
  std::array<std::uint64_t, kLevels> lower{};
  std::array<std::uint64_t, kBins> bins{};    // of the upper tail's
  std::array<std::uint64_t, kSteps> steps{};  // of them at or below 10^(-i/4)

  void add(const Tails& p) noexcept;
  NullCounts& operator+=(const NullCounts& other) noexcept;
  bool operator==(const NullCounts&) const = default;
};

__extension__ using WideSum = unsigned __int128;

// Scores of distinct tuples, in the unit of the law; exact integers.
struct ScoreSums {
  std::uint64_t n = 0;
  std::uint64_t sum = 0;
  WideSum squares = 0;  // below 2^50 each, so that n times their sum fits for 2^39 tuples

  void add(std::span<const std::uint32_t> scores) noexcept;
  ScoreSums& operator+=(const ScoreSums& other) noexcept;
  bool operator==(const ScoreSums&) const = default;
};

// Mean and variance, what the law says of them, and by how much chance moves them: standard errors
// under the law, by its fourth cumulant. Gumbel scores in nats, others as counts.
struct ScoreMoments {
  double mean = 0;
  double variance = 0;
  double expected_mean = 0;
  double expected_variance = 0;
  double mean_error = 0;
  double variance_error = 0;
};
ScoreMoments moments(const NullModel& model, const ScoreSums& sums);

}  // namespace countermark::calibrate
