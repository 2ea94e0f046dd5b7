// SPDX-License-Identifier: Apache-2.0
// Any bytes as the record of an answer: what is read keeps the rules and is written as it was
// read, so that the second reading finds the same.
#include "verifier/text/transcript.h"

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using countermark::ErrorCode;
  using countermark::fuzz::require;
  namespace text = countermark::text;

  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto read = text::parse_transcript(bytes);
  if (!read) {
    countermark::fuzz::check_error(read.error(), size);
    const ErrorCode code = read.error().code;
    require(code == ErrorCode::kInvalidInput || code == ErrorCode::kUnsupported,
            "the code is pinned");
    require(read.error().offset.has_value(), "the error says where");
    return 0;
  }
  require(text::check_transcript(*read).has_value(), "what is read keeps the rules");
  const std::string line = text::to_json_line(*read);
  require(line.find('\n') == line.size() - 1, "a record is one line");
  const auto again = countermark::fuzz::must(text::parse_transcript(line), "a line can be read");
  require(again == *read, "a line holds the record");
  require(text::to_json_line(again) == line, "a record has one form");
  return 0;
}
