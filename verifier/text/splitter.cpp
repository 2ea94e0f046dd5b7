// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/splitter.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "watermark/json.h"

namespace countermark::text {
namespace {

// The whole input is one record.
class WholeSplitter final : public Splitter {
 public:
  Result<std::optional<Range>> finish() override {
    if (is_over_) return std::optional<Range>{};
    is_over_ = true;
    if (!begun()) begin_record(0);
    return end_with_input();
  }

  void resume(std::uint64_t offset) override {
    Splitter::resume(offset);
    is_over_ = true;
  }

 private:
  Result<std::size_t> look_at(std::string_view bytes) override {
    if (!begun() && !is_over_) begin_record(0);
    return bytes.size();
  }

  bool is_over_ = false;
};

// A record is a line that is not only white space.
class LineSplitter final : public Splitter {
 public:
  Result<std::optional<Range>> finish() override {
    return is_blank_ ? std::optional<Range>{} : end_with_input();
  }

  void resume(std::uint64_t offset) override {
    Splitter::resume(offset);
    is_blank_ = true;
  }

 private:
  Result<std::size_t> look_at(std::string_view bytes) override {
    std::size_t at = 0;
    while (at < bytes.size()) {
      if (!begun()) begin_record(at);
      const void* const feed = std::memchr(bytes.data() + at, '\n', bytes.size() - at);
      const std::size_t end =
          feed == nullptr ? bytes.size()
                          : static_cast<std::size_t>(static_cast<const char*>(feed) - bytes.data());
      if (is_blank_) is_blank_ = skip_json_space(bytes.substr(0, end), at) == end;
      if (feed == nullptr) return end;
      const bool is_blank = std::exchange(is_blank_, true);
      at = end + 1;
      if (!is_blank) {
        end_record(end);
        return at;
      }
      begin_record(at);
    }
    return at;
  }

  bool is_blank_ = true;  // the line so far
};

// RFC 4180: a quote that begins a field ends it, too, doubled quotes are one. Elsewhere a quote is
// a character like any other. Records end with a line feed outside quotes; empty lines are none.
class CsvSplitter final : public Splitter {
 public:
  explicit CsvSplitter(char delimiter) : delimiter_(delimiter) {}

  bool is_ready() const override { return has_header_; }

  Result<std::optional<Range>> finish() override {
    if (is_empty_) return std::optional<Range>{};
    has_header_ = true;
    return end_with_input();
  }

  void resume(std::uint64_t offset) override {
    Splitter::resume(offset);
    state_ = State::kStart;
    is_empty_ = true;
  }

 private:
  enum class State : std::uint8_t { kStart, kPlain, kQuoted, kQuoteInQuoted };

  Result<std::size_t> look_at(std::string_view bytes) override {
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      if (!begun()) begin_record(at);
      const char c = bytes[at];
      if (state_ == State::kQuoted) {
        at = std::min(bytes.find('"', at), bytes.size());
        if (at < bytes.size()) state_ = State::kQuoteInQuoted;
      } else if (c == '\n') {
        state_ = State::kStart;
        if (!std::exchange(is_empty_, true)) {
          has_header_ = true;
          end_record(at);
          return at + 1;
        }
        begin_record(at + 1);
      } else {
        if (c == '"' && (state_ == State::kStart || state_ == State::kQuoteInQuoted)) {
          state_ = State::kQuoted;
        } else {
          state_ = c == delimiter_ ? State::kStart : State::kPlain;
        }
        is_empty_ = is_empty_ && c == '\r';
      }
    }
    return bytes.size();
  }

  char delimiter_;
  State state_ = State::kStart;
  bool is_empty_ = true;     // the line so far
  bool has_header_ = false;  // its end was seen
};

Error bad_json(std::string message, std::uint64_t offset) {
  return Error{ErrorCode::kInvalidInput, std::move(message), {}, {}, offset};
}

// The elements of one array, or one object.
class JsonSplitter final : public Splitter {
 public:
  bool is_ready() const override { return state_ != State::kStart; }

  Result<std::optional<Range>> finish() override {
    if (state_ == State::kStart)
      return fail(bad_json("expected an array of records, or one record", at()));
    if (state_ != State::kEnd)
      return fail(bad_json(
          is_array_ ? "expected ']' before the end" : "expected '}' before the end", at()));
    return std::optional<Range>{};
  }

  void resume(std::uint64_t offset) override {
    Splitter::resume(offset);
    state_ = is_array_ ? State::kAfter : State::kEnd;
    depth_ = 0;
    in_string_ = is_escaped_ = false;
  }

 private:
  enum class State : std::uint8_t { kStart, kFirst, kValue, kInside, kScalar, kAfter, kEnd };

  static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
  // What ends a number or a word, or what only looks like one.
  static bool is_end(char c) {
    return is_space(c) || c == ',' || c == ']' || c == '}' || c == ':' || c == '"';
  }

  Result<std::size_t> look_at(std::string_view bytes) override {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const char c = bytes[i];
      if (state_ == State::kInside) {
        if (step_inside(c)) {
          state_ = is_array_ ? State::kAfter : State::kEnd;
          end_record(i + 1);
          return i + 1;
        }
        continue;
      }
      if (state_ == State::kScalar) {
        if (!is_end(c)) continue;
        state_ = State::kAfter;
        end_record(i);
        return i;
      }
      if (is_space(c)) continue;
      COUNTERMARK_TRY(const bool has_ended, step_between(c, i));
      if (has_ended) return i;
    }
    return bytes.size();
  }

  // One character of a string, an object or an array; whether it is the last.
  bool step_inside(char c) {
    if (in_string_) {
      if (is_escaped_) {
        is_escaped_ = false;
      } else if (c == '\\') {
        is_escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
      }
      return !in_string_ && depth_ == 0;
    }
    if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      ++depth_;
    } else if (c == '}' || c == ']') {
      --depth_;
    }
    return !in_string_ && depth_ == 0;
  }

  // One character between records, no white space; whether an element that has no character ends.
  Result<bool> step_between(char c, std::size_t i) {
    switch (state_) {
      case State::kStart:
        is_array_ = c == '[';
        if (!is_array_ && c != '{')
          return fail(bad_json("expected an array of records, or one record", at() + i));
        if (is_array_) {
          state_ = State::kFirst;
          return false;
        }
        break;
      case State::kFirst:
        if (c == ']') {
          state_ = State::kEnd;
          return false;
        }
        break;
      case State::kAfter:
        if (c != ',' && c != ']') return fail(bad_json("expected ',' or ']'", at() + i));
        state_ = c == ',' ? State::kValue : State::kEnd;
        return false;
      case State::kEnd:
        return fail(bad_json("expected nothing after the first JSON value (is this JSON Lines?)",
                             at() + i));
      default:
        break;
    }
    begin_record(i);
    if (c == ',' || c == ']' || c == '}' || c == ':') {
      state_ = State::kAfter;
      end_record(i);
      return true;
    }
    state_ = c == '"' || c == '{' || c == '[' ? State::kInside : State::kScalar;
    if (state_ == State::kInside) step_inside(c);
    return false;
  }

  State state_ = State::kStart;
  bool is_array_ = false;
  bool in_string_ = false;
  bool is_escaped_ = false;
  std::uint64_t depth_ = 0;
};

}  // namespace

Result<std::optional<Range>> Splitter::next(std::string_view& bytes) {
  COUNTERMARK_TRY(const std::size_t seen, look_at(bytes));
  at_ += seen;
  bytes.remove_prefix(seen);
  return std::exchange(found_, std::nullopt);
}

std::unique_ptr<Splitter> make_splitter(Format format, char delimiter) {
  switch (format) {
    case Format::kText:
      return std::make_unique<WholeSplitter>();
    case Format::kCsv:
    case Format::kTsv:
      return std::make_unique<CsvSplitter>(delimiter);
    case Format::kJson:
      return std::make_unique<JsonSplitter>();
    default:
      return std::make_unique<LineSplitter>();
  }
}

}  // namespace countermark::text
