// SPDX-License-Identifier: Apache-2.0
// Documents out of files: plain text, JSON Lines, JSON arrays.
//
// A document is what gets one verdict. It consists of segments: text that is scored (an answer),
// and text that only tells which contexts the author had seen (prompt, user and system turns).
// Contexts never reach across segments.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "watermark/error.h"
#include "watermark/token.h"

namespace countermark::text {

struct Segment {
  std::string text{};          // UTF-8; empty when `ids` were given
  std::vector<TokenId> ids{};  // when the input carries token ids
  bool is_ids = false;
  bool scored = true;          // false: prompt, user, system or tool text
};

struct Document {
  std::string id{};                 // the record's "id" when it has one, else "FILE:N" (1-based record)
  std::string input{};              // the file's name as given
  std::uint64_t record = 0;         // 1-based
  std::uint64_t offset = 0;         // byte offset of the record in the input
  std::string field{};              // which field the text came from; "" for plain text
  std::vector<Segment> segments{};
};

enum class Format { kByName, kText, kJsonl, kJson };

struct ReaderOptions {
  Format format = Format::kByName;  // .txt and no ending: text; .jsonl .ndjson; .json
  std::string text_field{};         // dotted path ("answer.text"); "": the first known field
  std::string ids_field{};          // the record's token ids; excludes text_field
  std::string role = "assistant";   // which turns of a conversation are scored
};

// Reads one document after the other in bounded memory (JSON arrays are held whole).
class DocumentReader {
 public:
  virtual ~DocumentReader() = default;

  // The next document, nothing at the end, or an error that names file, record, field and byte
  // offset. After an error in a JSONL record the next call continues with the following line.
  virtual Result<std::optional<Document>> next() = 0;
};

// Opens `path` ("-": standard input, text unless a format is given). kUnsupported for an ending
// that this version does not read.
Result<std::unique_ptr<DocumentReader>> open_documents(const std::string& path,
                                                       const ReaderOptions& options);

}  // namespace countermark::text
