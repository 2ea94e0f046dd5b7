// SPDX-License-Identifier: Apache-2.0
// Base64 (RFC 4648, section 4) with its padding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace countermark::text {

// Whether `c` belongs to the alphabet.
bool is_base64(char c);

// The bytes that `text` encodes; nothing if it is empty or no base64.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace countermark::text
