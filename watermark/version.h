// SPDX-License-Identifier: Apache-2.0
// The version of this library, printed by every output.
#pragma once

#include <string_view>

namespace countermark {

inline constexpr std::string_view kVersion = "0.2.0";

}  // namespace countermark
