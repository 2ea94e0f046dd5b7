// SPDX-License-Identifier: Apache-2.0
// Documents out of raw records. JSON goes through simdjson's DOM, which checks all of a record,
// where its on-demand interface would check only what is looked at. What it or the rules refuse,
// and objects with a key twice or nesting deeper than ours, which it lets pass, is parsed again by
// the strict parser: that one decides, and words the error.
#include <simdjson.h>

#include <algorithm>
#include <bit>
#include <string>
#include <utility>
#include <vector>

#include "verifier/text/csv.h"
#include "verifier/text/parquet.h"
#include "verifier/text/raw_records.h"
#include "verifier/text/record.h"
#include "verifier/text/record_layout.h"
#include "verifier/text/record_rules.h"
#include "watermark/utf8.h"

namespace countermark::text {
namespace {

namespace dom = simdjson::dom;

// As JsonDocument.
constexpr int kMaxDepth = 64;
// The parser takes some 14 bytes of address space for a byte of its longest record and keeps them.
constexpr std::size_t kKeptParser = std::size_t{4} << 20;

// A member function of simdjson's elements that gives nothing instead of an error.
template <typename T>
std::optional<T> get(dom::element value) {
  T out;
  if (value.get(out) != simdjson::SUCCESS) return std::nullopt;
  return out;
}

class FastValue {
 public:
  explicit FastValue(dom::element value) : value_(value) {}

  bool is_null() const { return value_.is_null(); }
  bool is_object() const { return value_.is_object(); }
  bool is_array() const { return value_.is_array(); }
  std::optional<std::string_view> string() const { return get<std::string_view>(value_); }

  std::optional<std::uint64_t> unsigned_integer() const { return get<std::uint64_t>(value_); }
  std::optional<std::string> integer_text() const {
    if (const auto small = get<std::int64_t>(value_)) return std::to_string(*small);
    if (const auto large = get<std::uint64_t>(value_)) return std::to_string(*large);
    return std::nullopt;
  }
  std::optional<FastValue> member(std::string_view name) const {
    dom::object object;
    dom::element found;
    if (value_.get(object) != simdjson::SUCCESS ||
        object.at_key(name).get(found) != simdjson::SUCCESS)
      return std::nullopt;
    return FastValue(found);
  }
  std::optional<FastValue> element(std::size_t index) const {
    dom::element found;
    if (value_.at(index).get(found) != simdjson::SUCCESS) return std::nullopt;
    return FastValue(found);
  }
  template <typename Visit>
  Status for_each(const Visit& visit) const {
    std::size_t index = 0;
    for (const dom::element inner : dom::array(value_))
      COUNTERMARK_CHECK(visit(FastValue(inner), index++));
    return {};
  }

 private:
  dom::element value_;
};

class FastSource {
 public:
  using Value = FastValue;

  explicit FastSource(dom::element root) : root_(root) {}
  Value root() const { return Value(root_); }
  // The strict parser says what is wrong.
  static Error error_at(const std::string&, const std::string&) { return {}; }

 private:
  dom::element root_;
};

// Few keys are compared with each other, many sorted.
bool has_key_twice(dom::object object) {
  constexpr std::size_t kFew = 16;
  std::vector<std::string_view> keys;
  keys.reserve(object.size());
  for (const dom::key_value_pair member : object) {
    if (keys.size() < kFew && std::find(keys.begin(), keys.end(), member.key) != keys.end())
      return true;
    keys.push_back(member.key);
  }
  if (keys.size() <= kFew) return false;
  std::sort(keys.begin(), keys.end());
  return std::adjacent_find(keys.begin(), keys.end()) != keys.end();
}

// Whether the strict parser, too, takes what simdjson has taken.
bool is_strict(dom::element value, int depth) {
  if (value.is_object()) {
    const dom::object object = value;
    if (depth >= kMaxDepth || has_key_twice(object)) return false;
    return std::all_of(object.begin(), object.end(), [depth](const dom::key_value_pair& member) {
      return is_strict(member.value, depth + 1);
    });
  }
  if (!value.is_array()) return true;
  const dom::array array = value;
  return depth < kMaxDepth && std::all_of(array.begin(), array.end(), [depth](dom::element inner) {
           return is_strict(inner, depth + 1);
         });
}

Document text_document(std::string_view bytes) {
  Document document;
  document.segments.emplace_back().text = bytes;
  return document;
}

void keep_last_answer(std::vector<Segment>& segments) {
  bool is_last = true;
  for (auto segment = segments.rbegin(); segment != segments.rend(); ++segment) {
    const bool was_scored = segment->scored;
    segment->scored = was_scored && is_last;
    is_last = is_last && !was_scored;
  }
}

}  // namespace

class RecordParser::State {
 public:
  explicit State(ReaderOptions options) : options_(std::move(options)) {}

  Result<Document> parse(const RecordLayout& layout, const RawRecord& record) {
    auto document = read(layout, record);
    if (!document) return fail(located(std::move(document).error(), layout, record));
    document->input = layout.input;
    document->record = record.record;
    document->offset = record.offset;
    if (options_.last_answer_only) keep_last_answer(document->segments);
    if (document->id.empty()) document->id = layout.input + ":" + std::to_string(record.record);
    return document;
  }

 private:
  // The document, or an error with its offset counted from the start of the record.
  Result<Document> read(const RecordLayout& layout, const RawRecord& record) {
    if (record.too_long)
      return fail(
          ErrorCode::kInvalidInput,
          "expected at most " + std::to_string(layout.longest_record) + " bytes in a record");
    switch (layout.format) {
      case Format::kText:
        COUNTERMARK_CHECK(check_utf8(record.bytes));
        return text_document(record.bytes);
      case Format::kCsv:
      case Format::kTsv:
        return parse_row(record.bytes, layout.delimiter, layout.columns, options_);
      default:
        if (layout.format == Format::kParquet && is_bad_parquet_row(record.bytes))
          return fail(parquet_error(record.bytes));
        return read_json(record.bytes);
    }
  }

  Result<Document> read_json(std::string_view bytes) {
    if (auto document = read_quickly(bytes)) return std::move(*document);
    return parse_record(bytes, options_);
  }

  std::optional<Document> read_quickly(std::string_view bytes) {
    // Grown in steps of two, so that records that are each a little longer do not each grow it.
    const std::size_t capacity = std::bit_ceil(std::max(bytes.size(), std::size_t{1} << 16));
    if (parser_.capacity() < bytes.size() && parser_.allocate(capacity) != simdjson::SUCCESS)
      return std::nullopt;
    std::optional<Document> out;
    dom::element root;
    // In place: a batch has what the parser reads behind the record.
    if (parser_.parse(bytes.data(), bytes.size(), false).get(root) == simdjson::SUCCESS &&
        is_strict(root, 0)) {
      const FastSource source(root);
      if (auto document = RecordRules(source, options_).parse()) out = std::move(*document);
    }
    if (parser_.capacity() > kKeptParser) parser_ = dom::parser();
    return out;
  }

  static Error located(Error error, const RecordLayout& layout, const RawRecord& record) {
    const std::string name = "record " + std::to_string(record.record);
    error.field = error.field.empty() ? name : name + ", " + error.field;
    // Of a row of Parquet there are no bytes to point at.
    if (layout.format == Format::kParquet) {
      error.offset.reset();
    } else {
      error.offset = record.offset + error.offset.value_or(0);
    }
    return std::move(error).in_file(layout.input);
  }

  ReaderOptions options_;
  dom::parser parser_{};
};

RecordParser::RecordParser(ReaderOptions options)
    : state_(std::make_unique<State>(std::move(options))) {}
RecordParser::RecordParser(RecordParser&& other) noexcept = default;
RecordParser& RecordParser::operator=(RecordParser&& other) noexcept = default;
RecordParser::~RecordParser() = default;

Result<Document> RecordParser::parse(const Batch& batch, const RawRecord& record) {
  return state_->parse(*batch.layout, record);
}

}  // namespace countermark::text
