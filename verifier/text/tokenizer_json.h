// SPDX-License-Identifier: Apache-2.0
// The tokenizer in a Hugging Face tokenizer.json.
//
// Known: model BPE without dropout, of bytes (ByteLevel) or of characters with byte_fallback, and
// Unigram; normalizers of characters (normalizer.h); pre_tokenizer ByteLevel or Metaspace, alone or
// after cuts (Falcon's Digits and Split may follow ByteLevel), or cuts alone; the decoder that
// undoes it; added tokens with all flags. A post_processor that only adds special tokens or moves
// offsets does not change ids here. Any other component, field or value is kUnsupported and named.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "verifier/text/tokenizer.h"
#include "watermark/error.h"

namespace countermark::text {

// Reads the bytes of a tokenizer.json whose digest is `sha256`.
Result<std::unique_ptr<const Tokenizer>> parse_tokenizer_json(std::string_view bytes,
                                                              std::string sha256);

}  // namespace countermark::text
