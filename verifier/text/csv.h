// SPDX-License-Identifier: Apache-2.0
// Rows of CSV and TSV: RFC 4180, with the relaxations that splitter.cpp states. Our own, since
// Debian 12 has no library that reads rows out of memory and says at which byte one is wrong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "verifier/text/reader.h"
#include "watermark/error.h"

namespace countermark::text {

struct CsvField {
  std::string value{};     // without its quotes
  std::size_t offset = 0;  // of its first byte in the row
};

// The fields of a row without its line feed; a carriage return at its end is no part of it. Errors
// are kInvalidInput with the offset in `row`: no UTF-8, a quoted field that does not end, something
// between its end and the delimiter.
Result<std::vector<CsvField>> split_row(std::string_view row, char delimiter);

// Which columns of a table are read.
struct CsvColumns {
  std::size_t count = 0;
  std::string field{};     // the name of the column with the text or the ids
  std::size_t chosen = 0;  // its index
  std::optional<std::size_t> id{};
  std::optional<std::size_t> prompt{};
};

// By the rules of ReaderOptions; a column's name is the whole of it, never a path. Without a name
// the first of text, content, output, response, completion. Errors about the header, with the
// offset in it.
Result<CsvColumns> choose_columns(const std::vector<CsvField>& header,
                                  const ReaderOptions& options);

// The document in a row, as parse_record. Ids stand in one field, in brackets or without, between
// commas or spaces.
Result<Document> parse_row(std::string_view row, char delimiter, const CsvColumns& columns,
                           const ReaderOptions& options);

}  // namespace countermark::text
