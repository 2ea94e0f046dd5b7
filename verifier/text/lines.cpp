// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/lines.h"

#include <algorithm>
#include <utility>

namespace countermark::text {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 18;

}  // namespace

Result<std::optional<Line>> LineReader::next() {
  Line line;
  line.offset = offset_;
  line_.clear();
  bool any = false;
  for (bool complete = false; !complete;) {
    if (used_ == piece_.size()) {
      if (ended_) break;
      piece_.resize(kPiece);
      used_ = 0;
      auto count = source_.read(piece_);
      ended_ = !count || *count == 0;
      piece_.resize(ended_ ? 0 : *count);
      if (!count) return fail(std::move(count).error());
      if (ended_) break;
    }
    any = true;
    const std::string_view rest = std::string_view(piece_).substr(used_);
    const std::size_t length = std::min(rest.find('\n'), rest.size());
    line.too_long = line.too_long || length > longest_ - line_.size();
    if (!line.too_long) line_.append(rest.substr(0, length));
    complete = length < rest.size();
    used_ += length + (complete ? 1 : 0);
    offset_ += length + (complete ? 1 : 0);
  }
  if (!any) return std::optional<Line>{};
  line.bytes = line_;
  return std::optional<Line>(line);
}

Error too_long_error(std::size_t longest) {
  return Error{ErrorCode::kInvalidInput,
               "expected at most " + std::to_string(longest) + " bytes in a line"};
}

}  // namespace countermark::text
