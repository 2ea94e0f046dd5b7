// SPDX-License-Identifier: Apache-2.0
// Strict JSON with positions: nlohmann-json plus the byte offset of what an error is about.
//
// Duplicate keys, trailing bytes, invalid UTF-8 and numbers out of range are errors. For small
// files only (profiles, tokenizers, manifests); bulk input has its own readers.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "watermark/error.h"

namespace countermark {

class JsonDocument {
 public:
  // Parses `bytes` (UTF-8, no byte order mark). An error carries the offset at which the text
  // stopped being valid.
  static Result<JsonDocument> parse(std::string_view bytes);

  const nlohmann::json& root() const noexcept { return root_; }

  // An error about the value at `pointer` ("/layers/1/share", or "" for the whole), with its
  // name and its offset.
  Error error_at(const std::string& pointer, ErrorCode code, std::string message) const;

  // Typed access to members that must exist; `pointer` names the value itself.
  Result<std::string> string_at(const std::string& pointer) const;
  Result<std::uint64_t> unsigned_at(const std::string& pointer, std::uint64_t least,
                                    std::uint64_t most) const;

  // Fails on the first member of the object at `pointer` that is not in `allowed`: an option
  // that is silently ignored is worse than one that is refused.
  Status only_members(const std::string& pointer,
                      std::initializer_list<std::string_view> allowed) const;

 private:
  const nlohmann::json* find(const std::string& pointer) const;

  nlohmann::json root_;
  // Offset of the end of the key, for members of the first levels (kMaxLocatedDepth).
  std::unordered_map<std::string, std::uint64_t> offsets_;
};

}  // namespace countermark
