// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/record.h"

#include <nlohmann/json.hpp>

#include "verifier/text/record_rules.h"
#include "watermark/utf8.h"

namespace countermark::text {
namespace {

using nlohmann::json;

class StrictValue {
 public:
  explicit StrictValue(const json& value) : value_(&value) {}

  bool is_null() const { return value_->is_null(); }
  bool is_object() const { return value_->is_object(); }
  bool is_array() const { return value_->is_array(); }

  std::optional<std::string_view> string() const {
    if (!value_->is_string()) return std::nullopt;
    return value_->get_ref<const std::string&>();
  }
  std::optional<std::uint64_t> unsigned_integer() const {
    // With a sign, as in -0, the library makes it a signed one.
    if (!value_->is_number_integer() || *value_ < 0) return std::nullopt;
    return value_->get<std::uint64_t>();
  }
  std::optional<std::string> integer_text() const {
    if (!value_->is_number_integer()) return std::nullopt;
    return value_->dump();
  }
  std::optional<StrictValue> member(std::string_view name) const {
    if (!is_object()) return std::nullopt;
    const auto found = value_->find(name);
    if (found == value_->end()) return std::nullopt;
    return StrictValue(*found);
  }
  std::optional<StrictValue> element(std::size_t index) const {
    if (index >= value_->size()) return std::nullopt;
    return StrictValue((*value_)[index]);
  }
  template <typename Visit>
  Status for_each(const Visit& visit) const {
    for (std::size_t i = 0; i < value_->size(); ++i)
      COUNTERMARK_CHECK(visit(StrictValue((*value_)[i]), i));
    return {};
  }

 private:
  const json* value_;
};

class StrictSource {
 public:
  using Value = StrictValue;

  explicit StrictSource(const JsonDocument& record) : json_(record) {}
  Value root() const { return Value(json_.root()); }
  Error error_at(const std::string& pointer, std::string message) const {
    return json_.error_at(pointer, ErrorCode::kInvalidInput, std::move(message));
  }

 private:
  const JsonDocument& json_;
};

}  // namespace

Result<Document> parse_record(std::string_view bytes, const ReaderOptions& options) {
  COUNTERMARK_CHECK(check_utf8(bytes));
  COUNTERMARK_TRY(const JsonDocument record, JsonDocument::parse(bytes));
  const StrictSource source(record);
  return RecordRules(source, options).parse();
}

}  // namespace countermark::text
