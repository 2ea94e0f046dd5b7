// SPDX-License-Identifier: Apache-2.0
// A stream that gives so many bytes at a time, as a pipe may.
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include "verifier/io/stream.h"

namespace countermark::tests {

class Drip final : public io::Stream {
 public:
  Drip(std::string bytes, std::size_t most) : bytes_(std::move(bytes)), most_(most) {}
  Result<std::size_t> read(std::span<char> buffer) override {
    const std::size_t count = std::min({most_, buffer.size(), bytes_.size() - used_});
    std::copy_n(bytes_.data() + used_, count, buffer.data());
    used_ += count;
    return count;
  }
  std::uint64_t taken() const noexcept override { return used_; }

 private:
  std::string bytes_;
  std::size_t most_;
  std::size_t used_ = 0;
};

}  // namespace countermark::tests
