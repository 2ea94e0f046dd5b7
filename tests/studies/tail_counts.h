// SPDX-License-Identifier: Apache-2.0
// P-values of null tests, counted at the levels 10^-1, 10^-2, … from below and from above, beside
// the most that chance allows.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>

#include "tests/studies/common.h"
#include "verifier/stats/limits.h"

namespace countermark::studies {

class TailCounts {
 public:
  static constexpr std::size_t kLevels = 6;

  void add(double p) {
    ++total_;
    sum_ += p;
    for (std::size_t i = 0; i < kLevels; ++i) {
      low_[i] += p <= level(i);
      high_[i] += 1 - p <= level(i);
    }
  }

  TailCounts& operator+=(const TailCounts& other) {
    total_ += other.total_;
    sum_ += other.sum_;
    for (std::size_t i = 0; i < kLevels; ++i) {
      low_[i] += other.low_[i];
      high_[i] += other.high_[i];
    }
    return *this;
  }

  std::uint64_t total() const { return total_; }
  std::uint64_t at_or_below(std::size_t i) const { return low_[i]; }

  // Both tails against Poisson's limits with a false alarm of 1e-4 each; of a bound the lower one
  // alone.
  void check(const char* name, Checks& checks, std::size_t levels = kLevels,
             bool is_bound = false) const {
    std::printf("\n%s: %llu p-values, mean %.4f\n", name, static_cast<unsigned long long>(total_),
                sum_ / static_cast<double>(total_));
    std::printf(
        "level     expected  at or below  at or above 1 - level  most (false alarm 1e-4)\n");
    for (std::size_t i = 0; i < levels; ++i) {
      const double expected = static_cast<double>(total_) * level(i);
      const std::uint64_t most = stats::poisson_upper_limit(expected, 1e-4);
      std::printf("%-8g  %8.1f  %11llu  %21llu  %4llu\n", level(i), expected,
                  static_cast<unsigned long long>(low_[i]),
                  static_cast<unsigned long long>(high_[i]), static_cast<unsigned long long>(most));
      checks.add(std::string(name) + " at 1e-" + std::to_string(i + 1),
                 low_[i] <= most && (is_bound || high_[i] <= most));
    }
  }

  static double level(std::size_t i) { return std::pow(10.0, -static_cast<double>(i + 1)); }

 private:
  std::uint64_t total_ = 0;
  double sum_ = 0;
  std::array<std::uint64_t, kLevels> low_{};
  std::array<std::uint64_t, kLevels> high_{};
};

}  // namespace countermark::studies
