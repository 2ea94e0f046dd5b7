// SPDX-License-Identifier: Apache-2.0
// Access to a tokenizer.json, every member of which is either understood or refused.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "watermark/error.h"
#include "watermark/json.h"

namespace countermark::text {

class TokenizerFields {
 public:
  explicit TokenizerFields(const JsonDocument& file) : file_(file), root_(file.root()) {}

  // The value at `pointer`; null when it is missing, which means the same everywhere.
  const nlohmann::json& value(const std::string& pointer) const {
    static const nlohmann::json kNull;
    const nlohmann::json::json_pointer at(pointer);
    return root_.contains(at) ? root_.at(at) : kNull;
  }

  tl::unexpected<Error> bad(const std::string& pointer, std::string message) const {
    return fail(file_.error_at(pointer, ErrorCode::kInvalidInput, std::move(message)));
  }

  tl::unexpected<Error> unsupported(const std::string& pointer, std::string message) const {
    return fail(file_.error_at(pointer, ErrorCode::kUnsupported, std::move(message)));
  }

  Status only(const std::string& pointer, std::initializer_list<std::string_view> names) const {
    return file_.only_members(pointer, names, ErrorCode::kUnsupported);
  }

  // kUnsupported unless the value at `pointer` is one of `known`.
  Status one_of(const std::string& pointer, std::initializer_list<nlohmann::json> known) const {
    const nlohmann::json& given = value(pointer);
    for (const nlohmann::json& candidate : known)
      if (given == candidate) return {};
    constexpr std::size_t kMostShown = 60;
    std::string shown = given.is_string() ? "'" + given.get<std::string>() + "'" : given.dump();
    if (shown.size() > kMostShown) shown = std::string("a long ") + given.type_name();
    return unsupported(pointer, shown + " is not supported");
  }

  Status flag(const std::string& pointer) const { return one_of(pointer, {nullptr, false, true}); }

  // Calls `each` with the pointer of every component: those of the sequence, whose list is called
  // `list`, or the one that stands at `pointer` itself.
  template <typename Each>
  Status components(const std::string& pointer, const std::string& list, const Each& each) const {
    if (!value(pointer).is_object()) return one_of(pointer, {});
    if (value(pointer + "/type") != "Sequence") return each(pointer);
    COUNTERMARK_CHECK(only(pointer, {"type", list}));
    const std::string inside = pointer + "/" + list;
    if (!value(inside).is_array()) return bad(inside, "expected an array");
    for (std::size_t i = 0; i < value(inside).size(); ++i)
      COUNTERMARK_CHECK(each(inside + "/" + std::to_string(i)));
    return {};
  }

  const JsonDocument& file() const { return file_; }

 private:
  const JsonDocument& file_;
  const nlohmann::json& root_;
};

}  // namespace countermark::text
