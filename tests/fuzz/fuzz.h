// SPDX-License-Identifier: Apache-2.0
// What the fuzz targets share. Each target is one LLVMFuzzerTestOneInput whose claims hold for
// every input; the engine (clang's libFuzzer, or replay.cpp over the seeds) only supplies bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "watermark/error.h"
#include "watermark/utf8.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace countermark::fuzz {

// Stops the program, in every build, when a claim does not hold.
inline void require(bool holds, const char* claim) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", claim);
  std::abort();
}

// The value of a Result that must be one.
template <typename T>
T must(Result<T> result, const char* claim) {
  if (!result) std::fprintf(stderr, "%s\n", result.error().describe().c_str());
  require(result.has_value(), claim);
  return *std::move(result);
}

// What every error about `size` bytes of input keeps.
inline void check_error(const Error& error, std::size_t size) {
  require(!error.message.empty(), "an error says something");
  require(find_invalid_utf8(error.describe()) == kValidUtf8, "an error can be printed");
  require(!error.offset || *error.offset <= size, "an error's offset lies within the input");
  require(error.code != ErrorCode::kInternal, "no input breaks an invariant");
}

// Any bytes as a line of one of our files: a record that is read can be written and read again, as
// one line, and what is refused is refused with one of two codes. Returns the record.
template <typename Record>
std::optional<Record> check_line(std::string_view bytes, Result<Record> (*parse)(std::string_view),
                                 std::string (*write)(const Record&)) {
  auto read = parse(bytes);
  if (!read) {
    check_error(read.error(), bytes.size());
    const ErrorCode code = read.error().code;
    require(code == ErrorCode::kInvalidInput || code == ErrorCode::kUnsupported,
            "the code is pinned");
    return std::nullopt;
  }
  const std::string line = write(*read);
  require(line.find('\n') == line.size() - 1, "a record is one line");
  require(must(parse(line), "a line can be read") == *read, "a line holds the record");
  return *std::move(read);
}

// Decisions out of the first bytes of an input; the others are what it is about. Zeros when the
// bytes have run out.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size)
      : bytes_(reinterpret_cast<const char*>(data), size) {}

  bool empty() const { return bytes_.empty(); }

  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(bytes_.front());
    bytes_.remove_prefix(1);
    return value;
  }

  std::uint32_t below(std::uint32_t bound) { return byte() % bound; }

  std::string_view rest() { return std::exchange(bytes_, {}); }

 private:
  std::string_view bytes_;
};

}  // namespace countermark::fuzz
