// SPDX-License-Identifier: Apache-2.0
// Tokens by their spelling.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "watermark/token.h"

namespace countermark::text {

// 100 times the largest vocabularies in use; bounds the memory that one id can ask for.
inline constexpr std::uint64_t kMostIds = std::uint64_t{1} << 24;

// Strings are looked up by views.
struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};
using IdsByString = std::unordered_map<std::string, TokenId, StringHash, std::equal_to<>>;

}  // namespace countermark::text
