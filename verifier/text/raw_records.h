// SPDX-License-Identifier: Apache-2.0
// Records as they stand in their inputs: what one thread reads, so that others can parse.
//
// A source decompresses, finds where each record begins and ends, and parses nothing. A parser
// makes a document of one record. Every batch says where it stands, and a source can go on from
// there in another process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "verifier/text/reader.h"
#include "watermark/error.h"

namespace countermark::text {

// What the records of one input share. Immutable.
struct RecordLayout;

struct RawRecord {
  std::string_view bytes{};  // into the batch; empty when `too_long`
  std::uint64_t record = 0;  // 1-based, as Document::record
  std::uint64_t offset = 0;  // as Document::offset
  bool too_long = false;     // more bytes than are held of one: a bad record
};

// Between two records: after the first `records` of the input `input`, at the byte `offset`.
struct Position {
  std::size_t input = 0;
  std::uint64_t records = 0;
  std::uint64_t offset = 0;  // in what decompression gives; 0 in Parquet

  bool operator==(const Position&) const = default;
};

// Whole records of one input, in order, about a mebibyte of them or one that is larger.
struct Batch {
  Position begin{};
  Position end{};  // where the next batch of this input begins
  std::shared_ptr<const RecordLayout> layout{};
  std::vector<RawRecord> records{};
  std::string bytes{};  // what the records point into; more is behind the last than it needs
};

// Reads the records of several inputs one after the other, in bounded memory. Not for several
// threads at once.
class RecordSource {
 public:
  // `inputs` are files or "-", as expand_inputs gives them. kInvalidArgument for options that
  // contradict each other, kUnsupported for a name of no known format; opens no file yet.
  static Result<RecordSource> create(std::vector<std::string> inputs, const ReaderOptions& options);

  RecordSource(RecordSource&& other) noexcept;
  RecordSource& operator=(RecordSource&& other) noexcept;
  ~RecordSource();

  // Fills `batch`, whose memory is used again; false at the end of the last input. A batch has at
  // least one record. An error names the file, with the offset in the file where that is known (in
  // a compressed one that of the compressed bytes), and comes after all records before the damage;
  // the next call goes on with the next input.
  Result<bool> next(Batch& batch);

  // Goes on from a position that a batch of the same inputs had. In a plain file that is one seek;
  // compressed ones are decompressed up to it, of Parquet whole row groups are passed over.
  Status seek(const Position& position);

  // After an error of next(): where the call after it goes on, behind the damage.
  Position behind_damage() const noexcept;

  // Bytes read so far from the inputs as they lie on the disk (of Parquet those of its rows as
  // JSON), for progress.
  std::uint64_t bytes_read() const noexcept;

 private:
  class State;
  explicit RecordSource(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

// Makes documents of records. Each thread needs its own, which keeps memory between records.
class RecordParser {
 public:
  explicit RecordParser(ReaderOptions options);
  RecordParser(RecordParser&& other) noexcept;
  RecordParser& operator=(RecordParser&& other) noexcept;
  ~RecordParser();

  // The document in a record of `batch`, or an error as DocumentReader gives for a bad record.
  Result<Document> parse(const Batch& batch, const RawRecord& record);

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace countermark::text
