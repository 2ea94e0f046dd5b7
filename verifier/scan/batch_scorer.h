// SPDX-License-Identifier: Apache-2.0
// One thread's part of a scan: a batch of records in, scored documents out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "verifier/scan/corpus_tape.h"
#include "verifier/scan/documents.h"
#include "verifier/scan/scanner.h"
#include "verifier/scan/summary.h"
#include "verifier/scan/tests.h"
#include "verifier/text/raw_records.h"

namespace countermark::scan {

// Of a document's row: for each test the tokens that were looked at, and of those that were dropped
// how many for which reason (detect::Dropped).
inline constexpr std::size_t kCountsPerTest = 5;

// A document that has been scored.
struct Scored {
  DocumentRow row{};
  // By channel of the tape: where its tuples begin in the batch's columns, and how many they are.
  std::vector<std::pair<std::size_t, std::size_t>> tuples{};
};

// What one thread makes of a batch.
struct ScoredBatch {
  std::vector<Scored> documents{};
  std::vector<std::vector<std::uint64_t>>
      fingerprints{};                                // by channel, of one document after another
  std::vector<std::vector<std::uint32_t>> scores{};  // by channel, of a document lane after lane
  Summary summary{};
  std::vector<Error> bad{};
  bool ended_by_error = false;  // its last bad record ends the scan

  // Empty, but with its memory.
  void clear(const Tests& tests, const Channels& channels, std::uint64_t sample_tokens);
};

// Puts a batch's documents on the tape.
Status put(const ScoredBatch& scored, const Channels& channels, CorpusTape::Writer& writer);

class BatchScorer {
 public:
  // All must outlive it.
  BatchScorer(const Tests& tests, const Channels& channels, const ScanOptions& options);

  // The documents of the shard's records, and the bad ones: a bad record is one that cannot be
  // parsed, or whose text or ids a test cannot read. Without skip_bad the first of them ends it.
  void score(const text::Batch& batch, ScoredBatch& out);

  // One document of the input of that number, which comes behind those that are there.
  Status score(const text::Document& document, std::size_t input, ScoredBatch& out);

 private:
  bool mine(std::size_t input, std::uint64_t record) const noexcept;
  Status score(const text::Batch& batch, const text::RawRecord& record, ScoredBatch& out);
  void add(const text::Document& document, std::size_t input, const std::vector<Reading>& readings,
           ScoredBatch& out);

  void add_sheet(std::size_t test, std::size_t channel, Scored& scored, ScoredBatch& out);

  const Tests* tests_;
  const Channels* channels_;
  const ScanOptions* options_;
  text::RecordParser parser_;
  std::vector<std::unique_ptr<Scorer>> scorers_{};
  std::vector<detect::DocumentTokenizer> tokenizers_{};
  std::vector<detect::TokenText> texts_{};    // by tokenizer
  std::vector<std::vector<Sheet>> sheets_{};  // by test
  detect::SpanFinder::Scratch spans_{};
};

}  // namespace countermark::scan
