// SPDX-License-Identifier: Apache-2.0
// Files of ours that hold one JSON object a line, read strictly: what is wrong is said with its
// file, record, field and offset.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "verifier/text/lines.h"
#include "watermark/error.h"

namespace countermark::text {

// The lines that are not empty. Not for several threads at once.
class RecordLines {
 public:
  // "-" is standard input. Of a line at most `longest` bytes are held, and longer ones refused.
  static Result<RecordLines> open(const std::string& path, std::size_t longest);

  // The next one, nothing at the end, or an error as said above; after one the next call goes on
  // behind it.
  Result<std::optional<std::string_view>> next();

  // What is wrong with the last one, with offsets from its beginning, as an error of the file.
  Error in_file(Error error) const;

 private:
  RecordLines(LineReader lines, std::size_t longest)
      : lines_(std::move(lines)), longest_(longest) {}

  LineReader lines_;
  std::size_t longest_;
  std::uint64_t record_ = 0;  // 1-based; empty lines do not count
  std::uint64_t offset_ = 0;
};

// Reads one record after the other, in memory for one. Not for several threads at once.
template <typename Record, Result<Record> (*kParse)(std::string_view line), std::size_t kLongest>
class JsonLinesReader {
 public:
  // "-" is standard input.
  static Result<JsonLinesReader> open(const std::string& path) {
    COUNTERMARK_TRY(RecordLines lines, RecordLines::open(path, kLongest));
    return JsonLinesReader(std::move(lines));
  }

  // The next one, nothing at the end, or an error that names the file, the record and its field
  // and the byte offset from the start of the file. After an error in a record the next call goes
  // on behind it. Empty lines are skipped.
  Result<std::optional<Record>> next() {
    COUNTERMARK_TRY(const std::optional<std::string_view> line, lines_.next());
    if (!line) return std::optional<Record>{};
    auto record = kParse(*line);
    if (!record) return fail(lines_.in_file(std::move(record).error()));
    return std::optional(*std::move(record));
  }

 private:
  explicit JsonLinesReader(RecordLines lines) : lines_(std::move(lines)) {}

  RecordLines lines_;
};

}  // namespace countermark::text
