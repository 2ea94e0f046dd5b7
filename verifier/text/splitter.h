// SPDX-License-Identifier: Apache-2.0
// Where records begin and end in bytes that come piece by piece. Looks at line feeds, quotes and
// brackets alone; whether a record is any good is found out when it is parsed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "verifier/text/reader.h"
#include "watermark/error.h"

namespace countermark::text {

// Offsets from the start of the input.
struct Range {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;

  bool operator==(const Range&) const = default;
};

class Splitter {
 public:
  Splitter() = default;
  Splitter(const Splitter&) = delete;
  Splitter& operator=(const Splitter&) = delete;
  virtual ~Splitter() = default;

  // Goes over `bytes`, which follow those that it has seen, up to the end of a record and takes
  // them off; nothing when all are seen. An error (with its offset) means that no more records can
  // be told apart.
  Result<std::optional<Range>> next(std::string_view& bytes);

  // The input has ended: the record that ends with it, if there is one.
  virtual Result<std::optional<Range>> finish() = 0;

  // The start of the record that has begun and not ended.
  std::optional<std::uint64_t> begun() const { return begun_; }

  // The offset of the next byte. After a record, where the search for the next one goes on.
  std::uint64_t at() const { return at_; }

  // Whether all was seen that must be seen first to go on elsewhere.
  virtual bool is_ready() const { return true; }

  // Says, before anything is seen, that the first `offset` bytes are none of any record.
  void start(std::uint64_t offset) { at_ = offset; }

  // Goes on at `offset`, after a record.
  virtual void resume(std::uint64_t offset) {
    at_ = offset;
    begun_.reset();
  }

 protected:
  // The number of bytes up to where `found_` was set, or all of them.
  virtual Result<std::size_t> look_at(std::string_view bytes) = 0;

  // Called from look_at: the record that has begun ends at the byte `end` of the bytes.
  void end_record(std::size_t end) {
    found_ = Range{*begun_, at_ + end};
    begun_.reset();
  }
  void begin_record(std::size_t start) { begun_ = at_ + start; }
  std::optional<Range> end_with_input() {
    if (!begun_) return std::nullopt;
    const Range range{*begun_, at_};
    begun_.reset();
    return range;
  }

 private:
  std::optional<std::uint64_t> begun_{};
  std::optional<Range> found_{};
  std::uint64_t at_ = 0;
};

// `delimiter` is that of CSV. The first record of CSV is its header.
std::unique_ptr<Splitter> make_splitter(Format format, char delimiter);

}  // namespace countermark::text
