// SPDX-License-Identifier: Apache-2.0
// Strict JSON with positions: nlohmann-json plus the byte offset of what an error is about.
//
// Duplicate keys, trailing bytes, a byte order mark, invalid UTF-8, numbers out of range and
// nesting deeper than 64 are errors. Holds the whole text; bulk input comes record by record.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "watermark/error.h"

namespace countermark {

// NOLINTNEXTLINE(bugprone-exception-escape): moving nlohmann's type is noexcept by its own word
class JsonDocument {
 public:
  // Parses `bytes` (UTF-8, no byte order mark). An error is kInvalidInput and carries the offset
  // at which the text stopped being valid; for a duplicate key, that of the second one. Linear;
  // keeps a copy of the text.
  static Result<JsonDocument> parse(std::string_view bytes);

  const nlohmann::json& root() const noexcept { return root_; }

  // An error about the value at `pointer` ("/layers/1/share", or "" for the whole), with its
  // readable name ("layers[1].share") and the offset of its first byte; when the value is
  // missing, that of the innermost value around it. Linear in the text.
  Error error_at(const std::string& pointer, ErrorCode code, std::string message) const;

  // Typed access to members that must exist (else kInvalidInput); `pointer` names the value
  // itself.
  Result<std::string> string_at(const std::string& pointer) const;
  Result<std::uint64_t> unsigned_at(const std::string& pointer, std::uint64_t least,
                                    std::uint64_t most) const;

  // Fails with `code` on the first member (in key order) of the object at `pointer` that is not
  // in `allowed`: an option that is silently ignored is worse than one that is refused.
  Status only_members(const std::string& pointer, std::initializer_list<std::string_view> allowed,
                      ErrorCode code = ErrorCode::kInvalidInput) const;

 private:
  const nlohmann::json* find(const std::string& pointer) const;

  nlohmann::json root_;
  std::string bytes_;
};

// One part of a JSON pointer, escaped (RFC 6901): "a/b~" is "a~1b~0".
std::string json_pointer_part(std::string_view key);

// The offset of the first byte at or after `at` that is not JSON white space; the size at the end.
std::size_t skip_json_space(std::string_view bytes, std::size_t at) noexcept;

// One past the last byte of the JSON value that begins at `at`, or npos when it does not end. Only
// quotes and brackets are looked at: the value itself may still be invalid.
std::size_t skip_json_value(std::string_view bytes, std::size_t at) noexcept;

}  // namespace countermark
