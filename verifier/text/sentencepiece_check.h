// SPDX-License-Identifier: Apache-2.0
// Refuses SentencePiece models on which libsentencepiece would read outside its tables.
//
// The library (0.1.97) trusts its file: a damaged normalization trie sends it out of bounds, as do
// too many nested user-defined symbols. Everything else it checks itself. What it accepts and we
// refuse was not made by its trainer.
#pragma once

#include <string_view>

#include "watermark/error.h"

namespace countermark::text {

// kInvalidInput, with the offset, if `bytes` (a serialized ModelProto) is not safe to load.
Status check_sentencepiece_model(std::string_view bytes);

}  // namespace countermark::text
