// SPDX-License-Identifier: Apache-2.0
// The metadata of a GGUF file (ggml's docs/gguf.md), versions 2 and 3, little-endian.
//
// Tensors, which follow the metadata, are not looked at.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "watermark/error.h"

namespace countermark::text {

// NOLINTNEXTLINE(bugprone-exception-escape): moving a map of the standard library may throw
class Gguf {
 public:
  // Reads all keys; `bytes` must outlive the result. kInvalidInput, with the offset, where the
  // file ends too early or a length, type or flag is not one; kUnsupported for another version.
  // Linear; allocates for keys only.
  static Result<Gguf> parse(std::string_view bytes);

  bool contains(std::string_view key) const { return values_.contains(key); }

  // Every key, in alphabetic order.
  std::vector<std::string_view> keys() const;

  // Typed values; kInvalidInput when the key is missing or has another type.
  Result<std::string_view> string_at(std::string_view key) const;
  Result<bool> bool_at(std::string_view key) const;
  Result<std::vector<std::string_view>> strings_at(std::string_view key) const;
  Result<std::vector<float>> floats_at(std::string_view key) const;
  Result<std::vector<std::int32_t>> integers_at(std::string_view key) const;

  // An error about the value of `key`, or about the whole file when it is missing.
  Error error_at(std::string_view key, ErrorCode code, std::string message) const;

 private:
  struct Value {
    std::uint32_t type = 0;
    std::uint32_t element_type = 0;  // of an array
    std::uint64_t count = 0;         // of an array
    std::string_view payload{};      // without a string's length; checked
    std::size_t offset = 0;          // of the payload in the file
  };
  class Cursor;

  Result<const Value*> find(std::string_view key, std::uint32_t type,
                            std::uint32_t element_type = 0) const;

  std::map<std::string_view, Value> values_{};
};

}  // namespace countermark::text
