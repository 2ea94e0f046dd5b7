// SPDX-License-Identifier: Apache-2.0
// What a draw says of itself.
#pragma once

#include <cstddef>
#include <cstdint>

#include "watermark/token.h"

namespace countermark {

// Why a token was drawn the way it was. Everything but kMarked is an unmarked draw.
enum class DrawKind : std::uint8_t {
  kMarked,
  kShortContext,  // fewer tokens than the width that decides
  kRepeated,      // this context was used before in the response
  kHistoryFull,   // more contexts than the response was made for
  kNoIdentity,    // the layer's identity was not given
  kRedraw,        // attempt > 0
  kOneCandidate,  // nothing to choose
  kGreedy,        // temperature 0
  kOff,           // marking is switched off, or not wanted for this response
  kFailed,        // there was no key when the response began
};

inline constexpr std::size_t kDrawKinds = 10;

// "marked", "short-context", …
const char* draw_kind_name(DrawKind kind) noexcept;

struct Draw {
  TokenId token = 0;
  DrawKind kind = DrawKind::kMarked;
  std::uint8_t layer = 0;  // of a marked draw
};

}  // namespace countermark
