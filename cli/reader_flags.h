// SPDX-License-Identifier: Apache-2.0
// Which part of an input is text, and how an input is read.
#pragma once

#include <CLI/CLI.hpp>

#include "verifier/text/reader.h"

namespace countermark::cli {

// --format, --text-field, --ids-field and --role.
void add_reader_flags(CLI::App& app, text::ReaderOptions& options);

}  // namespace countermark::cli
