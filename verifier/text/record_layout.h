// SPDX-License-Identifier: Apache-2.0
// What the records of one input share.
#pragma once

#include <string>

#include "verifier/text/csv.h"
#include "verifier/text/reader.h"

namespace countermark::text {

struct RecordLayout {
  std::string input{};             // the name as given
  Format format = Format::kText;   // never kByName
  std::size_t longest_record = 0;  // what a record that is too long has more bytes than
  CsvColumns columns{};            // of a table
  char delimiter = ',';
};

// By the name, an ending .gz or .zst aside. kUnsupported for one that is not known.
Result<Format> format_by_name(const std::string& name);

}  // namespace countermark::text
