// SPDX-License-Identifier: Apache-2.0
// Any bytes as strict JSON: what is accepted reads back the same, and every value is found where an
// error about it would point.
#include "watermark/json.h"

#include "tests/fuzz/fuzz.h"

namespace {

using countermark::JsonDocument;
using countermark::fuzz::require;
using nlohmann::json;

// Locating a value is linear in the text, so all of them take its square.
constexpr std::size_t kLongestLocated = 500;
constexpr int kMostLevels = 64;

// The value at `pointer`, and all inside it, stand where error_at says.
void check_located(const JsonDocument& document, std::string_view text, const json& value,
                   const std::string& pointer, int level) {
  require(level <= kMostLevels, "nesting is bounded");
  const auto error = document.error_at(pointer, countermark::ErrorCode::kInvalidInput, "x");
  countermark::fuzz::check_error(error, text.size());
  const std::size_t at = error.offset.value_or(text.size());
  const std::size_t end = countermark::skip_json_value(text, at);
  require(end != text.npos && end <= text.size(), "a value ends within the text");
  require(json::parse(text.substr(at, end - at)) == value, "a value stands where it is reported");
  if (value.is_object()) {
    for (const auto& [key, member] : value.items())
      check_located(document, text, member, pointer + "/" + countermark::json_pointer_part(key),
                    level + 1);
  } else if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i)
      check_located(document, text, value[i], pointer + "/" + std::to_string(i), level + 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto document = JsonDocument::parse(text);
  if (!document) {
    countermark::fuzz::check_error(document.error(), size);
    require(document.error().code == countermark::ErrorCode::kInvalidInput, "the code is pinned");
    require(document.error().offset.has_value(), "the error says where");
    // Text goes into the field, which is printed as such, never between our words.
    for (const char c : document.error().message)
      require(c >= ' ' && c <= '~', "a message is ours, not the text's");
    return 0;
  }
  require(json::accept(text), "we accept nothing that the library refuses");
  require(countermark::find_invalid_utf8(text) == countermark::kValidUtf8, "JSON is UTF-8");
  const auto again = JsonDocument::parse(document->root().dump());
  require(again && again->root() == document->root(), "what was read can be written and read");
  if (size <= kLongestLocated) check_located(*document, text, document->root(), "", 0);
  return 0;
}
