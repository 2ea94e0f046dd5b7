// SPDX-License-Identifier: Apache-2.0
// The least of many numbers that change one by one: a tree over them, each of whose nodes is the
// least of eight, which a processor finds without a guess. A heap guesses at every level.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace countermark::text {

class Tournament {
 public:
  static constexpr std::uint64_t kNone = std::numeric_limits<std::uint64_t>::max();

  // All of `size` numbers (at most 2^32) are kNone; no memory is given back.
  void reset(std::size_t size) {
    levels_ = 0;
    std::size_t begin = 0;
    for (std::size_t count = std::max(size, std::size_t{1});;
         count = (count + kArity - 1) / kArity) {
      begins_[levels_++] = begin;
      begin += (count + kArity - 1) / kArity * kArity;
      if (count == 1) break;
    }
    nodes_.assign(begin, kNone);
  }

  // Sets a number before the first least; settle comes in between.
  void set(std::size_t at, std::uint64_t number) { nodes_[at] = number; }
  void settle() {
    for (std::size_t level = 1; level < levels_; ++level)
      for (std::size_t from = begins_[level - 1], to = begins_[level]; from < begins_[level];
           from += kArity)
        nodes_[to++] = least_of(from);
  }

  // Both O(log size).
  void change(std::size_t at, std::uint64_t number) {
    nodes_[at] = number;
    for (std::size_t level = 1; level < levels_; ++level) {
      at /= kArity;
      std::uint64_t& node = nodes_[begins_[level] + at];
      const std::uint64_t least = least_of(begins_[level - 1] + at * kArity);
      if (node == least) return;
      node = least;
    }
  }
  std::uint64_t least() const { return nodes_[begins_[levels_ - 1]]; }

 private:
  static constexpr std::size_t kArity = 8;
  static constexpr std::size_t kLevels = 12;  // 8^11 > 2^32

  std::uint64_t least_of(std::size_t from) const {
    std::uint64_t least = nodes_[from];
    for (std::size_t i = 1; i < kArity; ++i) least = std::min(least, nodes_[from + i]);
    return least;
  }

  // Level by level, the numbers first and a single node last, each filled up to whole eights.
  std::vector<std::uint64_t> nodes_{};
  std::array<std::size_t, kLevels> begins_{};
  std::size_t levels_ = 0;
};

}  // namespace countermark::text
