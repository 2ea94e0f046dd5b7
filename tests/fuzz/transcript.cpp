// SPDX-License-Identifier: Apache-2.0
// Any bytes as the record of an answer: what is read keeps the rules and has one form, and what is
// refused is refused at a place.
#include "verifier/text/transcript.h"

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using countermark::fuzz::require;
  namespace text = countermark::text;

  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto read = countermark::fuzz::check_line<text::Transcript>(bytes, text::parse_transcript,
                                                                    text::to_json_line);
  if (!read) {
    require(text::parse_transcript(bytes).error().offset.has_value(), "the error says where");
    return 0;
  }
  require(text::check_transcript(*read).has_value(), "what is read keeps the rules");
  const std::string line = text::to_json_line(*read);
  const auto again = countermark::fuzz::must(text::parse_transcript(line), "a line can be read");
  require(text::to_json_line(again) == line, "a record has one form");
  return 0;
}
