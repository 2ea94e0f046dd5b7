// SPDX-License-Identifier: Apache-2.0
// SHA-256 of bytes that come in pieces, as those of a file that is larger than memory.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

namespace countermark {

class LongHash {
 public:
  LongHash();
  ~LongHash();
  LongHash(const LongHash&) = delete;
  LongHash& operator=(const LongHash&) = delete;

  void add(std::string_view bytes);
  // Of all that was added since it was made, or since the last time.
  std::array<std::uint8_t, 32> sha256();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace countermark
