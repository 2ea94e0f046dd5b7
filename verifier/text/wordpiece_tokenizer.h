// SPDX-License-Identifier: Apache-2.0
// WordPiece for uncased BERT models, as their GGUF files write it: a piece that begins a word
// begins with U+2581, the others stand bare.
//
// Words are those of bert_words (unicode_text.h). A word is cut into the longest piece at each
// place; a word that cannot be cut so is the unknown token. Encoding loses case, accents and white
// space, so that decode gives words with spaces between them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "verifier/text/tokenizer.h"

namespace countermark::text {

struct WordPieceParts {
  std::vector<std::string> pieces{};  // by id
  std::vector<bool> is_special{};     // by id: never made from text
  TokenId unknown = 0;
};

std::unique_ptr<const Tokenizer> make_wordpiece_tokenizer(std::string sha256, WordPieceParts parts);

}  // namespace countermark::text
