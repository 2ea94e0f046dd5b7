// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/json_lines.h"

#include "watermark/json.h"

namespace countermark::text {

Result<RecordLines> RecordLines::open(const std::string& path, std::size_t longest) {
  COUNTERMARK_TRY(io::Input input, io::Input::open(path));
  return RecordLines(LineReader(std::move(input), longest), longest);
}

Result<std::optional<std::string_view>> RecordLines::next() {
  for (;;) {
    COUNTERMARK_TRY(const std::optional<Line> line, lines_.next());
    if (!line) return std::optional<std::string_view>{};
    if (skip_json_space(line->bytes, 0) == line->bytes.size() && !line->too_long) continue;
    ++record_;
    offset_ = line->offset;
    if (line->too_long) return fail(in_file(too_long_error(longest_)));
    return std::optional(line->bytes);
  }
}

Error RecordLines::in_file(Error error) const {
  const std::string record = "record " + std::to_string(record_);
  error.field = error.field.empty() ? record : record + ", " + error.field;
  error.offset = offset_ + error.offset.value_or(0);
  return std::move(error).in_file(lines_.name());
}

}  // namespace countermark::text
