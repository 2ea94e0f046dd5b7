// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/raw_records.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <span>
#include <utility>

#include "verifier/io/stream.h"
#include "verifier/text/parquet.h"
#include "verifier/text/record_layout.h"
#include "verifier/text/splitter.h"

namespace countermark::text {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::size_t kBatch = std::size_t{1} << 20;
constexpr std::size_t kRead = std::size_t{1} << 18;
// What simdjson may read behind a record.
constexpr std::size_t kPadding = 64;
// A buffer that one long record has made larger than this is given back.
constexpr std::size_t kKept = std::size_t{8} << 20;
constexpr std::size_t kLongestHeader = std::size_t{1} << 20;
// Plain text is held whole.
constexpr std::size_t kLongestFile = std::size_t{4} << 30;

// Reads one input.
class InputReader {
 public:
  static Result<std::unique_ptr<InputReader>> open(const std::string& path, Format format,
                                                   const ReaderOptions& options,
                                                   const Position& start) {
    auto reader = std::unique_ptr<InputReader>(new InputReader(path, format, options, start));
    COUNTERMARK_CHECK(located(reader->prepare(options), path));
    return reader;
  }

  // As RecordSource::next, for this input; after an error the end is reached.
  Result<bool> next(Batch& batch) {
    batch.records.clear();
    if (error_) return fail(*std::exchange(error_, std::nullopt));
    std::vector<Range> ranges;
    take_rest(batch.bytes);
    std::uint64_t resume_at = splitter_->at();
    for (;;) {
      split(batch.bytes, ranges, resume_at);
      if (ended_ || (held_ >= kBatch && !ranges.empty())) break;
      const auto begun = splitter_->begun();
      if (ranges.empty() && (!begun || splitter_->at() - *begun > layout_->longest_record)) {
        // Nothing that is held will be needed.
        held_ = 0;
        base_ = splitter_->at();
      }
      read(batch.bytes);
    }
    if (ranges.empty()) {
      if (error_) return fail(*std::exchange(error_, std::nullopt));
      return false;
    }
    hand_over(batch, ranges, resume_at);
    return true;
  }

  std::uint64_t taken() const noexcept { return stream_ ? stream_->taken() : 0; }

 private:
  InputReader(const std::string& path, Format format, const ReaderOptions& options,
              const Position& start)
      : layout_(std::make_shared<RecordLayout>()), position_(start) {
    layout_->input = path;
    layout_->format = format;
    layout_->longest_record = format == Format::kText ? kLongestFile : options.longest_record;
    layout_->delimiter = format == Format::kTsv ? '\t' : ',';
    splitter_ = make_splitter(format, layout_->delimiter);
  }

  static Status located(Status status, const std::string& path) {
    if (!status) return fail(std::move(status).error().in_file(path));
    return status;
  }

  bool is_parquet() const { return layout_->format == Format::kParquet; }

  // Opens the input, reads what comes before the records and goes to the start.
  Status prepare(const ReaderOptions& options) {
    if (is_parquet()) {
      COUNTERMARK_TRY(stream_, open_parquet(layout_->input, options, position_.records));
      return {};
    }
    COUNTERMARK_TRY(stream_, io::open_stream(layout_->input));
    while (!ended_ && held_ < kByteOrderMark.size()) read(rest_);
    if (std::string_view(rest_).substr(0, held_).starts_with(kByteOrderMark)) {
      splitter_->start(kByteOrderMark.size());
    }
    if (layout_->format == Format::kCsv || layout_->format == Format::kTsv)
      COUNTERMARK_CHECK(read_header(options));
    if (position_.records > 0) COUNTERMARK_CHECK(go_to_start());
    return {};
  }

  Status read_header(const ReaderOptions& options) {
    std::vector<Range> ranges;
    std::uint64_t behind = 0;
    for (;;) {
      split(rest_, ranges, behind, 1);
      if (!ranges.empty()) break;
      if (ended_) return {};  // no record, and no header
      if (held_ > kLongestHeader)
        return fail(
            Error{ErrorCode::kInvalidInput,
                  "expected a header of at most " + std::to_string(kLongestHeader) + " bytes",
                  {},
                  "header",
                  0});
      read(rest_);
    }
    const auto at = static_cast<std::size_t>(ranges[0].begin);
    const std::string_view header =
        std::string_view(rest_).substr(at, static_cast<std::size_t>(ranges[0].end) - at);
    auto columns = split_row(header, layout_->delimiter).and_then([&](const auto& row) {
      return choose_columns(row, options);
    });
    if (!columns) {
      Error error = std::move(columns).error();
      error.field = error.field.empty() ? "header" : "header, " + error.field;
      error.offset = at + error.offset.value_or(0);
      return fail(std::move(error));
    }
    layout_->columns = std::move(*columns);
    return {};
  }

  Status go_to_start() {
    std::vector<Range> ranges;
    std::uint64_t behind = 0;
    while (!splitter_->is_ready() && !ended_) {
      split(rest_, ranges, behind, 1);
      if (!splitter_->is_ready()) read(rest_);
    }
    if (error_) return fail(*std::exchange(error_, std::nullopt));
    splitter_->resume(position_.offset);
    if (position_.offset >= base_ + held_) {
      COUNTERMARK_CHECK(stream_->skip(position_.offset - base_ - held_));
      held_ = 0;
      base_ = position_.offset;
    }
    return {};
  }

  // Reads a piece more behind what is held.
  void read(std::string& bytes) {
    if (bytes.size() < held_ + kRead + kPadding)
      bytes.resize(held_ + std::max(held_, kRead) + kPadding);
    auto count = stream_->read(std::span(bytes).subspan(held_, kRead));
    if (count) {
      held_ += *count;
      ended_ = *count == 0;
    } else {
      error_ = std::move(count).error();
      ended_ = true;
    }
  }

  // Finds the records in what is held and not seen yet, at most `most` of them; `behind` becomes
  // where the search went on after the last.
  void split(const std::string& bytes, std::vector<Range>& ranges, std::uint64_t& behind,
             std::size_t most = SIZE_MAX) {
    const auto at = static_cast<std::size_t>(splitter_->at() - base_);
    std::string_view unseen = std::string_view(bytes).substr(at, held_ - at);
    while (ranges.size() < most) {
      const bool is_over = unseen.empty();
      if (is_over && (!ended_ || error_)) return;
      auto range = is_over ? splitter_->finish() : splitter_->next(unseen);
      if (!range) {
        error_ = std::move(range).error().in_file(layout_->input);
        ended_ = true;
        return;
      }
      if (!*range) {
        if (is_over) return;
        continue;
      }
      if (is_parquet() && ends_reading(bytes, **range)) return;
      ranges.push_back(**range);
      behind = splitter_->at();
    }
  }

  bool ends_reading(const std::string& bytes, const Range& range) {
    if (range.begin < base_) return false;  // too long a row
    const std::string_view line =
        std::string_view(bytes).substr(static_cast<std::size_t>(range.begin - base_),
                                       static_cast<std::size_t>(range.end - range.begin));
    if (!is_parquet_damage(line)) return false;
    error_ = parquet_error(line).in_file(layout_->input);
    ended_ = true;
    return true;
  }

  // What the last batch has left, at the start of `bytes`.
  void take_rest(std::string& bytes) {
    if (bytes.size() > kKept && held_ < kBatch) bytes = std::string();
    if (bytes.size() < held_ + kPadding) bytes.resize(held_ + kRead + kPadding);
    std::copy_n(rest_.data(), held_, bytes.data());
  }

  void hand_over(Batch& batch, const std::vector<Range>& ranges, std::uint64_t resume_at) {
    batch.begin = position_;
    batch.layout = layout_;
    for (const Range& range : ranges) {
      RawRecord& record = batch.records.emplace_back();
      record.record = ++position_.records;
      record.offset = is_parquet() ? 0 : range.begin;
      record.too_long = range.end - range.begin > layout_->longest_record;
      if (!record.too_long)
        record.bytes = std::string_view(batch.bytes)
                           .substr(static_cast<std::size_t>(range.begin - base_),
                                   static_cast<std::size_t>(range.end - range.begin));
    }
    position_.offset = is_parquet() ? 0 : resume_at;
    batch.end = position_;
    const auto used =
        static_cast<std::size_t>(splitter_->begun().value_or(splitter_->at()) - base_);
    rest_.assign(batch.bytes, used, held_ - used);
    held_ -= used;
    base_ += used;
  }

  std::shared_ptr<RecordLayout> layout_;
  Position position_;
  std::unique_ptr<Splitter> splitter_;
  std::unique_ptr<io::Stream> stream_{};
  std::string rest_{};      // between batches: what is held
  std::size_t held_ = 0;    // bytes, of which the splitter may have seen some
  std::uint64_t base_ = 0;  // the offset of the first of them
  bool ended_ = false;
  std::optional<Error> error_{};  // why it has ended, to be said after the records before
};

}  // namespace

class RecordSource::State {
 public:
  State(std::vector<std::string> inputs, std::vector<Format> formats, ReaderOptions options)
      : inputs_(std::move(inputs)), formats_(std::move(formats)), options_(std::move(options)) {}

  Result<bool> next(Batch& batch) {
    while (start_.input < inputs_.size()) {
      if (!reader_) {
        auto opened =
            InputReader::open(inputs_[start_.input], formats_[start_.input], options_, start_);
        if (!opened) {
          close();
          return fail(std::move(opened).error());
        }
        reader_ = std::move(*opened);
      }
      auto more = reader_->next(batch);
      if (more && *more) return true;
      close();
      if (!more) return more;
    }
    return false;
  }

  Status seek(const Position& position) {
    if (position.input > inputs_.size())
      return fail(ErrorCode::kInvalidArgument, "the position is not one in these inputs");
    reader_.reset();
    start_ = position;
    return {};
  }

  Position behind_damage() const noexcept { return start_; }
  std::uint64_t bytes_read() const noexcept { return taken_ + (reader_ ? reader_->taken() : 0); }

 private:
  void close() {
    if (reader_) taken_ += reader_->taken();
    reader_.reset();
    start_ = Position{start_.input + 1, 0, 0};
  }

  std::vector<std::string> inputs_;
  std::vector<Format> formats_;
  ReaderOptions options_;
  Position start_{};  // of the input that is open or comes next
  std::unique_ptr<InputReader> reader_{};
  std::uint64_t taken_ = 0;
};

Result<Format> format_by_name(const std::string& name) {
  if (name == "-") return Format::kText;
  const std::string inner = io::without_compression(name);
  std::string ending = std::filesystem::path(inner).extension().string();
  for (char& c : ending)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  if (ending.empty() || ending == ".txt") return Format::kText;
  if (ending == ".jsonl" || ending == ".ndjson") return Format::kJsonl;
  if (ending == ".json") return Format::kJson;
  if (ending == ".csv") return Format::kCsv;
  if (ending == ".tsv") return Format::kTsv;
  if (ending == ".parquet" && inner == name) return Format::kParquet;
  return fail(Error{ErrorCode::kUnsupported,
                    "expected a name ending in .txt, .jsonl, .ndjson, .json, .csv or .tsv (then "
                    ".gz or .zst if compressed) or .parquet, or a format",
                    name});
}

Result<RecordSource> RecordSource::create(std::vector<std::string> inputs,
                                          const ReaderOptions& options) {
  if (!options.text_field.empty() && !options.ids_field.empty())
    return fail(ErrorCode::kInvalidArgument, "expected a text field or an ids field, not both");
  std::vector<Format> formats;
  for (const std::string& input : inputs) {
    Format format = options.format;
    if (format == Format::kByName) {
      COUNTERMARK_TRY(format, format_by_name(input));
    }
    if (format == Format::kText && !(options.text_field.empty() && options.ids_field.empty()))
      return fail(Error{ErrorCode::kInvalidArgument, "plain text has no fields", input});
    if (format == Format::kParquet && input == "-")
      return fail(Error{ErrorCode::kInvalidArgument,
                        "Parquet is read from its end: expected a file, not a pipe", input});
    formats.push_back(format);
  }
  return RecordSource(std::make_unique<State>(std::move(inputs), std::move(formats), options));
}

RecordSource::RecordSource(std::unique_ptr<State> state) : state_(std::move(state)) {}
RecordSource::RecordSource(RecordSource&& other) noexcept = default;
RecordSource& RecordSource::operator=(RecordSource&& other) noexcept = default;
RecordSource::~RecordSource() = default;

Result<bool> RecordSource::next(Batch& batch) { return state_->next(batch); }
Status RecordSource::seek(const Position& position) { return state_->seek(position); }
Position RecordSource::behind_damage() const noexcept { return state_->behind_damage(); }
std::uint64_t RecordSource::bytes_read() const noexcept { return state_->bytes_read(); }

}  // namespace countermark::text
