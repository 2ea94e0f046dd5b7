// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/transcript.h"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "watermark/json.h"
#include "watermark/prf/hash.h"
#include "watermark/profile.h"
#include "watermark/utf8.h"

namespace countermark::text {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::uint32_t kMostOfSlot = 65535;
constexpr std::array kFinishes = {Finish::kEnd, Finish::kLength, Finish::kAborted};
constexpr std::size_t kTimeSize = std::string_view("2026-11-21T10:02:35.123Z").size();

bool is_hex(std::string_view text, std::size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == text.npos;
}

// `digits` decimal digits of a number, at the end of `out`.
void append_number(std::string& out, unsigned value, unsigned digits) {
  const std::string number = std::to_string(value);
  out.append(digits - std::min<std::size_t>(digits, number.size()), '0');
  out += number;
}

std::string time_text(TranscriptTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  std::string out;
  append_number(out, static_cast<unsigned>(static_cast<int>(date.year())), 4);
  append_number(out += '-', static_cast<unsigned>(date.month()), 2);
  append_number(out += '-', static_cast<unsigned>(date.day()), 2);
  append_number(out += 'T', static_cast<unsigned>(clock.hours().count()), 2);
  append_number(out += ':', static_cast<unsigned>(clock.minutes().count()), 2);
  append_number(out += ':', static_cast<unsigned>(clock.seconds().count()), 2);
  append_number(out += '.', static_cast<unsigned>(clock.subseconds().count()), 3);
  return out + 'Z';
}

// The time that `text` is, if it is one as time_text writes it.
std::optional<TranscriptTime> parse_time(std::string_view text) {
  if (text.size() != kTimeSize) return std::nullopt;
  const auto number = [&](std::size_t at, std::size_t digits) {
    unsigned value = 0;
    for (const char c : text.substr(at, digits))
      value = 10 * value + static_cast<unsigned>(c - '0');
    return value;
  };
  const std::chrono::year_month_day date(std::chrono::year(static_cast<int>(number(0, 4) % 10'000)),
                                         std::chrono::month(number(5, 2)),
                                         std::chrono::day(number(8, 2)));
  if (!date.ok()) return std::nullopt;
  const TranscriptTime time = std::chrono::sys_days(date) + std::chrono::hours(number(11, 2)) +
                              std::chrono::minutes(number(14, 2)) +
                              std::chrono::seconds(number(17, 2)) +
                              std::chrono::milliseconds(number(20, 3));
  // Whatever is not a digit, or beyond its range, would be written otherwise.
  return time_text(time) == text ? std::optional(time) : std::nullopt;
}

bool is_writable(TranscriptTime time) {
  const auto year = std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(time)).year();
  return year >= std::chrono::year(1) && year <= std::chrono::year(9999);
}

template <typename T>
ordered_json or_null(const std::optional<T>& value) {
  return value ? ordered_json(*value) : ordered_json(nullptr);
}

// The members of a record, one function a kind of value.
class TranscriptParser {
 public:
  explicit TranscriptParser(const JsonDocument& record) : json_(record) {}

  Result<Transcript> parse() {
    COUNTERMARK_CHECK(json_.only_members(
        "", {"schema", "id", "time", "account", "cohort", "epoch", "slots", "profile", "keyId",
             "promptIds", "promptSha256", "ids", "text", "marked", "finish"}));
    COUNTERMARK_TRY(const std::string schema, json_.string_at("/schema"));
    if (schema != kTranscriptSchema)
      return fail(json_.error_at("/schema", ErrorCode::kUnsupported,
                                 "expected '" + std::string(kTranscriptSchema) + "'"));
    Transcript out;
    COUNTERMARK_TRY(out.id, json_.string_at("/id"));
    COUNTERMARK_CHECK(read_time(out));
    COUNTERMARK_TRY(out.account, string_or_null("/account"));
    COUNTERMARK_TRY(out.cohort, string_or_null("/cohort"));
    COUNTERMARK_TRY(out.epoch, string_or_null("/epoch"));
    COUNTERMARK_TRY(out.slots, numbers_at("/slots", kMostOfSlot));
    COUNTERMARK_TRY(out.profile, json_.string_at("/profile"));
    COUNTERMARK_TRY(out.key_id, string_or_null("/keyId"));
    COUNTERMARK_CHECK(read_prompt(out));
    COUNTERMARK_TRY(out.ids, numbers_at("/ids", std::numeric_limits<TokenId>::max()));
    COUNTERMARK_TRY(out.text, string_or_null("/text"));
    if (!is_null("/marked")) {
      COUNTERMARK_TRY(out.marked, json_.unsigned_at("/marked", 0, UINT64_MAX));
    }
    COUNTERMARK_CHECK(read_finish(out));
    if (Status status = check_transcript(out); !status)
      return fail(json_.error_at("/" + status.error().field, ErrorCode::kInvalidInput,
                                 std::move(status.error().message)));
    return out;
  }

 private:
  Error bad(const std::string& pointer, std::string message) const {
    return json_.error_at(pointer, ErrorCode::kInvalidInput, std::move(message));
  }

  const json* find(const std::string& pointer) const {
    const auto member = json_.root().find(pointer.substr(1));
    return member == json_.root().end() ? nullptr : &*member;
  }

  bool is_null(const std::string& pointer) const {
    const json* const value = find(pointer);
    return value != nullptr && value->is_null();
  }

  Result<std::optional<std::string>> string_or_null(const std::string& pointer) const {
    if (is_null(pointer)) return std::optional<std::string>{};
    COUNTERMARK_TRY(std::string text, json_.string_at(pointer));
    return std::optional(std::move(text));
  }

  Result<std::vector<std::uint32_t>> numbers_at(const std::string& pointer,
                                                std::uint32_t most) const {
    const json* const array = find(pointer);
    if (array == nullptr) return fail(bad(pointer, "is missing"));
    if (!array->is_array()) return fail(bad(pointer, "expected an array of integers"));
    std::vector<std::uint32_t> out;
    out.reserve(array->size());
    for (const json& each : *array) {
      if (!each.is_number_unsigned() || each.get<std::uint64_t>() > most)
        return fail(bad(pointer + "/" + std::to_string(out.size()),
                        "expected an integer from 0 to " + std::to_string(most)));
      out.push_back(each.get<std::uint32_t>());
    }
    return out;
  }

  Status read_time(Transcript& out) const {
    COUNTERMARK_TRY(const std::string text, json_.string_at("/time"));
    const auto time = parse_time(text);
    if (!time) return fail(bad("/time", "expected a time in UTC such as 2026-11-21T10:02:35.123Z"));
    out.time = *time;
    return {};
  }

  Status read_prompt(Transcript& out) const {
    const bool has_ids = find("/promptIds") != nullptr;
    if (has_ids && find("/promptSha256") != nullptr)
      return fail(bad("/promptSha256", "expected promptIds or promptSha256, not both"));
    if (has_ids) {
      COUNTERMARK_TRY(out.prompt_ids,
                      numbers_at("/promptIds", std::numeric_limits<TokenId>::max()));
    } else {
      COUNTERMARK_TRY(out.prompt_sha256, json_.string_at("/promptSha256"));
    }
    return {};
  }

  Status read_finish(Transcript& out) const {
    if (is_null("/finish")) return {};
    COUNTERMARK_TRY(const std::string name, json_.string_at("/finish"));
    for (const Finish finish : kFinishes)
      if (name == finish_name(finish)) out.finish = finish;
    if (!out.finish) return fail(bad("/finish", "expected end, length, aborted or null"));
    return {};
  }

  const JsonDocument& json_;
};

}  // namespace

const char* finish_name(Finish finish) noexcept {
  switch (finish) {
    case Finish::kEnd:
      return "end";
    case Finish::kLength:
      return "length";
    case Finish::kAborted:
      return "aborted";
  }
  return "aborted";
}

std::string prompt_sha256(TokenSpan prompt) {
  std::string bytes;
  bytes.reserve(4 * prompt.size());
  for (const TokenId id : prompt) append_le32(bytes, id);
  return to_hex(sha256(bytes));
}

Status check_transcript(const Transcript& transcript) {
  const auto refuse = [](const char* field, std::string message) {
    return fail(Error{ErrorCode::kInvalidArgument, std::move(message), {}, field});
  };
  // Names are kept as they are: two of them must not become one.
  const auto is_name = [](std::string_view name) {
    return !name.empty() && find_invalid_utf8(name) == kValidUtf8;
  };
  if (!is_name(transcript.id)) return refuse("id", "expected a name in UTF-8");
  if (!is_writable(transcript.time)) return refuse("time", "expected a year from 1 to 9999");
  if (transcript.account && !is_name(*transcript.account))
    return refuse("account", "expected a name in UTF-8 or null");
  if (transcript.cohort && !is_name(*transcript.cohort))
    return refuse("cohort", "expected a name in UTF-8 or null");
  if (transcript.epoch && (!is_name(*transcript.epoch) || transcript.epoch->size() > 255))
    return refuse("epoch", "expected 1 to 255 bytes of UTF-8 or null");
  if (transcript.slots.size() > kMaxLayers)
    return refuse("slots", "expected at most " + std::to_string(kMaxLayers) + " layers");
  if (std::any_of(transcript.slots.begin(), transcript.slots.end(),
                  [](std::uint32_t slot) { return slot > kMostOfSlot; }))
    return refuse("slots", "expected integers from 0 to " + std::to_string(kMostOfSlot));
  if (!is_hex(transcript.profile, 64)) return refuse("profile", "expected 64 hex digits");
  if (transcript.key_id && !is_hex(*transcript.key_id, 16))
    return refuse("keyId", "expected 16 hex digits or null");
  if (transcript.key_id.has_value() != transcript.epoch.has_value())
    return refuse("keyId", "expected an epoch and a key id, or neither");
  if (!transcript.key_id && !transcript.slots.empty())
    return refuse("slots", "expected no slots without a key");
  if (transcript.prompt_ids.has_value() == transcript.prompt_sha256.has_value())
    return refuse("promptSha256", "expected the prompt's ids or their digest");
  if (transcript.prompt_sha256 && !is_hex(*transcript.prompt_sha256, 64))
    return refuse("promptSha256", "expected 64 hex digits");
  return {};
}

std::string to_json_line(const Transcript& transcript) {
  ordered_json out = {{"schema", kTranscriptSchema}};
  out["id"] = transcript.id;
  out["time"] = time_text(transcript.time);
  out["account"] = or_null(transcript.account);
  out["cohort"] = or_null(transcript.cohort);
  out["epoch"] = or_null(transcript.epoch);
  out["slots"] = transcript.slots;
  out["profile"] = transcript.profile;
  out["keyId"] = or_null(transcript.key_id);
  if (transcript.prompt_ids) out["promptIds"] = *transcript.prompt_ids;
  if (transcript.prompt_sha256) out["promptSha256"] = *transcript.prompt_sha256;
  out["ids"] = transcript.ids;
  out["text"] = or_null(transcript.text);
  out["marked"] = or_null(transcript.marked);
  out["finish"] =
      transcript.finish ? ordered_json(finish_name(*transcript.finish)) : ordered_json(nullptr);
  return out.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

Result<Transcript> parse_transcript(std::string_view line) {
  COUNTERMARK_CHECK(check_utf8(line));
  COUNTERMARK_TRY(const JsonDocument record, JsonDocument::parse(line));
  return TranscriptParser(record).parse();
}

}  // namespace countermark::text
