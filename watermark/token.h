// SPDX-License-Identifier: Apache-2.0
// The vocabulary's index of a token, and views over runs of them.
#pragma once

#include <cstdint>
#include <span>

namespace countermark {

using TokenId = std::uint32_t;
using TokenSpan = std::span<const TokenId>;  // oldest first

}  // namespace countermark
