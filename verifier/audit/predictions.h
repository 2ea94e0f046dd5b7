// SPDX-License-Identifier: Apache-2.0
// countermark.predictions/1: what a suspect model predicted while it read a text (docs/formats.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "verifier/io/file.h"
#include "verifier/text/reader.h"
#include "watermark/error.h"

namespace countermark::audit {

inline constexpr std::string_view kPredictionsSchema = "countermark.predictions/1";

struct PredictionsHeader {
  std::string suspect{};         // its name
  std::string suspect_sha256{};  // digest of its weights; empty where there is none
  // Of the tokenizer that made the ids; nothing where ids were given.
  std::optional<std::string> tokenizer_sha256{};
  std::string read_sha256{};  // of the tokens that were read
  // Of the file they came from, by which a plan names it; older files do not say.
  std::optional<std::string> input_sha256{};
  // The suspect's own tokenizer where that is another one: its tokens were brought to those that it
  // read by the text that both spell.
  std::optional<std::string> aligned_from{};
  std::uint64_t rows = 0;   // tokens
  std::uint32_t top_k = 0;  // predictions at each
  std::uint64_t data = 0;   // byte offset of the first tensor
};

// Of the first bytes of a file; `size` is that of the whole. kInvalidInput, kUnsupported for a
// later schema.
Result<PredictionsHeader> parse_predictions_header(std::string_view bytes, std::uint64_t size);

// Longer headers are refused.
inline constexpr std::uint64_t kLongestPredictionsHeader = std::uint64_t{1} << 20;

// A token of the suspect's that is none of the tokenizer's that the text is in.
inline constexpr TokenId kNoToken = 0xffff'ffff;

// What was predicted for each place of a document, topK tokens a place: distinct ones and kNoToken,
// with the natural logarithms of their probabilities. For the first place nothing was; its row
// repeats the id that stands there, with probabilities of 0.
struct Candidates {
  std::vector<TokenId> ids{};
  std::vector<float> log_probs{};
};

// Reads one document after the other, in memory for one. Not for several threads at once.
class PredictionsReader {
 public:
  // A regular file: its columns are read side by side. `all`: candidates() are wanted, too.
  static Result<PredictionsReader> open(const std::string& path, bool all = false);

  const PredictionsHeader& header() const noexcept { return header_; }

  // The next document, nothing at the end. Its one segment holds the ids and, at each place, the
  // most probable token that was predicted for it; at the first, for which nothing was, the id
  // itself; and so where that token is kNoToken, but then the place is `unpredicted`.
  // kInvalidInput with the offset for rows that are not in order.
  Result<std::optional<text::Document>> next();

  // Of the document that next() gave last. kInvalidInput there for tokens that stand twice in a
  // row, and for what is no logarithm of a probability.
  const Candidates& candidates() const noexcept { return candidates_; }

 private:
  // One tensor, from its beginning.
  class Column {
   public:
    static Result<Column> open(const std::string& path, std::uint64_t offset);
    // Appends so many numbers.
    Status read(std::size_t count, std::vector<std::uint32_t>& out);

   private:
    explicit Column(io::Input input) : input_(std::move(input)) {}
    io::Input input_;
    std::vector<char> bytes_{};
  };

  PredictionsReader(std::string path, PredictionsHeader header, std::vector<Column> columns)
      : path_(std::move(path)), header_(std::move(header)), columns_(std::move(columns)) {}

  Status read_rows();
  // Behind those that are there, for the place after row_; or for the first place.
  Status add_candidates();
  void add_no_candidates(TokenId id);
  Error bad_row(const char* message) const;

  std::string path_;
  PredictionsHeader header_;
  std::vector<Column> columns_;  // ids, doc, position, topIds, and topLogProb if wanted
  std::uint64_t row_ = 0;        // the next to be taken
  // Rows that are read and not taken, from `at_` on.
  std::uint64_t first_ = 0;  // row of ids_[0]
  std::vector<std::uint32_t> ids_{};
  std::vector<std::uint32_t> documents_{};
  std::vector<std::uint32_t> positions_{};
  std::vector<std::uint32_t> predicted_{};  // topK of each row
  std::vector<std::uint32_t> log_probs_{};  // their bits, where all are wanted
  Candidates candidates_{};
  std::vector<std::uint32_t> sorted_{};  // of one row
};

}  // namespace countermark::audit
