// SPDX-License-Identifier: Apache-2.0
// What the studies share: fixed keys, an even spread of work over threads, and tables.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "watermark/error.h"
#include "watermark/key.h"

namespace countermark::studies {

// The value of a Result, or the end of the program with its error.
template <typename T>
T need(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "study: error: %s\n", result.error().describe().c_str());
  std::exit(3);
}

// Key number `index` of a study. The name is the seed, fixed before the first run.
inline EpochKey study_key(const std::string& study, std::uint64_t index) {
  const EpochKey base = need(EpochKey::create(Secret<32>(), "study", study));
  return base.decoy(as_bytes(study), index);
}

// 32 bytes that belong to (study, what, index): nonces and plain keys.
inline std::array<std::uint8_t, 32> study_bytes(const std::string& study, const std::string& what,
                                                std::uint64_t index) {
  return expand_key(as_bytes(study), {what, std::to_string(index)});
}

inline Secret<16> study_plain_key(const std::string& study, std::uint64_t index) {
  return Secret<16>(study_bytes(study, "plain key", index));
}

// Calls work(i) for i in [0, count) on all processors; progress on standard error.
template <typename Work>
void in_parallel(std::uint64_t count, const char* unit, Work work) {
  std::atomic<std::uint64_t> next{0};
  const auto loop = [&] {
    for (std::uint64_t i = next++; i < count; i = next++) {
      work(i);
      const std::uint64_t step = count / 20 + 1;
      if ((i + 1) % step == 0)
        std::fprintf(stderr, "%llu of %llu %s\n", static_cast<unsigned long long>(i + 1),
                     static_cast<unsigned long long>(count), unit);
    }
  };
  std::vector<std::jthread> pool;
  for (unsigned i = 1; i < std::max(1U, std::thread::hardware_concurrency()); ++i)
    pool.emplace_back(loop);
  loop();
}

// Prints a line of a study's check and remembers whether all passed.
class Checks {
 public:
  void add(const std::string& what, bool passed) {
    std::printf("%s  %s\n", passed ? "pass" : "FAIL", what.c_str());
    all_ = all_ && passed;
  }
  int exit_code() const { return all_ ? 0 : 1; }

 private:
  bool all_ = true;
};

}  // namespace countermark::studies
