// SPDX-License-Identifier: Apache-2.0
// Documents out of files: plain text, JSON Lines, JSON arrays, tables, Parquet; compressed or not.
//
// A document is what gets one verdict. It consists of segments: text that is scored (an answer),
// and text that only tells which contexts the author had seen (prompt, user and system turns).
// Contexts never reach across segments.
#pragma once

#include <cstddef>
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
  bool scored = true;  // false: prompt, user, system or tool text
  // Of ids that a suspect model read: what it expected at the place of each, which is scored in its
  // place. As many as ids, or none.
  std::vector<TokenId> predicted{};
  // Where it expected no token of these: there `predicted` has the text's own, which is not scored.
  // Rising.
  std::vector<std::uint32_t> unpredicted{};
};

struct Document {
  std::string id{};          // the record's "id" when it has one, else "FILE:N" (1-based record)
  std::string input{};       // the file's name as given
  std::uint64_t record = 0;  // 1-based; empty lines do not count
  std::uint64_t offset = 0;  // byte offset of the record in the input
  std::string field{};       // which field the text came from; "" for plain text
  std::vector<Segment> segments{};  // in reading order
};

enum class Format { kByName, kText, kJsonl, kJson, kCsv, kTsv, kParquet };

struct ReaderOptions {
  // By name: .txt and no ending: text; .jsonl .ndjson; .json; .csv; .tsv; .parquet; in either case
  // of letters, an ending .gz or .zst aside.
  Format format = Format::kByName;
  // A dotted path ("choices.0.text"; numbers index arrays), or "": the first of text, content,
  // output, response, completion, messages, conversations that is there and not null. A string is
  // one segment; an array holds the turns of a conversation, {"role", "content"} (OpenAI) or
  // {"from", "value"} (ShareGPT; gpt is assistant, human is user), a null content being no text.
  // A "prompt" beside the field, except beside messages and conversations, comes first
  // and is not scored; it may be an array of turns, too. In a countermark.transcript/1 the
  // "promptIds" do the same.
  std::string text_field{};
  // A dotted path to the record's token ids; excludes text_field. The "prompt" beside them is
  // still a segment of text.
  std::string ids_field{};
  std::string role = "assistant";  // which turns of a conversation are scored
  // Of several that are scored only the last is: its author was shown those before it.
  bool last_answer_only = false;
  // Of a record at most so many bytes are held. Far beyond any real one, and small enough to hold
  // a few times over. Plain text may have 4 GiB.
  std::size_t longest_record = std::size_t{256} << 20;
};

// Reads one document after the other in bounded memory: of plain text the whole, else about a
// mebibyte or one record. A byte order mark at the start is skipped. Not for several threads at
// once; raw_records.h is for them.
class DocumentReader {
 public:
  virtual ~DocumentReader() = default;

  // The next document, nothing at the end, or an error (kInvalidInput, or kIo) that names the
  // file, the record and its field ("record 3, messages[1].content") and the byte offset from the
  // start of the file (of a compressed one from the start of what is in it). After an error in a
  // record the next call continues with the following one; after any other error it says that the
  // end is reached.
  virtual Result<std::optional<Document>> next() = 0;

  // Whether the last error was about the file, not about one record: what follows it was not read.
  virtual bool is_broken() const = 0;
};

// Reads `path` ("-": standard input, text unless a format is given). kUnsupported for an ending
// that this version does not read; kInvalidArgument for options that contradict each other or the
// format. Whether the file is there, and sound, next() says.
Result<std::unique_ptr<DocumentReader>> open_documents(const std::string& path,
                                                       const ReaderOptions& options);

}  // namespace countermark::text
