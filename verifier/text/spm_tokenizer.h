// SPDX-License-Identifier: Apache-2.0
// SentencePiece's BPE from a table of pieces and scores (Llama 1 and 2, Phi-3 in GGUF files).
//
// Spaces become U+2581 and one is put before the text. Of all adjacent pairs of symbols that make a
// piece the one of the highest score is joined, the leftmost of equals, until none is left.
// Characters that are no piece become the tokens of their bytes. User-defined pieces are cut out
// first, and the text after one begins anew, as in llama.cpp; the white space that Phi-3 drops
// after its "</s>" stays.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "verifier/text/bpe_model.h"
#include "verifier/text/tokenizer.h"
#include "verifier/text/trie.h"
#include "watermark/error.h"

namespace countermark::text {

struct SpmPiece {
  enum class Kind { kNormal, kUserDefined, kSilent };

  std::string text{};  // in UTF-8
  float score = 0;
  Kind kind = Kind::kSilent;  // silent: neither made from text nor written
};

struct SpmParts {
  std::vector<SpmPiece> pieces{};          // by id; normal ones differ from each other
  std::array<TokenId, 256> byte_tokens{};  // kNoToken for bytes that stand in no UTF-8
  bool add_space_prefix = true;
};

std::unique_ptr<const Tokenizer> make_spm_tokenizer(std::string sha256, SpmParts parts);

}  // namespace countermark::text
