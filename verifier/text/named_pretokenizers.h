// SPDX-License-Identifier: Apache-2.0
// Pre-tokenizers by name, for files that name theirs (GGUF) or say nothing of it (rank files).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "verifier/text/pretokenizer.h"
#include "watermark/error.h"

namespace countermark::text {

struct NamedPretokenizer {
  Pretokenizer pretokenizer;
  bool whole_pieces;  // a piece that is a token is not merged (Hugging Face's ignore_merges)
};

// By the names of llama.cpp ("llama-bpe") and tiktoken ("cl100k_base"); kUnsupported, listing the
// names, for any other.
Result<NamedPretokenizer> named_pretokenizer(std::string_view name);

}  // namespace countermark::text
