// SPDX-License-Identifier: Apache-2.0
// Whole files in and out, with errors that name the file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "watermark/error.h"

namespace countermark::io {

// The bytes of a regular file or a pipe; "-" is standard input. Refuses more than `most` bytes.
Result<std::string> read_file(const std::string& path, std::uint64_t most = std::uint64_t{1} << 32);

// How write_file treats what is already there.
enum class Replace { kNever, kAlways };

// Writes the whole file or nothing: a temporary beside it, then a rename. `mode` is the
// permission of the new file (0600 for keys). kExists when the file is there and `replace` is
// kNever.
Status write_file(const std::string& path, std::string_view bytes, Replace replace,
                  unsigned mode = 0644);

}  // namespace countermark::io
