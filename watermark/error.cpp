// SPDX-License-Identifier: Apache-2.0
#include "watermark/error.h"

namespace countermark {

const char* error_code_name(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "invalid-argument";
    case ErrorCode::kInvalidInput:
      return "invalid-input";
    case ErrorCode::kMismatch:
      return "mismatch";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kKey:
      return "key";
    case ErrorCode::kPermission:
      return "permission";
    case ErrorCode::kIo:
      return "io";
    case ErrorCode::kExists:
      return "exists";
    case ErrorCode::kNoCandidate:
      return "no-candidate";
    case ErrorCode::kInternal:
      return "internal";
  }
  return "internal";
}

std::string Error::describe() const {
  std::string text;
  const auto append = [&text](const std::string& part) {
    if (!text.empty() && !part.empty()) text += ": ";
    text += part;
  };
  append(file);
  append(field);
  if (offset)
    text +=
        (text.empty() ? "byte " : " (byte ") + std::to_string(*offset) + (text.empty() ? "" : ")");
  append(message);
  return text;
}

}  // namespace countermark
