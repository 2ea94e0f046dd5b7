// SPDX-License-Identifier: Apache-2.0
// Whether bytes are UTF-8. Everything else about Unicode comes from the libraries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "watermark/error.h"

namespace countermark {

inline constexpr std::size_t kValidUtf8 = std::string_view::npos;

// The offset of the first byte of `bytes` that begins no well-formed character (Unicode 15.0,
// table 3-7: overlong forms, surrogates and values above U+10FFFF are ill-formed, as is a
// character cut short at the end), or kValidUtf8.
std::size_t find_invalid_utf8(std::string_view bytes) noexcept;

// kInvalidInput at the byte found, which stands at `base` + its offset, when there is one.
Status check_utf8(std::string_view bytes, std::uint64_t base = 0);

// `bytes` with every byte that begins no well-formed character replaced by U+FFFD: text that a
// model ended, or wrote, inside a character.
std::string replace_invalid_utf8(std::string_view bytes);

}  // namespace countermark
