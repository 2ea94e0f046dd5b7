// SPDX-License-Identifier: Apache-2.0
// Which members of a JSON record are text, prompt, ids, turns: the rules of ReaderOptions, once for
// both parsers. A Source has root() and error_at(pointer, message), and its Value, which is copied
// freely, answers what a value is.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "verifier/text/reader.h"
#include "verifier/text/transcript.h"
#include "watermark/json.h"

namespace countermark::text {

// Where the text is looked for, in this order, when no field is named. The first five hold strings
// in tables, too.
constexpr std::array<std::string_view, 7> kKnownFields = {
    "text", "content", "output", "response", "completion", "messages", "conversations"};
constexpr std::size_t kKnownColumns = 5;

// ShareGPT's names for the roles that have one of OpenAI's.
inline std::string_view canonical_role(std::string_view role) {
  if (role == "gpt") return "assistant";
  if (role == "human") return "user";
  return role;
}

template <typename Source>
class RecordRules {
 public:
  RecordRules(const Source& source, const ReaderOptions& options)
      : source_(source), options_(options) {}

  Result<Document> parse() {
    if (!source_.root().is_object()) return fail(bad("", "expected an object"));
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
  using Value = typename Source::Value;

  // A value of the record and where it stands.
  struct Located {
    Value value;
    std::string pointer;
  };

  Error bad(const std::string& pointer, std::string message) const {
    return source_.error_at(pointer, std::move(message));
  }

  Status read_id() {
    const auto id = present("id");
    if (!id) return {};
    if (const auto text = id->value.string()) {
      document_.id = *text;
    } else if (auto integer = id->value.integer_text()) {
      document_.id = std::move(*integer);
    } else {
      return fail(bad("/id", "expected a string or an integer"));
    }
    return {};
  }

  Status read_prompt() {
    // Elsewhere the name may stand for the ids of any tokenizer.
    const auto schema = present("schema");
    const bool is_transcript = schema && schema->value.string() == kTranscriptSchema;
    if (is_transcript)
      if (const auto ids = present("promptIds")) return append_ids(*ids, false);
    if (const auto prompt = present("prompt")) return append(*prompt, false);
    return {};
  }

  Status read_ids() {
    document_.field = options_.ids_field;
    const auto ids = follow(options_.ids_field);
    if (!ids) return fail(missing(options_.ids_field));
    return append_ids(*ids, true);
  }

  Status read_text() {
    std::optional<Located> text;
    if (!options_.text_field.empty()) {
      text = follow(options_.text_field);
      document_.field = options_.text_field;
      if (!text) return fail(missing(options_.text_field));
    } else {
      for (const std::string_view name : kKnownFields) {
        text = present(name);
        document_.field = name;
        if (text) break;
      }
      if (!text)
        return fail(bad("",
                        "expected one of the fields text, content, output, response, "
                        "completion, messages, conversations"));
    }
    const std::string& field = document_.field;
    const bool has_own_prompt =
        field == "messages" || field == "conversations" || field == "prompt";
    if (!has_own_prompt) COUNTERMARK_CHECK(read_prompt());
    return append(*text, true);
  }

  // The member at a dotted path; a key that is the whole path comes first.
  std::optional<Located> follow(std::string_view path) const {
    if (const auto whole = source_.root().member(path))
      return Located{*whole, "/" + json_pointer_part(path)};
    Located at{source_.root(), ""};
    while (!path.empty()) {
      const std::size_t end = std::min(path.find('.'), path.size());
      const std::string_view part = path.substr(0, end);
      path.remove_prefix(std::min(end + 1, path.size()));
      std::optional<Value> inner = at.value.member(part);
      if (at.value.is_array()) {
        std::size_t index = 0;
        const auto [stop, error] = std::from_chars(part.data(), part.data() + part.size(), index);
        if (error == std::errc{} && stop == part.data() + part.size())
          inner = at.value.element(index);
      }
      if (!inner) return std::nullopt;
      at.value = *inner;
      at.pointer += "/" + json_pointer_part(part);
    }
    return at;
  }

  // The member `name` of the record unless it is missing or null.
  std::optional<Located> present(std::string_view name) const {
    const auto member = source_.root().member(name);
    if (!member || member->is_null()) return std::nullopt;
    return Located{*member, "/" + std::string(name)};
  }

  Error missing(std::string field) const {
    Error error = bad("", "is missing");
    error.field = std::move(field);
    return error;
  }

  Status append_ids(const Located& at, bool scored) {
    if (!at.value.is_array()) return fail(bad(at.pointer, "expected an array of token ids"));
    Segment segment;
    segment.is_ids = true;
    segment.scored = scored;
    COUNTERMARK_CHECK(at.value.for_each([&](const Value& value, std::size_t index) -> Status {
      const auto id = value.unsigned_integer();
      if (!id || *id > std::numeric_limits<TokenId>::max())
        return fail(bad(at.pointer + "/" + std::to_string(index),
                        "expected a token id, an integer from 0 to 4294967295"));
      segment.ids.push_back(static_cast<TokenId>(*id));
      return {};
    }));
    document_.segments.push_back(std::move(segment));
    return {};
  }

  // One string, or the turns of a conversation; those of the chosen role are scored if any are.
  Status append(const Located& at, bool scored) {
    if (const auto text = at.value.string()) {
      add(*text, scored);
      return {};
    }
    if (!at.value.is_array())
      return fail(bad(at.pointer, "expected a string or an array of turns"));
    return at.value.for_each([&](const Value& turn, std::size_t index) {
      return append_turn(turn, at.pointer + "/" + std::to_string(index), scored);
    });
  }

  Status append_turn(const Value& turn, const std::string& pointer, bool scored) {
    std::optional<Value> role = turn.member("role");
    const bool openai = role.has_value();
    if (!openai) role = turn.member("from");
    if (!role) return fail(bad(pointer, "expected a turn: role and content, or from and value"));
    const auto role_name = role->string();
    if (!role_name) return fail(bad(pointer + (openai ? "/role" : "/from"), "expected a string"));
    const char* const name = openai ? "content" : "value";
    const auto content = turn.member(name);
    if (!content) return fail(bad(pointer + "/" + name, "is missing"));
    if (content->is_null()) return {};
    const auto text = content->string();
    if (!text) return fail(bad(pointer + "/" + name, "expected a string"));
    add(*text, scored && canonical_role(*role_name) == canonical_role(options_.role));
    return {};
  }

  void add(std::string_view text, bool scored) {
    Segment& segment = document_.segments.emplace_back();
    segment.text = text;
    segment.scored = scored;
  }

  const Source& source_;
  const ReaderOptions& options_;
  Document document_{};
};

}  // namespace countermark::text
