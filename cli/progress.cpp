// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.h"

#include <unistd.h>

#include <cstdio>
#include <utility>

namespace countermark::cli {

Progress::Progress(std::string unit, std::uint64_t total)
    : unit_(std::move(unit)), total_(total), terminal_(isatty(STDERR_FILENO) != 0) {}

Progress::~Progress() {
  if (shown_) std::fputs("\r\033[K", stderr);
}

void Progress::advance(std::uint64_t count) {
  done_ += count;
  const auto now = Clock::now();
  if (!terminal_ || now - last_ < std::chrono::milliseconds(200)) return;
  last_ = now;
  shown_ = true;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double rate = static_cast<double>(done_) / seconds;
  std::fprintf(stderr, "\r\033[K%llu", static_cast<unsigned long long>(done_));
  if (total_ > 0) std::fprintf(stderr, " of %llu", static_cast<unsigned long long>(total_));
  std::fprintf(stderr, " %s, %.1f/s", unit_.c_str(), rate);
  if (total_ > done_)
    std::fprintf(stderr, ", %.0f s left", static_cast<double>(total_ - done_) / rate);
}

}  // namespace countermark::cli
