// SPDX-License-Identifier: Apache-2.0
// A document's row as bytes: variable-length integers, so that what is mostly small takes little.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "verifier/scan/documents.h"
#include "verifier/scan/settings.h"
#include "watermark/error.h"

namespace countermark::scan {

struct NumberedRow {
  std::uint32_t document = 0;
  DocumentRow row{};
};

// kInvalidArgument for a row that does not fit the settings or has more than it may.
Status check_row(const DocumentRow& row, const Settings& settings);

// Appends the row, but not what is found later (`assigned`, `duplicate_of`).
void write_row(std::string& out, std::uint32_t document, const DocumentRow& row);

// Takes one row from the front of `bytes`. kInvalidInput, with the offset in `bytes`; a row has one
// form only.
Result<NumberedRow> read_row(std::string_view& bytes, const Settings& settings);

}  // namespace countermark::scan
