// SPDX-License-Identifier: Apache-2.0
// A file line by line, in memory for one line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "verifier/io/file.h"
#include "watermark/error.h"

namespace countermark::text {

struct Line {
  std::string_view bytes{};  // without its line feed; valid until the next one is read
  std::uint64_t offset = 0;  // of its first byte in the file
  bool too_long = false;     // then `bytes` are the first of it
};

// Not for several threads at once.
class LineReader {
 public:
  // Of a line at most `longest` bytes are held.
  LineReader(io::Input input, std::size_t longest) : source_(std::move(input)), longest_(longest) {}

  // The next line, nothing at the end, or why the file cannot be read, which names it; after such
  // an error the end is reached.
  Result<std::optional<Line>> next();

  const std::string& name() const noexcept { return source_.name(); }

 private:
  io::Input source_;
  std::size_t longest_;
  std::uint64_t offset_ = 0;  // of the next byte after the current line
  std::string piece_{};       // what was read last
  std::size_t used_ = 0;      // how much of it
  bool ended_ = false;
  std::string line_{};
};

// What is said of a line that is too long.
Error too_long_error(std::size_t longest);

}  // namespace countermark::text
