// SPDX-License-Identifier: Apache-2.0
#include "watermark/json.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>
#include <vector>

namespace countermark {
namespace {

using nlohmann::json;

// Deeper values are reported by their nearest located ancestor.
constexpr std::size_t kMaxLocatedDepth = 3;
// Deeper nesting is refused: no file of ours needs it.
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

  CountingIterator(const char* at, std::uint64_t* count) : at_(at), count_(count) {}
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
  std::uint64_t* count_;
};

std::string escaped(const std::string& key) {
  std::string out;
  for (const char c : key) out += c == '~' ? std::string("~0") : c == '/' ? "~1" : std::string(1, c);
  return out;
}

// One open container on the way to the current value.
struct Level {
  std::string pointer;
  std::set<std::string> keys{};  // of an object
  std::size_t next_index = 0;    // of an array
  bool is_array = false;
  std::string current{};  // pointer of the member whose value comes next
};

// Follows the parse events, records offsets, and stops at the first duplicate key.
class Recorder {
 public:
  Recorder(std::uint64_t& count, std::unordered_map<std::string, std::uint64_t>& offsets)
      : count_(count), offsets_(offsets) {}

  std::optional<Error> error{};

  bool on_event(int depth, json::parse_event_t event, const json& parsed) {
    switch (event) {
      case json::parse_event_t::object_start:
      case json::parse_event_t::array_start: {
        if (depth > kMaxDepth && !error)
          error = Error{ErrorCode::kInvalidInput, "nested too deeply", {}, {}, count_};
        const std::string here = begin_value();
        levels_.push_back(Level{here});
        levels_.back().is_array = event == json::parse_event_t::array_start;
        break;
      }
      case json::parse_event_t::object_end:
      case json::parse_event_t::array_end: levels_.pop_back(); break;
      case json::parse_event_t::key: {
        Level& level = levels_.back();
        const std::string key = parsed.get<std::string>();
        level.current = level.pointer + "/" + escaped(key);
        if (!level.keys.insert(key).second && !error)
          error = Error{ErrorCode::kInvalidInput, "the key stands twice", {}, level.current, count_};
        locate(level.current);
        break;
      }
      case json::parse_event_t::value: begin_value(); break;
    }
    return true;
  }

 private:
  std::string begin_value() {
    if (levels_.empty()) return "";
    Level& level = levels_.back();
    if (!level.is_array) return level.current;
    std::string here = level.pointer + "/" + std::to_string(level.next_index++);
    locate(here);
    return here;
  }

  void locate(const std::string& pointer) {
    if (levels_.size() <= kMaxLocatedDepth) offsets_[pointer] = count_;
  }

  std::uint64_t& count_;
  std::unordered_map<std::string, std::uint64_t>& offsets_;
  std::vector<Level> levels_{};
};

// "/layers/1/share" as people write it: "layers[1].share".
std::string readable(const std::string& pointer) {
  std::string out;
  std::size_t at = 0;
  while (at < pointer.size()) {
    const std::size_t end = std::min(pointer.find('/', at + 1), pointer.size());
    const std::string part = pointer.substr(at + 1, end - at - 1);
    const bool is_index = !part.empty() && std::all_of(part.begin(), part.end(), [](char c) {
      return c >= '0' && c <= '9';
    });
    if (is_index) {
      out += "[" + part + "]";
    } else {
      out += (out.empty() ? "" : ".") + part;
    }
    at = end;
  }
  return out;
}

}  // namespace

Result<JsonDocument> JsonDocument::parse(std::string_view bytes) {
  JsonDocument document;
  std::uint64_t count = 0;
  Recorder recorder(count, document.offsets_);
  try {
    document.root_ = json::parse(
        CountingIterator(bytes.data(), &count),
        CountingIterator(bytes.data() + bytes.size(), &count),
        [&recorder](int depth, json::parse_event_t event, const json& parsed) {
          return recorder.on_event(depth, event, parsed);
        });
  } catch (const json::parse_error& error) {
    const std::string_view what = error.what();
    const auto colon = what.rfind("; ");
    return fail(Error{ErrorCode::kInvalidInput,
                      "not valid JSON: " + std::string(what.substr(colon == what.npos ? 0 : colon + 2)),
                      {},
                      {},
                      error.byte == 0 ? 0 : error.byte - 1});
  } catch (const json::exception& error) {
    return fail(Error{ErrorCode::kInvalidInput, "not valid JSON: a number out of range", {}, {}, count});
  }
  if (recorder.error) {
    recorder.error->field = readable(recorder.error->field);
    return fail(std::move(*recorder.error));
  }
  return document;
}

const json* JsonDocument::find(const std::string& pointer) const {
  const json::json_pointer at(pointer);
  return root_.contains(at) ? &root_.at(at) : nullptr;
}

Error JsonDocument::error_at(const std::string& pointer, ErrorCode code,
                             std::string message) const {
  Error error{code, std::move(message), {}, readable(pointer)};
  std::string nearest = pointer;
  while (!nearest.empty() && !offsets_.contains(nearest)) nearest.resize(nearest.rfind('/'));
  error.offset = nearest.empty() ? 0 : offsets_.at(nearest);
  return error;
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
    return fail(error_at(pointer, ErrorCode::kInvalidInput,
                         "expected an integer from " + std::to_string(least) + " to " +
                             std::to_string(most)));
  return value->get<std::uint64_t>();
}

Status JsonDocument::only_members(const std::string& pointer,
                                  std::initializer_list<std::string_view> allowed) const {
  const json* value = find(pointer);
  if (value == nullptr || !value->is_object())
    return fail(error_at(pointer, ErrorCode::kInvalidInput, "expected an object"));
  for (const auto& [key, unused] : value->items()) {
    if (std::find(allowed.begin(), allowed.end(), key) == allowed.end())
      return fail(error_at(pointer + "/" + escaped(key), ErrorCode::kInvalidInput, "is not a known field"));
  }
  return {};
}

}  // namespace countermark
