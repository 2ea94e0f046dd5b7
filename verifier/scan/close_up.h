// SPDX-License-Identifier: Apache-2.0
// One document under one test, token by token: what the heat map shows.
#pragma once

#include "verifier/detect/detector.h"
#include "verifier/render/heat_map.h"
#include "verifier/scan/test.h"
#include "verifier/text/reader.h"
#include "verifier/text/tokenizer.h"

namespace countermark::scan {

// The scores of the best slots, those that the detection's sum is made of, and the marked spans,
// corrected for the windows of all slots. The text is the tokenizer's decoding of each token, cut
// at whole characters; a note says so where that is not the document's text. `tokenizer` may not
// be null. Errors as those of detect::tokenize and Scorer::score. An exact tail a token.
Result<render::HeatMap> close_up(const text::Document& document, const text::Tokenizer& tokenizer,
                                 const Test& test, const detect::Detection& detection);

// The bytes of each token of `ids`; together the tokenizer's text of all of them.
Result<std::vector<std::string>> token_bytes(const text::Tokenizer& tokenizer,
                                             std::span<const TokenId> ids);

}  // namespace countermark::scan
