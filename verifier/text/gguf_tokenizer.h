// SPDX-License-Identifier: Apache-2.0
// The vocabulary in a GGUF file: tokenizer.ggml.model says which kind.
//
//   gpt2   byte-level BPE, cut as tokenizer.ggml.pre says, or the tokenizer's name where the file
//          does not (bpe_tokenizer.h)
//   llama  SentencePiece's BPE by scores (spm_tokenizer.h)
//   bert   WordPiece (wordpiece_tokenizer.h)
//
// Normalizers are not in these files, and engines that read them apply none (but BERT's). Tokens of
// the types control, unknown and byte never come from their spelling in text. "[PAD32011]" and the
// like, with which converters fill ids that the model does not use, are no tokens.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "verifier/text/tokenizer.h"
#include "watermark/error.h"

namespace countermark::text {

// Reads the bytes of a GGUF file whose digest is `sha256`.
Result<std::unique_ptr<const Tokenizer>> parse_gguf_tokenizer(std::string_view bytes,
                                                              std::string sha256,
                                                              std::string_view name);

}  // namespace countermark::text
