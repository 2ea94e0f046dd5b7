// SPDX-License-Identifier: Apache-2.0
// One JSON record as a document: which of its members are text, prompt, ids, turns.
#pragma once

#include <string_view>

#include "verifier/text/reader.h"
#include "watermark/error.h"

namespace countermark::text {

// The document in the JSON object `bytes`, by the rules of ReaderOptions. Fills in `id` (empty when
// the record has none), `field` and `segments`. Errors are kInvalidInput with the field's name and
// the offset from the start of `bytes`. The rule and the words of every error; RecordParser gives
// the same at the speed of simdjson.
Result<Document> parse_record(std::string_view bytes, const ReaderOptions& options);

}  // namespace countermark::text
