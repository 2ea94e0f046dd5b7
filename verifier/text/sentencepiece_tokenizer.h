// SPDX-License-Identifier: Apache-2.0
// SentencePiece models (Llama 1 and 2, Mistral, Gemma, T5) through libsentencepiece.
//
// Control symbols ("</s>") spelled in text are ordinary text there, too; user-defined symbols are
// matched, since that is how the model's own tokenizer reads them. Where they overlap ("aa" in
// "aaa") unigram models are cut by the version's own rule: 0.1.97 and 0.2.3 break the tie
// otherwise.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "verifier/text/tokenizer.h"
#include "watermark/error.h"

namespace countermark::text {

// Reads the bytes of a .model file whose digest is `sha256`. kInvalidInput when it is damaged: the
// library is given only what check_sentencepiece_model passes. Silences the library's log for the
// whole process.
Result<std::unique_ptr<const Tokenizer>> parse_sentencepiece_tokenizer(std::string_view bytes,
                                                                       std::string sha256);

}  // namespace countermark::text
