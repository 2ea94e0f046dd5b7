// SPDX-License-Identifier: Apache-2.0
// Byte-level BPE from a Hugging Face tokenizer.json (GPT-2 and its relatives).
//
// Known for now: model BPE without dropout; pre_tokenizer ByteLevel with its pattern; decoder
// ByteLevel; no normalizer; post_processor none or ByteLevel, which does not change ids; added
// tokens that are special. Any other component, field or value is kUnsupported and named.
//
// Where we differ from the library, on purpose: it cuts added tokens out of the text before
// anything else; we treat their spelling as ordinary text. Text under test was written by somebody
// else, who may spell "<|endoftext|>" at will. An added token that is not special, which the model
// does use for ordinary text, is therefore refused.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "verifier/text/tokenizer.h"
#include "watermark/error.h"

namespace countermark::text {

// Reads the bytes of a tokenizer.json whose digest is `sha256`.
Result<std::unique_ptr<const Tokenizer>> parse_bpe_tokenizer(std::string_view bytes,
                                                             std::string sha256);

}  // namespace countermark::text
