// SPDX-License-Identifier: Apache-2.0
// What two documents have in common that are one text: the order of a corpus rests on it.
#pragma once

#include <cstdint>

#include "verifier/text/reader.h"

namespace countermark::scan {

// XXH3 of 64 bits, seed 0, over the segments: for each a byte that says whether it is scored and
// whether it is ids, its length, and its text or ids. No key, tokenizer, id or place enters.
std::uint64_t content_hash(const text::Document& document);

}  // namespace countermark::scan
