// SPDX-License-Identifier: Apache-2.0
// A line on the terminal that says how far long work is. Nothing when standard error is not one.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace countermark::cli {

class Progress {
 public:
  // `total` 0: unknown, then no time left is shown. `unit` is plural: "answers".
  Progress(std::string unit, std::uint64_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void advance(std::uint64_t count = 1);

 private:
  using Clock = std::chrono::steady_clock;

  std::string unit_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
  bool terminal_;
  bool shown_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_ = start_;
};

}  // namespace countermark::cli
