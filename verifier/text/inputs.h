// SPDX-License-Identifier: Apache-2.0
// Which files a command line means: files, folders, patterns.
#pragma once

#include <string>
#include <vector>

#include "watermark/error.h"

namespace countermark::text {

// The files that `inputs` name, in their order; "-" stays. A folder stands for all files below it
// with an ending that is read (docs/formats.md), a name with `*`, `?` or `**` that is not itself a
// file's for all that match; both in the order of their bytes, hidden ones left out, links to
// folders not followed. An input that stands for no file is an error (kIo, or kInvalidInput).
Result<std::vector<std::string>> expand_inputs(const std::vector<std::string>& inputs);

}  // namespace countermark::text
