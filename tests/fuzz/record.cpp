// SPDX-License-Identifier: Apache-2.0
// Any bytes as one record of JSON Lines: what simdjson and our rules make of it is what the strict
// parser makes of it, documents and errors alike.
#include "verifier/text/record.h"

#include <array>

#include "tests/fuzz/fuzz.h"
#include "verifier/text/raw_records.h"
#include "verifier/text/record_layout.h"

namespace {

using countermark::fuzz::require;
using countermark::text::Document;

void require_same(const Document& quick, const Document& strict) {
  require(quick.field == strict.field && (quick.id == strict.id || strict.id.empty()),
          "the same document");
  require(quick.segments.size() == strict.segments.size(), "as many segments");
  for (std::size_t i = 0; i < quick.segments.size(); ++i) {
    const auto& left = quick.segments[i];
    const auto& right = strict.segments[i];
    require(left.text == right.text && left.ids == right.ids && left.is_ids == right.is_ids &&
                left.scored == right.scored,
            "the same segments");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::array kTextFields = {"", "text", "messages", "a.0.b", "prompt"};
  constexpr std::array kIdsFields = {"", "", "ids", "a.ids"};
  constexpr std::array kRoles = {"assistant", "human", ""};

  countermark::fuzz::Input input(data, size);
  countermark::text::ReaderOptions options;
  options.text_field = kTextFields[input.below(kTextFields.size())];
  options.ids_field = kIdsFields[input.below(kIdsFields.size())];
  options.role = kRoles[input.below(kRoles.size())];
  const std::string_view bytes = input.rest();

  auto layout = std::make_shared<countermark::text::RecordLayout>();
  layout->input = "x";
  layout->format = countermark::text::Format::kJsonl;
  layout->longest_record = bytes.size();
  countermark::text::Batch batch;
  batch.layout = layout;
  // What is behind a record is the next one, which must not be seen.
  batch.bytes = std::string(bytes) + "\n{\"text\": \"" + std::string(100, ']');
  const countermark::text::RawRecord record{std::string_view(batch.bytes).substr(0, bytes.size()),
                                            1, 0, false};
  const auto quick = countermark::text::RecordParser(options).parse(batch, record);
  const auto strict = countermark::text::parse_record(bytes, options);
  require(quick.has_value() == strict.has_value(), "both take it, or neither");
  if (quick) {
    require_same(*quick, *strict);
    return 0;
  }
  countermark::fuzz::check_error(quick.error(), size);
  require(quick.error().message == strict.error().message &&
              quick.error().offset.value_or(0) == strict.error().offset.value_or(0),
          "the same error");
  return 0;
}
