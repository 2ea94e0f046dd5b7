// SPDX-License-Identifier: Apache-2.0
#include "watermark/draw.h"

namespace countermark {

const char* draw_kind_name(DrawKind kind) noexcept {
  switch (kind) {
    case DrawKind::kMarked:
      return "marked";
    case DrawKind::kShortContext:
      return "short-context";
    case DrawKind::kRepeated:
      return "repeated";
    case DrawKind::kHistoryFull:
      return "history-full";
    case DrawKind::kNoIdentity:
      return "no-identity";
    case DrawKind::kRedraw:
      return "redraw";
    case DrawKind::kOneCandidate:
      return "one-candidate";
    case DrawKind::kGreedy:
      return "greedy";
    case DrawKind::kOff:
      return "off";
    case DrawKind::kFailed:
      return "failed";
  }
  return "";
}

}  // namespace countermark
