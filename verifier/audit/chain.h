// SPDX-License-Identifier: Apache-2.0
// Files to which lines are added and none is ever changed: each names the one before it by digest
// (countermark.looks/1, countermark.ledger/1).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "verifier/text/json_lines.h"
#include "watermark/error.h"
#include "watermark/json.h"

namespace countermark::audit {

// SHA-256 of a line with its line feed; of no bytes before the first.
std::string digest_of_line(std::string_view line);

// A member that is one: 64 lower-case hex digits.
Result<std::string> digest_at(const JsonDocument& record, const std::string& pointer);

// Replaces a file in one step; what was written survives a crash of the machine.
Status replace_file(const std::string& path, std::string_view bytes);

// A Record has a member `previous`, the digest of the line before its own. kWrite gives a line with
// its line feed, of 64 KiB at most.
template <typename Record, Result<Record> (*kParse)(std::string_view),
          std::string (*kWrite)(const Record&)>
class Chain {
 public:
  // Of a file that may not be there yet. kInvalidInput for a chain that is broken.
  static Result<Chain> open(const std::string& path) {
    Chain out(path);
    std::error_code error;
    if (!std::filesystem::exists(path, error)) return out;
    COUNTERMARK_TRY(Reader reader, Reader::open(path));
    for (;;) {
      COUNTERMARK_TRY(std::optional<Record> record, reader.next());
      if (!record) return out;
      if (record->previous != out.last_)
        return fail(Error{ErrorCode::kInvalidInput,
                          "does not follow from the line before it: a line was changed or left out",
                          path, "record " + std::to_string(out.records_.size() + 1)});
      out.put(*std::move(record));
    }
  }

  const std::string& path() const noexcept { return path_; }
  const std::vector<Record>& records() const noexcept { return records_; }

  // Puts a record behind the others, in the file, too; its `previous` is set here.
  Status add(Record record) {
    record.previous = last_;
    COUNTERMARK_CHECK(replace_file(path_, text_ + kWrite(record)));
    put(std::move(record));
    return {};
  }

 private:
  using Reader = text::JsonLinesReader<Record, kParse, std::size_t{1} << 16>;

  explicit Chain(std::string path) : path_(std::move(path)), last_(digest_of_line("")) {}

  void put(Record record) {
    const std::string line = kWrite(record);
    text_ += line;
    last_ = digest_of_line(line);
    records_.push_back(std::move(record));
  }

  std::string path_;
  std::vector<Record> records_{};
  std::string text_{};  // all lines
  std::string last_;    // digest of the last one
};

}  // namespace countermark::audit
