// SPDX-License-Identifier: Apache-2.0
#include "verifier/scan/row_format.h"

#include <cstddef>

namespace countermark::scan {
namespace {

// Seven bits a byte, the low ones first; the high bit says that more follow.
void write_number(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void write_tally(std::string& out, const Tally& tally) {
  write_number(out, tally.n);
  write_number(out, tally.sum);
}

// Reads numbers until one is bad; then zeros, and where it was bad.
class Numbers {
 public:
  explicit Numbers(std::string_view bytes) : bytes_(bytes) {}

  std::uint64_t next(const char* field, std::uint64_t most = UINT64_MAX) {
    if (error_ != nullptr) return 0;
    const std::size_t begin = at_;
    std::uint64_t value = 0;
    for (unsigned shift = 0; at_ < bytes_.size() && shift < 64; shift += 7) {
      const auto byte = static_cast<std::uint8_t>(bytes_[at_++]);
      const std::uint64_t part = byte & 0x7f;
      const bool is_lost = shift == 63 && part > 1;
      value |= part << shift;
      if (byte >= 0x80) continue;
      // A last byte of 0 would be a second form of a shorter number.
      if (!is_lost && value <= most && (byte != 0 || shift == 0)) return value;
      break;
    }
    error_ = field;
    at_ = begin;
    return 0;
  }

  // How many things of at least `bytes` bytes follow.
  std::size_t count(const char* field, std::size_t most, std::size_t bytes) {
    const std::size_t begin = at_;
    const std::uint64_t value = next(field, most);
    if (value <= (bytes_.size() - at_) / bytes) return static_cast<std::size_t>(value);
    error_ = field;
    at_ = begin;
    return 0;
  }

  std::string_view take(std::size_t size) {
    if (error_ != nullptr) return {};
    at_ += size;
    return bytes_.substr(at_ - size, size);
  }

  Tally tally(const char* field) {
    const std::uint64_t n = next(field);
    return {n, next(field)};
  }

  std::size_t at() const { return at_; }
  const char* error() const { return error_; }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
  const char* error_ = nullptr;  // the field
};

}  // namespace

Status check_row(const DocumentRow& row, const Settings& settings) {
  const auto bad = [](const char* field, const char* message) {
    return fail(Error{ErrorCode::kInvalidArgument, message, "", field});
  };
  if (row.id.size() > kMostIdBytes) return bad("id", "expected at most 1 MiB");
  if (row.dropped.size() > kMostDropped) return bad("dropped", "expected at most 65536 counts");
  if (row.own.size() != settings.all_lanes()) return bad("own", "expected a tally for each lane");
  if (row.spans.size() > kMostSpans) return bad("spans", "expected at most 1048576");
  for (const Span& span : row.spans)
    if (span.lane >= row.own.size() || span.last < span.first)
      return bad("spans", "expected a lane that there is, and a last token not before the first");
  return {};
}

void write_row(std::string& out, std::uint32_t document, const DocumentRow& row) {
  write_number(out, document);
  write_number(out, row.place.input);
  write_number(out, row.place.record);
  write_number(out, row.content_hash);
  write_number(out, row.offset);
  write_number(out, row.tokens);
  write_number(out, row.id.size());
  out += row.id;
  write_number(out, row.dropped.size());
  for (const std::uint64_t count : row.dropped) write_number(out, count);
  for (const Tally& tally : row.own) write_tally(out, tally);
  write_number(out, row.spans.size());
  for (const Span& span : row.spans) {
    write_number(out, span.lane);
    write_number(out, span.first);
    write_number(out, span.last - span.first);
    write_tally(out, span.tally);
  }
}

Result<NumberedRow> read_row(std::string_view& bytes, const Settings& settings) {
  Numbers numbers(bytes);
  NumberedRow numbered;
  DocumentRow& row = numbered.row;
  numbered.document = static_cast<std::uint32_t>(numbers.next("document", UINT32_MAX));
  row.place.input = static_cast<std::uint32_t>(numbers.next("input", UINT32_MAX));
  row.place.record = numbers.next("record");
  row.content_hash = numbers.next("contentHash");
  row.offset = numbers.next("offset");
  row.tokens = numbers.next("tokens");
  row.id = numbers.take(numbers.count("id", kMostIdBytes, 1));
  row.dropped.resize(numbers.count("dropped", kMostDropped, 1));
  for (std::uint64_t& count : row.dropped) count = numbers.next("dropped");
  row.own.resize(settings.all_lanes());
  for (Tally& tally : row.own) tally = numbers.tally("own");
  row.spans.resize(numbers.count("spans", kMostSpans, 5));
  for (Span& span : row.spans) {
    span.lane = static_cast<std::uint32_t>(numbers.next("spans", row.own.size() - 1));
    span.first = numbers.next("spans");
    span.last = span.first + numbers.next("spans", UINT64_MAX - span.first);
    span.tally = numbers.tally("spans");
  }
  if (numbers.error() != nullptr)
    return fail(Error{ErrorCode::kInvalidInput, "expected a number within its range", "",
                      numbers.error(), numbers.at()});
  bytes.remove_prefix(numbers.at());
  return numbered;
}

}  // namespace countermark::scan
