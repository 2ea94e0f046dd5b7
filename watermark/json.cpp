// SPDX-License-Identifier: Apache-2.0
#include "watermark/json.h"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <optional>
#include <unordered_set>
#include <vector>

namespace countermark {
namespace {

using nlohmann::json;

// Deeper nesting is refused: no file of ours needs it, and it bounds every recursion over values.
constexpr int kMaxDepth = 64;

// Reads characters and counts them, so that the parser's call-backs know where they are. The
// parser copies the iterator, hence the shared counter.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, std::size_t* count) : at_(at), count_(count) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    ++at_;
    ++*count_;
    return *this;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  std::size_t* count_;
};

Error invalid(std::string message, std::string field, std::uint64_t offset) {
  return Error{ErrorCode::kInvalidInput, std::move(message), {}, std::move(field), offset};
}

// The offset of the opening quote of the string whose closing quote is just before `end`. A quote
// inside it follows an odd number of backslashes, its opening quote none.
std::size_t string_start(std::string_view bytes, std::size_t end) {
  std::size_t at = end - 1;
  for (;;) {
    at = bytes.rfind('"', at - 1);
    assert(at != std::string_view::npos);
    std::size_t slashes = 0;
    while (slashes < at && bytes[at - 1 - slashes] == '\\') ++slashes;
    if (slashes % 2 == 0) return at;
  }
}

// Leaves the parser from inside a call-back; never leaves this file.
struct Refused {
  Error error;
};

// Refuses duplicate keys and deep nesting while the text is parsed.
class Guard {
 public:
  Guard(std::string_view bytes, const std::size_t& count) : bytes_(bytes), count_(count) {}

  void on_event(int depth, json::parse_event_t event, const json& parsed) {
    switch (event) {
      case json::parse_event_t::object_start:
      case json::parse_event_t::array_start:
        if (depth >= kMaxDepth)
          throw Refused{
              invalid("expected at most " + std::to_string(kMaxDepth) + " levels of nesting", {},
                      count_ - 1)};
        keys_.emplace_back();
        break;
      case json::parse_event_t::object_end:
      case json::parse_event_t::array_end:
        keys_.pop_back();
        break;
      case json::parse_event_t::key: {
        const auto& key = parsed.get_ref<const std::string&>();
        if (!keys_.back().insert(key).second)
          throw Refused{invalid("the key stands twice", key, string_start(bytes_, count_))};
        break;
      }
      case json::parse_event_t::value:
        break;
    }
  }

 private:
  std::string_view bytes_;
  const std::size_t& count_;
  std::vector<std::unordered_set<std::string>> keys_{};  // one set for each open container
};

// The parts of a JSON pointer, unescaped.
std::vector<std::string> parts_of(std::string_view pointer) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < pointer.size(); ++i) {
    if (pointer[i] == '/') {
      parts.emplace_back();
    } else if (pointer[i] == '~' && i + 1 < pointer.size()) {
      parts.back() += pointer[++i] == '1' ? '/' : '~';
    } else {
      parts.back() += pointer[i];
    }
  }
  return parts;
}

bool is_index(const std::string& part) {
  return !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
}

// "/layers/1/share" as people write it: "layers[1].share".
std::string readable(const std::string& pointer) {
  std::string out;
  for (const std::string& part : parts_of(pointer))
    out += is_index(part) ? "[" + part + "]" : (out.empty() ? "" : ".") + part;
  return out;
}

// The offset of the member or element `part` of the container at `at` in valid JSON, if it has it.
std::optional<std::size_t> locate_in(std::string_view bytes, std::size_t at,
                                     const std::string& part) {
  const bool is_object = bytes[at] == '{';
  if (!is_object && bytes[at] != '[') return std::nullopt;
  at = skip_json_space(bytes, at + 1);
  for (std::size_t index = 0; bytes[at] != '}' && bytes[at] != ']'; ++index) {
    bool found = !is_object && std::to_string(index) == part;
    if (is_object) {
      const std::size_t end = skip_json_value(bytes, at);
      found = json::parse(bytes.substr(at, end - at)).get_ref<const std::string&>() == part;
      at = skip_json_space(bytes, skip_json_space(bytes, end) + 1);  // past the colon
    }
    if (found) return at;
    at = skip_json_space(bytes, skip_json_value(bytes, at));
    if (bytes[at] == ',') at = skip_json_space(bytes, at + 1);
  }
  return std::nullopt;
}

// What nlohmann says, without its own name for the error and its own count of bytes.
std::string reason(const json::parse_error& error) {
  std::string_view what = error.what();
  if (const auto at = what.find("; last read: "); at != what.npos) what = what.substr(0, at);
  for (const std::string_view mark : {": syntax error while parsing ", ": "}) {
    if (const auto at = what.find(mark); at != what.npos) {
      what = what.substr(at + mark.size());
      break;
    }
  }
  return "expected JSON: " + std::string(what);
}

}  // namespace

Result<JsonDocument> JsonDocument::parse(std::string_view bytes) {
  // The library skips a byte order mark and takes NUL for the end of the text.
  if (bytes.starts_with("\xef\xbb\xbf"))
    return fail(invalid("expected JSON without a byte order mark", {}, 0));
  const std::size_t end = std::min(bytes.find('\0'), bytes.size());
  JsonDocument document;
  std::size_t count = 0;
  Guard guard(bytes, count);
  try {
    document.root_ = json::parse(
        CountingIterator(bytes.data(), &count), CountingIterator(bytes.data() + end, &count),
        [&guard](int depth, json::parse_event_t event, const json& parsed) {
          guard.on_event(depth, event, parsed);
          return true;
        });
  } catch (Refused& refused) {
    return fail(std::move(refused.error));
  } catch (const json::parse_error& error) {
    return fail(invalid(reason(error), {}, error.byte == 0 ? 0 : error.byte - 1));
  } catch (const json::exception&) {
    // Only "number overflow" is left; the parser has read the number and at most one byte more.
    const std::size_t last = bytes.find_last_of("0123456789", count - 1);
    const std::size_t start = bytes.find_last_not_of("+-.0123456789Ee", last) + 1;
    return fail(invalid("expected a number within the range of a double", {}, start));
  }
  if (end < bytes.size()) return fail(invalid("expected JSON: a NUL byte", {}, end));
  document.bytes_ = std::string(bytes);
  return document;
}

const json* JsonDocument::find(const std::string& pointer) const {
  const json::json_pointer at(pointer);
  return root_.contains(at) ? &root_.at(at) : nullptr;
}

Error JsonDocument::error_at(const std::string& pointer, ErrorCode code,
                             std::string message) const {
  std::size_t at = skip_json_space(bytes_, 0);
  for (const std::string& part : parts_of(pointer)) {
    const auto inner = locate_in(bytes_, at, part);
    if (!inner) break;
    at = *inner;
  }
  return Error{code, std::move(message), {}, readable(pointer), at};
}

Result<std::string> JsonDocument::string_at(const std::string& pointer) const {
  const json* value = find(pointer);
  if (value == nullptr) return fail(error_at(pointer, ErrorCode::kInvalidInput, "is missing"));
  if (!value->is_string())
    return fail(error_at(pointer, ErrorCode::kInvalidInput, "expected a string"));
  return value->get<std::string>();
}

Result<std::uint64_t> JsonDocument::unsigned_at(const std::string& pointer, std::uint64_t least,
                                                std::uint64_t most) const {
  const json* value = find(pointer);
  if (value == nullptr) return fail(error_at(pointer, ErrorCode::kInvalidInput, "is missing"));
  const bool in_range = value->is_number_unsigned() && value->get<std::uint64_t>() >= least &&
                        value->get<std::uint64_t>() <= most;
  if (!in_range)
    return fail(error_at(
        pointer, ErrorCode::kInvalidInput,
        "expected an integer from " + std::to_string(least) + " to " + std::to_string(most)));
  return value->get<std::uint64_t>();
}

Status JsonDocument::only_members(const std::string& pointer,
                                  std::initializer_list<std::string_view> allowed,
                                  ErrorCode code) const {
  const json* value = find(pointer);
  if (value == nullptr || !value->is_object())
    return fail(error_at(pointer, ErrorCode::kInvalidInput, "expected an object"));
  for (const auto& [key, unused] : value->items()) {
    if (std::find(allowed.begin(), allowed.end(), key) == allowed.end())
      return fail(error_at(pointer + "/" + json_pointer_part(key), code, "is not a known field"));
  }
  return {};
}

std::string json_pointer_part(std::string_view key) {
  std::string out;
  for (const char c : key) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

std::size_t skip_json_space(std::string_view bytes, std::size_t at) noexcept {
  return std::min(bytes.find_first_not_of(" \t\r\n", at), bytes.size());
}

std::size_t skip_json_value(std::string_view bytes, std::size_t at) noexcept {
  std::size_t depth = 0;
  while (at < bytes.size()) {
    const char c = bytes[at];
    if (c == '"') {
      do {
        at = bytes.find_first_of("\"\\", at + 1);
        if (at != bytes.npos && bytes[at] == '\\')
          ++at;  // and the escaped character
        else
          break;
      } while (true);
      if (at == bytes.npos) return bytes.npos;
      if (depth == 0) return at + 1;
      ++at;
    } else if (c == '{' || c == '[') {
      ++depth;
      ++at;
    } else if (c == '}' || c == ']') {
      if (depth <= 1) return depth == 1 ? at + 1 : at;
      --depth;
      ++at;
    } else if (depth == 0) {
      // A number, a word, or something that only looks like one.
      return std::min(bytes.find_first_of(",]}:\" \t\r\n", at), bytes.size());
    } else {
      at = std::min(bytes.find_first_of("\"{}[]", at), bytes.size());
    }
  }
  return depth == 0 ? at : bytes.npos;
}

}  // namespace countermark
