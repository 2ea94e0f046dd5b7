// SPDX-License-Identifier: Apache-2.0
// What another program prints.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "verifier/io/stream.h"
#include "watermark/error.h"

namespace countermark::io {

// A running program and its standard output; it has no input, and what it says on standard error is
// dropped. Destroyed, it ends the program.
class Program final : public Stream {
 public:
  // Starts `command`, found on the PATH, without a shell. Python among them takes no module from
  // the current folder, which may be anybody's. kIo when it cannot be started.
  static Result<std::unique_ptr<Program>> start(const std::vector<std::string>& command);
  ~Program() override;

  Result<std::size_t> read(std::span<char> buffer) override;
  std::uint64_t taken() const noexcept override { return taken_; }

  // Waits for the end: the exit status, or 128 and the number of the signal that ended it.
  int wait();

 private:
  Program(int process, int output, std::string name)
      : process_(process), output_(output), name_(std::move(name)) {}

  int process_;
  int output_;
  std::string name_;
  std::optional<int> status_{};
  std::uint64_t taken_ = 0;
};

}  // namespace countermark::io
