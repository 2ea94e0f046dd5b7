// SPDX-License-Identifier: Apache-2.0
// The digest of a file, by which a plan names it.
#pragma once

#include <string>

#include "watermark/error.h"

namespace countermark::io {

// SHA-256 of all bytes of a regular file or a pipe, whatever their number, as `sha256sum` prints
// it. Errors as those of Input (file.h).
Result<std::string> sha256_of_file(const std::string& path);

}  // namespace countermark::io
