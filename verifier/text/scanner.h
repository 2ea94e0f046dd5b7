// SPDX-License-Identifier: Apache-2.0
// Ends of pieces out of a text, many at a time, as one Scan has it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "verifier/text/kernels/dispatch.h"
#include "verifier/text/scan.h"

namespace countermark::text {

class Scanner {
 public:
  // `text` is valid UTF-8 and outlives this object.
  Scanner(const Scan& scan, const TextKernel& kernel, std::string_view text)
      : scan_(&scan), kernel_(&kernel), text_(text) {}

  // Where the pieces begin that the next call finds.
  const char* position() const { return text_.data() + begin_; }

  // Fills `ends` with ends of pieces, in bytes from position(), and returns how many. None at the
  // end of the text, and where a piece has nearly 4 GiB: is_at_end tells. Best with room for some
  // hundreds. O(text) over all calls, no allocation.
  std::size_t next(std::span<std::uint32_t> ends);

  bool is_at_end() const { return begin_ == text_.size(); }

 private:
  static constexpr std::size_t kBlocks = 16;

  void fill();
  void load(std::size_t first, std::size_t count);
  template <CharacterSets kSets>
  void refine(std::size_t slot);

  const Scan* scan_;
  const TextKernel* kernel_;
  std::string_view text_;
  std::size_t begin_ = 0;  // of the first piece not yet returned
  std::size_t at_ = 0;     // of slot 0
  std::size_t count_ = 0;  // blocks in the slots from 0, of which `done_` have been returned
  std::size_t done_ = 0;
  ScanCarry carry_{};
  std::array<Bits, kBlocks> starts_;
  // One more to look ahead at, and one for what the last character of that spills over.
  std::array<Masks, kBlocks + 2> slots_;
};

}  // namespace countermark::text
