// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/record.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "verifier/text/transcript.h"
#include "watermark/json.h"

namespace countermark::text {
namespace {

using nlohmann::json;

// Where the text is looked for, in this order, when no field is named.
constexpr std::array<std::string_view, 7> kKnownFields = {
    "text", "content", "output", "response", "completion", "messages", "conversations"};

// A value of the record and where it stands.
struct Located {
  const json* value = nullptr;
  std::string pointer{};
};

// The member of `record` at a dotted path; a key that is the whole path comes first.
Located follow(const json& record, std::string_view path) {
  if (const auto whole = record.find(path); whole != record.end())
    return {&*whole, "/" + json_pointer_part(path)};
  Located at{&record, ""};
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('.'), path.size());
    const std::string part(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
    if (at.value->is_object() && at.value->contains(part)) {
      at.value = &at.value->at(part);
    } else if (at.value->is_array()) {
      std::size_t index = 0;
      const auto [stop, error] = std::from_chars(part.data(), part.data() + part.size(), index);
      if (error != std::errc{} || stop != part.data() + part.size() || index >= at.value->size())
        return {};
      at.value = &at.value->at(index);
    } else {
      return {};
    }
    at.pointer += "/" + json_pointer_part(part);
  }
  return at;
}

// ShareGPT's names for the roles that have one of OpenAI's.
std::string_view canonical_role(std::string_view role) {
  if (role == "gpt") return "assistant";
  if (role == "human") return "user";
  return role;
}

class RecordParser {
 public:
  RecordParser(const JsonDocument& record, const ReaderOptions& options)
      : json_(record), options_(options) {}

  Result<Document> parse() {
    if (!json_.root().is_object()) return fail(bad("", "expected an object"));
    COUNTERMARK_CHECK(read_id());
    if (!options_.ids_field.empty()) {
      COUNTERMARK_CHECK(read_prompt());
      COUNTERMARK_CHECK(read_ids());
    } else {
      COUNTERMARK_CHECK(read_text());
    }
    return std::move(document_);
  }

 private:
  Error bad(const std::string& pointer, std::string message) const {
    return json_.error_at(pointer, ErrorCode::kInvalidInput, std::move(message));
  }

  Status read_id() {
    const auto id = json_.root().find("id");
    if (id == json_.root().end() || id->is_null()) return {};
    if (id->is_string()) {
      document_.id = id->get<std::string>();
    } else if (id->is_number_integer()) {
      document_.id = id->dump();
    } else {
      return fail(bad("/id", "expected a string or an integer"));
    }
    return {};
  }

  Status read_prompt() {
    // Elsewhere the name may stand for the ids of any tokenizer.
    const Located schema = present("schema");
    const bool is_transcript = schema.value != nullptr && *schema.value == kTranscriptSchema;
    const Located ids = is_transcript ? present("promptIds") : Located{};
    if (ids.value != nullptr) return append_ids(ids, false);
    const Located prompt = present("prompt");
    if (prompt.value == nullptr) return {};
    return append(prompt, false);
  }

  Status read_ids() {
    const Located ids = follow(json_.root(), options_.ids_field);
    document_.field = options_.ids_field;
    if (ids.value == nullptr) return fail(missing(options_.ids_field));
    return append_ids(ids, true);
  }

  Status read_text() {
    Located text;
    if (!options_.text_field.empty()) {
      text = follow(json_.root(), options_.text_field);
      document_.field = options_.text_field;
      if (text.value == nullptr) return fail(missing(options_.text_field));
    } else {
      for (const std::string_view name : kKnownFields) {
        text = present(name);
        document_.field = name;
        if (text.value != nullptr) break;
      }
      if (text.value == nullptr)
        return fail(bad("",
                        "expected one of the fields text, content, output, response, "
                        "completion, messages, conversations"));
    }
    const std::string& field = document_.field;
    const bool has_own_prompt =
        field == "messages" || field == "conversations" || field == "prompt";
    if (!has_own_prompt) COUNTERMARK_CHECK(read_prompt());
    return append(text, true);
  }

  // The member `name` of the record unless it is missing or null.
  Located present(std::string_view name) const {
    const auto member = json_.root().find(name);
    if (member == json_.root().end() || member->is_null()) return {};
    return {&*member, "/" + json_pointer_part(name)};
  }

  Error missing(std::string field) const {
    Error error = bad("", "is missing");
    error.field = std::move(field);
    return error;
  }

  Status append_ids(const Located& at, bool scored) {
    if (!at.value->is_array()) return fail(bad(at.pointer, "expected an array of token ids"));
    Segment segment;
    segment.is_ids = true;
    segment.scored = scored;
    segment.ids.reserve(at.value->size());
    for (const json& id : *at.value) {
      if (!id.is_number_unsigned() || id.get<std::uint64_t>() > std::numeric_limits<TokenId>::max())
        return fail(bad(at.pointer + "/" + std::to_string(segment.ids.size()),
                        "expected a token id, an integer from 0 to 4294967295"));
      segment.ids.push_back(id.get<TokenId>());
    }
    document_.segments.push_back(std::move(segment));
    return {};
  }

  // One string, or the turns of a conversation; those of the chosen role are scored if any are.
  Status append(const Located& at, bool scored) {
    if (at.value->is_string()) {
      add(*at.value, scored);
      return {};
    }
    if (!at.value->is_array())
      return fail(bad(at.pointer, "expected a string or an array of turns"));
    for (std::size_t i = 0; i < at.value->size(); ++i)
      COUNTERMARK_CHECK(append_turn(at.value->at(i), at.pointer + "/" + std::to_string(i), scored));
    return {};
  }

  Status append_turn(const json& turn, const std::string& pointer, bool scored) {
    const bool openai = turn.is_object() && turn.contains("role");
    const bool sharegpt = !openai && turn.is_object() && turn.contains("from");
    if (!openai && !sharegpt)
      return fail(bad(pointer, "expected a turn: role and content, or from and value"));
    COUNTERMARK_TRY(const std::string role,
                    json_.string_at(pointer + (openai ? "/role" : "/from")));
    const char* const name = openai ? "content" : "value";
    const auto content = turn.find(name);
    if (content == turn.end()) return fail(bad(pointer + "/" + name, "is missing"));
    if (content->is_null()) return {};
    if (!content->is_string()) return fail(bad(pointer + "/" + name, "expected a string"));
    add(*content, scored && canonical_role(role) == canonical_role(options_.role));
    return {};
  }

  void add(const json& text, bool scored) {
    Segment segment;
    segment.text = text.get_ref<const std::string&>();
    segment.scored = scored;
    document_.segments.push_back(std::move(segment));
  }

  const JsonDocument& json_;
  const ReaderOptions& options_;
  Document document_{};
};

}  // namespace

Result<Document> parse_record(std::string_view bytes, const ReaderOptions& options) {
  COUNTERMARK_TRY(const JsonDocument record, JsonDocument::parse(bytes));
  return RecordParser(record, options).parse();
}

}  // namespace countermark::text
