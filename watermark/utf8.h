// SPDX-License-Identifier: Apache-2.0
// Whether bytes are UTF-8 (Unicode 15, section 3.9, table 3-7); nothing else about Unicode.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace countermark {

// The offset of the first byte that does not continue well-formed UTF-8 (overlong forms,
// surrogates and values above U+10FFFF are not well formed), or nothing. Linear.
std::optional<std::size_t> first_invalid_utf8(std::string_view bytes) noexcept;

}  // namespace countermark
