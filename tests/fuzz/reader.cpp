// SPDX-License-Identifier: Apache-2.0
// Any bytes as a file of documents, under any options: reading ends, says where each record and
// each fault stands, and finds in JSON Lines what it finds in the array of the same records, and in
// a table what was written to it.
#include "verifier/text/reader.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>

#include "tests/fuzz/fuzz.h"

namespace {

using countermark::ErrorCode;
using countermark::fuzz::check_error;
using countermark::fuzz::require;
using countermark::text::Document;
using countermark::text::Format;
using countermark::text::ReaderOptions;

// A file in memory, since documents are opened by their path.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(::memfd_create("fuzz", 0)) {
    require(descriptor_ >= 0, "memory files are there");
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { ::close(descriptor_); }

  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

  void fill(std::string_view bytes) const {
    require(::ftruncate(descriptor_, 0) == 0, "a memory file can be emptied");
    const ::ssize_t written = ::pwrite(descriptor_, bytes.data(), bytes.size(), 0);
    require(written == static_cast<::ssize_t>(bytes.size()), "a memory file takes the bytes");
  }

 private:
  int descriptor_;
};

struct Reading {
  std::vector<Document> documents{};
  bool is_clean = true;  // opened, and no record was refused
};

Reading read(const MemoryFile& file, std::string_view bytes, const ReaderOptions& options) {
  file.fill(bytes);
  Reading reading;
  auto reader = countermark::text::open_documents(file.path(), options);
  if (!reader) {
    check_error(reader.error(), bytes.size());
    require(reader.error().code == ErrorCode::kInvalidArgument, "only options keep it closed");
    reading.is_clean = false;
    return reading;
  }
  std::uint64_t behind = 0;  // the least offset of the next record
  for (std::size_t steps = 0;; ++steps) {
    require(steps <= bytes.size() + 1, "reading ends");
    auto document = (*reader)->next();
    if (!document) {
      check_error(document.error(), bytes.size());
      require(document.error().code == ErrorCode::kInvalidInput, "the code is pinned");
      require(document.error().file == file.path() && document.error().offset >= behind,
              "the error says where, and faults stand in order");
      reading.is_clean = false;
      continue;
    }
    if (!*document) break;
    const Document& found = **document;
    require(found.offset >= behind && found.offset <= bytes.size(), "records stand in order");
    behind = found.offset + 1;
    require(found.input == file.path() && !found.id.empty(), "a document has a name");
    for (const auto& segment : found.segments) {
      require(countermark::find_invalid_utf8(segment.text) == countermark::kValidUtf8,
              "text is UTF-8");
      require(!segment.is_ids || segment.text.empty(), "a segment is text or ids");
      require(!segment.is_ids || !options.ids_field.empty(), "ids are asked for");
    }
    reading.documents.push_back(*std::move(*document));
  }
  return reading;
}

void require_same(const std::vector<Document>& a, const std::vector<Document>& b) {
  require(a.size() == b.size(), "as many documents");
  for (std::size_t i = 0; i < a.size(); ++i) {
    require(a[i].id == b[i].id && a[i].record == b[i].record && a[i].field == b[i].field,
            "the same documents");
    require(a[i].segments.size() == b[i].segments.size(), "as many segments");
    for (std::size_t j = 0; j < a[i].segments.size(); ++j) {
      const auto& left = a[i].segments[j];
      const auto& right = b[i].segments[j];
      require(left.text == right.text && left.ids == right.ids && left.is_ids == right.is_ids &&
                  left.scored == right.scored,
              "the same segments");
    }
  }
}

// The lines of JSON Lines in which the documents stand, as one array.
std::string as_array(std::string_view lines, const std::vector<Document>& documents) {
  std::string array = "[";
  for (const Document& document : documents) {
    if (array.size() > 1) array += ',';
    const std::size_t end = std::min(lines.find('\n', document.offset), lines.size());
    array += lines.substr(document.offset, end - document.offset);
  }
  return array + "]";
}

// A table of the first segments reads back.
void check_table(const MemoryFile& file, const std::vector<Document>& documents) {
  ReaderOptions options;
  options.format = Format::kCsv;
  std::string table = "n,text\n";
  for (const Document& document : documents) {
    table += "1,\"";
    if (!document.segments.empty())
      for (const char c : document.segments[0].text) table += c == '"' ? "\"\"" : std::string(1, c);
    table += "\"\r\n";
  }
  const Reading back = read(file, table, options);
  require(back.is_clean && back.documents.size() == documents.size(), "a table is whole");
  for (std::size_t i = 0; i < documents.size(); ++i)
    require(documents[i].segments.empty() ||
                back.documents[i].segments[0].text == documents[i].segments[0].text,
            "a table holds what was written");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // In the order that keeps the meaning of older seeds, which begin with a digit.
  constexpr std::array kFormats = {Format::kJson, Format::kCsv, Format::kTsv, Format::kText,
                                   Format::kJsonl};
  constexpr std::array kTextFields = {"", "text", "messages", "a.0.b", "prompt"};
  constexpr std::array kIdsFields = {"", "", "ids", "a.ids"};
  constexpr std::array kRoles = {"assistant", "human", ""};
  static const MemoryFile kFile;

  countermark::fuzz::Input input(data, size);
  ReaderOptions options;
  options.format = kFormats[input.below(kFormats.size())];
  options.text_field = kTextFields[input.below(kTextFields.size())];
  options.ids_field = kIdsFields[input.below(kIdsFields.size())];
  options.role = kRoles[input.below(kRoles.size())];
  // What is compressed has a target of its own; here offsets are those of the bytes.
  const std::string_view bytes = input.rest();
  if (bytes.starts_with("\x1f\x8b") || bytes.starts_with("\x28\xb5\x2f\xfd")) return 0;

  const Reading reading = read(kFile, bytes, options);
  require_same(reading.documents, read(kFile, bytes, options).documents);
  if (options.format == Format::kText && reading.is_clean) {
    require(reading.documents.size() == 1 && reading.documents[0].segments.size() == 1,
            "plain text is one document");
    require(bytes.ends_with(reading.documents[0].segments[0].text), "plain text is kept");
  }
  if (options.format == Format::kJsonl && reading.is_clean) {
    options.format = Format::kJson;
    const Reading array = read(kFile, as_array(bytes, reading.documents), options);
    require(array.is_clean, "lines are the elements of an array");
    require_same(reading.documents, array.documents);
  }
  if (options.ids_field.empty()) check_table(kFile, reading.documents);
  return 0;
}
