// SPDX-License-Identifier: Apache-2.0
// Parquet, read by the Python package's reader (python/countermark/parquet.py) in another process.
// No decoder of our own: pyarrow is the reference.
//
// It prints a line for each row: the chosen columns as a JSON object; or "?" and a JSON object with
// `field` and `message` for a row that cannot be read; or "!" and such an object for damage that
// ends the reading.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "verifier/io/stream.h"
#include "verifier/text/reader.h"

namespace countermark::text {

// The lines for the file, without its first `passed_over` rows. kUnsupported, with what to install,
// where Python, the package or pyarrow is missing.
Result<std::unique_ptr<io::Stream>> open_parquet(const std::string& path,
                                                 const ReaderOptions& options,
                                                 std::uint64_t passed_over);

inline bool is_bad_parquet_row(std::string_view line) { return line.starts_with('?'); }
inline bool is_parquet_damage(std::string_view line) { return line.starts_with('!'); }

// What such a line says, as kInvalidInput.
Error parquet_error(std::string_view line);

}  // namespace countermark::text
