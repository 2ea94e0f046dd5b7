// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/reader.h"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <utility>

#include "verifier/io/file.h"
#include "verifier/text/lines.h"
#include "verifier/text/record.h"
#include "watermark/json.h"
#include "watermark/utf8.h"

namespace countermark::text {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
// Far beyond any real record, and small enough to hold a few times over.
constexpr std::size_t kLongestLine = std::size_t{256} << 20;

// What the readers of records share: counting, naming, locating.
class RecordReader : public DocumentReader {
 protected:
  RecordReader(std::string input, ReaderOptions options)
      : input_(std::move(input)), options_(std::move(options)) {}

  // The document in the next record, which stands at `offset`.
  Result<std::optional<Document>> read_record(std::string_view bytes, std::uint64_t offset) {
    ++record_;
    if (const Status status = check_utf8(bytes); !status)
      return fail(locate(status.error(), offset));
    auto document = parse_record(bytes, options_);
    if (!document) return fail(locate(std::move(document).error(), offset));
    document->input = input_;
    document->record = record_;
    document->offset = offset;
    if (document->id.empty()) document->id = input_ + ":" + std::to_string(record_);
    return std::optional<Document>(std::move(*document));
  }

  // An error about the current record, its offset counted from the start of the record.
  Error locate(Error error, std::uint64_t offset) const {
    const std::string record = "record " + std::to_string(record_);
    error.field = error.field.empty() ? record : record + ", " + error.field;
    error.offset = offset + error.offset.value_or(0);
    return std::move(error).in_file(input_);
  }

  std::string input_;
  std::uint64_t record_ = 0;

 private:
  ReaderOptions options_;
};

class TextReader final : public DocumentReader {
 public:
  TextReader(std::string input, std::string text) {
    Document document;
    document.id = input + ":1";
    document.input = std::move(input);
    document.record = 1;
    document.segments.emplace_back();
    document.segments.back().text = std::move(text);
    document_ = std::move(document);
  }

  Result<std::optional<Document>> next() override { return std::exchange(document_, std::nullopt); }

 private:
  std::optional<Document> document_{};
};

class JsonlReader final : public RecordReader {
 public:
  JsonlReader(std::string name, io::Input input, ReaderOptions options)
      : RecordReader(std::move(name), std::move(options)), lines_(std::move(input), kLongestLine) {}

  Result<std::optional<Document>> next() override {
    for (;;) {
      COUNTERMARK_TRY(const std::optional<Line> line, lines_.next());
      if (!line) return std::optional<Document>{};
      const std::size_t skipped =
          line->offset == 0 && line->bytes.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
      if (line->too_long) {
        ++record_;
        return fail(locate(too_long_error(kLongestLine), line->offset));
      }
      const std::string_view record = line->bytes.substr(skipped);
      if (skip_json_space(record, 0) < record.size())
        return read_record(record, line->offset + skipped);
    }
  }

 private:
  LineReader lines_;
};

// Where one record stands in the file.
struct Range {
  std::size_t start = 0;
  std::size_t size = 0;
};

Error bad_json(std::string message, std::size_t offset) {
  return Error{ErrorCode::kInvalidInput, std::move(message), {}, {}, offset};
}

// The elements of the array, or the one object, that begins at or after `at` and must be all there
// is. Only brackets, quotes and commas are checked.
Result<std::vector<Range>> split_records(std::string_view bytes, std::size_t at) {
  std::vector<Range> records;
  const auto take = [&] {
    const std::size_t end = skip_json_value(bytes, at);
    if (end == bytes.npos) return false;
    records.push_back({at, end - at});
    at = skip_json_space(bytes, end);
    return true;
  };
  at = skip_json_space(bytes, at);
  const char first = at < bytes.size() ? bytes[at] : '\0';
  if (first != '[' && first != '{')
    return fail(bad_json("expected an array of records, or one record", at));
  if (first == '{') {
    if (!take()) return fail(bad_json("expected '}' before the end", bytes.size()));
  } else {
    at = skip_json_space(bytes, at + 1);
    const bool is_empty = at < bytes.size() && bytes[at] == ']';
    while (!is_empty) {
      if (!take() || at == bytes.size())
        return fail(bad_json("expected ']' before the end", bytes.size()));
      if (bytes[at] == ']') break;
      if (bytes[at] != ',') return fail(bad_json("expected ',' or ']'", at));
      at = skip_json_space(bytes, at + 1);
    }
    at = skip_json_space(bytes, at + 1);
  }
  if (at < bytes.size())
    return fail(bad_json("expected nothing after the first JSON value (is this JSON Lines?)", at));
  return records;
}

class JsonReader final : public RecordReader {
 public:
  JsonReader(std::string name, std::string bytes, std::vector<Range> records, ReaderOptions options)
      : RecordReader(std::move(name), std::move(options)),
        bytes_(std::move(bytes)),
        records_(std::move(records)) {}

  Result<std::optional<Document>> next() override {
    if (record_ == records_.size()) return std::optional<Document>{};
    const Range range = records_[record_];
    return read_record(std::string_view(bytes_).substr(range.start, range.size), range.start);
  }

 private:
  std::string bytes_;
  std::vector<Range> records_;
};

Result<Format> format_by_name(const std::string& path) {
  if (path == "-") return Format::kText;
  std::string ending = std::filesystem::path(path).extension().string();
  for (char& c : ending)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  if (ending.empty() || ending == ".txt") return Format::kText;
  if (ending == ".jsonl" || ending == ".ndjson") return Format::kJsonl;
  if (ending == ".json") return Format::kJson;
  return fail(Error{ErrorCode::kUnsupported,
                    "expected a name ending in .txt, .jsonl, .ndjson or .json, or a format", path});
}

}  // namespace

Result<std::unique_ptr<DocumentReader>> open_documents(const std::string& path,
                                                       const ReaderOptions& options) {
  using Reader = std::unique_ptr<DocumentReader>;
  Format format = options.format;
  if (format == Format::kByName) {
    COUNTERMARK_TRY(format, format_by_name(path));
  }
  if (!options.text_field.empty() && !options.ids_field.empty())
    return fail(ErrorCode::kInvalidArgument, "expected a text field or an ids field, not both");
  if (format == Format::kText && !(options.text_field.empty() && options.ids_field.empty()))
    return fail(Error{ErrorCode::kInvalidArgument, "plain text has no fields", path});

  if (format == Format::kJsonl) {
    COUNTERMARK_TRY(io::Input input, io::Input::open(path));
    return Reader(std::make_unique<JsonlReader>(path, std::move(input), options));
  }
  COUNTERMARK_TRY(std::string bytes, io::read_file(path));
  if (auto status = check_utf8(bytes); !status)
    return fail(std::move(status).error().in_file(path));
  const std::size_t start = bytes.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  if (format == Format::kText)
    return Reader(std::make_unique<TextReader>(path, bytes.substr(start)));
  auto records = split_records(bytes, start);
  if (!records) return fail(std::move(records).error().in_file(path));
  return Reader(std::make_unique<JsonReader>(path, std::move(bytes), std::move(*records), options));
}

}  // namespace countermark::text
