// SPDX-License-Identifier: Apache-2.0
// tiktoken's rank files: a line for each token, its bytes in base64, a space, and its rank, which
// is both its id and its place in the order of merges.
//
// A rank file says neither how text is cut nor which special tokens there are. The tokenizer's name
// says the first; ids of special tokens, which text never has here, are not in the vocabulary.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "verifier/text/tokenizer.h"
#include "watermark/error.h"

namespace countermark::text {

// Reads the bytes of a rank file whose digest is `sha256`. kUnsupported when `name` is not in
// named_pretokenizers.h or a token is longer than 1,024 bytes.
Result<std::unique_ptr<const Tokenizer>> parse_tiktoken(std::string_view bytes, std::string sha256,
                                                        std::string_view name);

}  // namespace countermark::text
