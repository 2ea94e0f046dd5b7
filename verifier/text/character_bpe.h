// SPDX-License-Identifier: Apache-2.0
// BPE over characters: SentencePiece's, as Hugging Face's library reads it from a tokenizer.json
// (Llama 1 and 2, Mistral, Gemma).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "verifier/text/bpe_model.h"
#include "verifier/text/piece_model.h"
#include "verifier/text/vocabulary.h"

namespace countermark::text {

struct CharacterBpeParts {
  IdsByString whole_pieces{};                               // before any merge; often none
  std::unordered_map<std::uint32_t, TokenId> characters{};  // tokens of one character
  // Of characters without a token; all of a character's bytes must have one.
  std::array<TokenId, 256> byte_tokens{};
  TokenId unknown = kNoToken;  // of other characters; kNoToken: they are dropped
  bool fuse_unknown = false;   // several in a row are one
  BpeModel model{};
};

std::unique_ptr<const PieceModel> make_character_bpe(CharacterBpeParts parts);

}  // namespace countermark::text
