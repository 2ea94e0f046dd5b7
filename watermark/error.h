// SPDX-License-Identifier: Apache-2.0
// How a function says that its input was bad: Result<T>, an Error or a T.
//
// Errors are for bad input, permissions and the outside world. Statistical outcomes ("not
// detected", "too short") are verdicts, and a caller's mistake is an assertion.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace countermark {

// Pinned: a number is never reused and never changes its meaning.
enum class ErrorCode : int {
  kInvalidArgument = 1,  // a parameter outside its documented range
  kInvalidInput = 10,    // malformed bytes in a file or record
  kMismatch = 11,        // well formed, but does not belong to the rest (digest, id out of range)
  kUnsupported = 12,     // well formed, but this version does not know it (scheme, kernel, format)
  kKey = 20,             // key text malformed, or a key of the wrong kind
  kPermission = 21,      // a key that others can read, a file that we may not read
  kIo = 30,              // the operating system refused to read or write
  kExists = 31,          // the output exists and may not be replaced
  kNoCandidate = 40,     // a row of logits without one finite entry
  kInternal = 70,        // a broken invariant of ours
};

// The stable name of a code, as printed in machine-readable output: "invalid-input".
const char* error_code_name(ErrorCode code) noexcept;

// What went wrong and where. `message` says what was expected; it never contains key material.
// `file`, `field` and `offset` (bytes from the start of the file or, in a record, of the record)
// are filled in by whoever knows them.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
  std::string file{};
  std::string field{};
  std::optional<std::uint64_t> offset{};

  // "FILE: FIELD (byte N): MESSAGE", leaving out what is not known.
  std::string describe() const;

  // The same error, located in `name`; an error that already names a file keeps it.
  Error in_file(std::string name) && {
    if (file.empty()) file = std::move(name);
    return std::move(*this);
  }
};

template <typename T>
using Result = tl::expected<T, Error>;

using Status = Result<void>;

// Makes the failed side of any Result<T>.
inline tl::unexpected<Error> fail(ErrorCode code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}
inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

}  // namespace countermark

// Evaluates `expression`, a Result; returns its error from the enclosing function, or declares
// `variable` with its value.
// NOLINTBEGIN(bugprone-macro-parentheses): `variable` is a declaration
#define COUNTERMARK_TRY_CONCAT_(a, b) a##b
#define COUNTERMARK_TRY_NAME_(line) COUNTERMARK_TRY_CONCAT_(countermark_result_, line)
#define COUNTERMARK_TRY(variable, expression)                                       \
  auto COUNTERMARK_TRY_NAME_(__LINE__) = (expression);                              \
  if (!COUNTERMARK_TRY_NAME_(__LINE__))                                             \
    return ::countermark::fail(std::move(COUNTERMARK_TRY_NAME_(__LINE__)).error()); \
  variable = std::move(*COUNTERMARK_TRY_NAME_(__LINE__))

// NOLINTEND(bugprone-macro-parentheses)

// The same for a Status.
#define COUNTERMARK_CHECK(expression)                                                           \
  do {                                                                                          \
    auto countermark_status = (expression);                                                     \
    if (!countermark_status) return ::countermark::fail(std::move(countermark_status).error()); \
  } while (false)
