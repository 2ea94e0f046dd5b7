// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/served_scores.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "verifier/stats/rank_sum.h"
#include "watermark/json.h"

namespace countermark::audit {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

Error bad(const JsonDocument& record, const std::string& pointer, std::string message) {
  return record.error_at(pointer, ErrorCode::kInvalidInput, std::move(message));
}

// null: there is no such member.
const json* find(const JsonDocument& record, const char* name) {
  const auto member = record.root().find(name);
  return member == record.root().end() ? nullptr : &*member;
}

Result<double> number(const JsonDocument& record, const std::string& pointer, const json& value) {
  if (!value.is_number() || !std::isfinite(value.get<double>()))
    return fail(bad(record, pointer, "expected a number"));
  return value.get<double>();
}

Result<std::string> name(const JsonDocument& record, const std::string& pointer) {
  COUNTERMARK_TRY(std::string text, record.string_at(pointer));
  if (text.empty()) return fail(bad(record, pointer, "expected a name"));
  return text;
}

Result<std::vector<double>> regenerated(const JsonDocument& record) {
  const json* const array = find(record, "regenerated");
  if (array == nullptr) return fail(bad(record, "/regenerated", "is missing"));
  if (!array->is_array() || array->empty() || array->size() > stats::RankSum::kMostOthers)
    return fail(bad(
        record, "/regenerated",
        "expected an array of 1 to " + std::to_string(stats::RankSum::kMostOthers) + " numbers"));
  std::vector<double> out;
  for (const json& each : *array) {
    COUNTERMARK_TRY(const double value,
                    number(record, "/regenerated/" + std::to_string(out.size()), each));
    out.push_back(value);
  }
  return out;
}

}  // namespace

std::string to_json_line(const ServedScore& score) {
  ordered_json out = {{"schema", kScoresSchema}};
  out["id"] = score.id;
  out["account"] = score.account ? ordered_json(*score.account) : ordered_json(nullptr);
  out["served"] = score.served;
  out["regenerated"] = score.regenerated;
  out["keyId"] = score.key_id ? ordered_json(*score.key_id) : ordered_json(nullptr);
  out["neverServed"] = score.never_served;
  return out.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

Result<ServedScore> parse_served_score(std::string_view line) {
  COUNTERMARK_TRY(const JsonDocument record, JsonDocument::parse(line));
  COUNTERMARK_CHECK(record.only_members(
      "", {"schema", "id", "account", "served", "regenerated", "keyId", "neverServed"}));
  COUNTERMARK_TRY(const std::string schema, record.string_at("/schema"));
  if (schema != kScoresSchema)
    return fail(record.error_at("/schema", ErrorCode::kUnsupported,
                                "expected '" + std::string(kScoresSchema) + "'"));
  ServedScore out;
  COUNTERMARK_TRY(out.id, name(record, "/id"));
  if (const json* const account = find(record, "account");
      account == nullptr || !account->is_null()) {
    COUNTERMARK_TRY(out.account, name(record, "/account"));
  }
  const json* const served = find(record, "served");
  if (served == nullptr) return fail(bad(record, "/served", "is missing"));
  COUNTERMARK_TRY(out.served, number(record, "/served", *served));
  COUNTERMARK_TRY(out.regenerated, regenerated(record));
  if (const json* const key_id = find(record, "keyId"); key_id != nullptr && !key_id->is_null()) {
    COUNTERMARK_TRY(out.key_id, name(record, "/keyId"));
  }
  const json* const never_served = find(record, "neverServed");
  if (never_served == nullptr) return fail(bad(record, "/neverServed", "is missing"));
  if (!never_served->is_boolean())
    return fail(bad(record, "/neverServed", "expected true or false"));
  out.never_served = never_served->get<bool>();
  return out;
}

}  // namespace countermark::audit
