// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/plan.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "verifier/audit/plannable.h"
#include "watermark/json.h"
#include "watermark/prf/hash.h"
#include "watermark/utf8.h"

namespace countermark::audit {
namespace {

using nlohmann::json;

constexpr double kLeastAlpha = 1e-300;
constexpr double kMostAlpha = 0.5;
constexpr double kLeastPower = 0.51;
constexpr double kMostPower = 0.999;
constexpr std::uint64_t kMostTuples = std::uint64_t{1} << 53;
constexpr std::uint64_t kMostDecoys = 1'000'000;
constexpr std::size_t kLongestName = 255;
constexpr std::size_t kLongestNote = 4096;
// Parts are written in decimal and added in binary.
constexpr double kRounding = 1 + 1e-9;

template <typename T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

json to_json(const PlannedTest& test) {
  json out = {{"test", test.name}, {"alpha", decimal(test.alpha)}};
  const Plannable* const kind = find_plannable(test.name);
  if (kind != nullptr && kind->fixes_tuples) out["tuples"] = or_null(test.tuples);
  return out;
}

json to_json(const PlannedInputs& inputs) {
  return {{"reading", or_null(inputs.reading)},
          {"markedReading", or_null(inputs.marked_reading)},
          {"prompts", or_null(inputs.prompts)},
          {"transcripts", or_null(inputs.transcripts)},
          {"quoted", inputs.quoted}};
}

bool is_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == text.npos;
}

// The fields of a plan, with errors that name theirs.
class Fields {
 public:
  explicit Fields(const JsonDocument& plan) : plan_(plan) {}

  tl::unexpected<Error> bad(const std::string& pointer, std::string expected) const {
    return fail(plan_.error_at(pointer, ErrorCode::kInvalidInput, std::move(expected)));
  }

  // null where the plan says null.
  Result<const json*> present(const std::string& pointer) const {
    const json::json_pointer at(pointer);
    if (!plan_.root().contains(at)) return bad(pointer, "is missing");
    const json& value = plan_.root().at(at);
    return value.is_null() ? nullptr : &value;
  }

  Result<std::optional<std::string>> name(const std::string& pointer,
                                          std::size_t longest = kLongestName) const {
    COUNTERMARK_TRY(const json* const value, present(pointer));
    if (value == nullptr) return std::nullopt;
    COUNTERMARK_TRY(std::string text, plan_.string_at(pointer));
    if (text.empty() || text.size() > longest)
      return bad(pointer, "expected 1 to " + std::to_string(longest) + " bytes, or null");
    return text;
  }

  Result<std::optional<std::string>> digest(const std::string& pointer) const {
    COUNTERMARK_TRY(const json* const value, present(pointer));
    if (value == nullptr) return std::nullopt;
    COUNTERMARK_TRY(std::string text, plan_.string_at(pointer));
    if (text.size() != 64 || !is_hex(text))
      return bad(pointer, "expected a SHA-256 of 64 lower-case hex digits");
    return text;
  }

  // A part of one that is written in its one form.
  Result<double> alpha(const std::string& pointer) const {
    COUNTERMARK_TRY(const std::string text, plan_.string_at(pointer));
    double value = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    const bool is_part =
        error == std::errc() && stop == end && value >= kLeastAlpha && value <= kMostAlpha;
    if (!is_part || decimal(value) != text)
      return bad(pointer, "expected a number from 1e-300 to .5, such as \"5e-7\"");
    return value;
  }

  Result<double> power() const {
    COUNTERMARK_TRY(const json* const value, present("/power"));
    const bool is_power = value != nullptr && value->is_number() &&
                          value->get<double>() >= kLeastPower && value->get<double>() <= kMostPower;
    if (!is_power) return bad("/power", "expected a number from .51 to .999");
    return value->get<double>();
  }

  Result<std::size_t> array(const std::string& pointer) const {
    COUNTERMARK_TRY(const json* const value, present(pointer));
    if (value == nullptr || !value->is_array()) return bad(pointer, "expected an array");
    return value->size();
  }

  Result<PlannedTest> test(const std::string& at) const {
    COUNTERMARK_CHECK(plan_.only_members(at, {"test", "alpha", "tuples"}));
    PlannedTest out;
    COUNTERMARK_TRY(out.name, plan_.string_at(at + "/test"));
    const Plannable* const kind = find_plannable(out.name);
    if (kind == nullptr) return bad(at + "/test", "is not a test that this version knows");
    COUNTERMARK_TRY(out.alpha, alpha(at + "/alpha"));
    if (!kind->fixes_tuples) {
      COUNTERMARK_CHECK(plan_.only_members(at, {"test", "alpha"}));
      return out;
    }
    COUNTERMARK_TRY(const json* const tuples, present(at + "/tuples"));
    if (tuples != nullptr) {
      COUNTERMARK_TRY(out.tuples, plan_.unsigned_at(at + "/tuples", 1, kMostTuples));
    }
    return out;
  }

  Result<std::vector<PlannedTest>> tests() const {
    COUNTERMARK_TRY(const std::size_t size, array("/tests"));
    std::vector<PlannedTest> out;
    for (std::size_t i = 0; i < size; ++i) {
      const std::string at = "/tests/" + std::to_string(i);
      COUNTERMARK_TRY(PlannedTest next, test(at));
      for (const PlannedTest& earlier : out)
        if (earlier.name == next.name) return bad(at + "/test", "stands there twice");
      out.push_back(std::move(next));
    }
    if (out.empty()) return bad("/tests", "expected a test");
    return out;
  }

  Result<PlannedInputs> inputs() const {
    COUNTERMARK_CHECK(plan_.only_members(
        "/inputs", {"reading", "markedReading", "prompts", "transcripts", "quoted"}));
    PlannedInputs out;
    COUNTERMARK_TRY(out.reading, digest("/inputs/reading"));
    COUNTERMARK_TRY(out.marked_reading, digest("/inputs/markedReading"));
    COUNTERMARK_TRY(out.prompts, digest("/inputs/prompts"));
    COUNTERMARK_TRY(out.transcripts, digest("/inputs/transcripts"));
    COUNTERMARK_TRY(const std::size_t quoted, array("/inputs/quoted"));
    for (std::size_t i = 0; i < quoted; ++i) {
      const std::string at = "/inputs/quoted/" + std::to_string(i);
      COUNTERMARK_TRY(auto next, digest(at));
      if (!next || (!out.quoted.empty() && *next <= out.quoted.back()))
        return bad(at, "expected digests in ascending order, each once");
      out.quoted.push_back(*std::move(next));
    }
    return out;
  }

  Result<std::string> seed() const {
    COUNTERMARK_TRY(std::string out, plan_.string_at("/decoySeed"));
    if (out.size() % 2 != 0 || !is_hex(out))
      return bad("/decoySeed", "expected pairs of lower-case hex digits");
    return out;
  }

 private:
  const JsonDocument& plan_;
};

// What a test looks at, and must be fixed with it.
struct Needed {
  std::string_view test;
  std::optional<std::string> PlannedInputs::*input;
  const char* field;
};
constexpr std::array kNeeded = {
    Needed{"served-response", &PlannedInputs::transcripts, "transcripts"},
    Needed{"supervised-open", &PlannedInputs::transcripts, "transcripts"},
    Needed{"unsupervised-open", &PlannedInputs::reading, "reading"},
    Needed{"unsupervised-open-mass", &PlannedInputs::reading, "reading"},
    Needed{"marked-open", &PlannedInputs::marked_reading, "markedReading"},
    Needed{"supervised-closed", &PlannedInputs::transcripts, "transcripts"},
    Needed{"supervised-closed", &PlannedInputs::prompts, "prompts"},
    Needed{"unsupervised-closed", &PlannedInputs::prompts, "prompts"},
};

// What the parts are to each other.
Status check_together(const Plan& plan, const Fields& fields) {
  double spent = 0;
  for (const PlannedTest& test : plan.tests) {
    spent += test.alpha;
    const Plannable* const kind = find_plannable(test.name);
    if (kind->needs_key && !plan.profile)
      return fields.bad("/profile", test.name + " needs a profile");
    if (kind->needs_key && !plan.key_id) return fields.bad("/keyId", test.name + " needs a key");
    for (const Needed& needed : kNeeded)
      if (needed.test == test.name && !(plan.inputs.*needed.input))
        return fields.bad(std::string("/inputs/") + needed.field,
                          test.name + " looks at it: expected its SHA-256");
  }
  if (spent > plan.alpha * kRounding)
    return fields.bad("/tests", "the tests' parts come to more than alpha");
  return {};
}

}  // namespace

std::string decimal(double value) {
  std::array<char, 32> buffer;
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                    std::chars_format::scientific);
  std::string out(buffer.data(), result.ptr);
  // "5e-07" has a digit too many.
  const std::size_t exponent = out.find('e') + 2;
  while (exponent + 1 < out.size() && out[exponent] == '0') out.erase(exponent, 1);
  return out;
}

std::string canonical_json(const Plan& plan) {
  json tests = json::array();
  for (const PlannedTest& test : plan.tests) tests.push_back(to_json(test));
  const json out = {{"schema", kPlanSchema},
                    {"alpha", decimal(plan.alpha)},
                    {"power", plan.power},
                    {"tests", std::move(tests)},
                    {"profile", or_null(plan.profile)},
                    {"keyId", or_null(plan.key_id)},
                    {"account", or_null(plan.account)},
                    {"cohort", or_null(plan.cohort)},
                    {"decoys", plan.decoys},
                    {"decoySeed", plan.decoy_seed},
                    {"inputs", to_json(plan.inputs)},
                    {"suspect", or_null(plan.suspect)},
                    {"note", or_null(plan.note)}};
  return out.dump();
}

std::string digest_of(const Plan& plan) { return to_hex(sha256(canonical_json(plan))); }

Result<Plan> parse_plan(std::string_view text) {
  COUNTERMARK_TRY(const JsonDocument document, JsonDocument::parse(text));
  COUNTERMARK_CHECK(
      document.only_members("", {"schema", "alpha", "power", "tests", "profile", "keyId", "account",
                                 "cohort", "decoys", "decoySeed", "inputs", "suspect", "note"}));
  COUNTERMARK_TRY(const std::string schema, document.string_at("/schema"));
  if (schema != kPlanSchema)
    return fail(document.error_at("/schema", ErrorCode::kUnsupported,
                                  "expected '" + std::string(kPlanSchema) + "'"));
  const Fields fields(document);
  Plan out;
  COUNTERMARK_TRY(out.alpha, fields.alpha("/alpha"));
  COUNTERMARK_TRY(out.power, fields.power());
  COUNTERMARK_TRY(out.tests, fields.tests());
  COUNTERMARK_TRY(out.profile, fields.digest("/profile"));
  COUNTERMARK_TRY(out.key_id, fields.name("/keyId"));
  COUNTERMARK_TRY(out.account, fields.name("/account"));
  COUNTERMARK_TRY(out.cohort, fields.name("/cohort"));
  COUNTERMARK_TRY(const std::uint64_t decoys, document.unsigned_at("/decoys", 0, kMostDecoys));
  out.decoys = static_cast<std::uint32_t>(decoys);
  COUNTERMARK_TRY(out.decoy_seed, fields.seed());
  COUNTERMARK_TRY(out.inputs, fields.inputs());
  COUNTERMARK_TRY(out.suspect, fields.name("/suspect"));
  COUNTERMARK_TRY(out.note, fields.name("/note", kLongestNote));
  COUNTERMARK_CHECK(check_together(out, fields));
  return out;
}

Status check_plan(const Plan& plan) {
  for (const auto& [field, text] :
       {std::pair{"keyId", &plan.key_id}, std::pair{"account", &plan.account},
        std::pair{"cohort", &plan.cohort}, std::pair{"suspect", &plan.suspect},
        std::pair{"note", &plan.note}})
    if (*text && find_invalid_utf8(**text) != kValidUtf8)
      return fail(Error{ErrorCode::kInvalidArgument, "must be UTF-8", {}, field});
  for (const PlannedTest& test : plan.tests)
    if (find_invalid_utf8(test.name) != kValidUtf8)
      return fail(Error{ErrorCode::kInvalidArgument, "must be UTF-8", {}, "tests"});
  auto read = parse_plan(canonical_json(plan));
  if (read) return {};
  Error error = std::move(read).error();
  error.code = ErrorCode::kInvalidArgument;
  error.offset.reset();
  return fail(std::move(error));
}

}  // namespace countermark::audit
