// SPDX-License-Identifier: Apache-2.0
// BPE over the bytes of pieces.
#pragma once

#include <array>
#include <memory>

#include "verifier/text/bpe_model.h"
#include "verifier/text/piece_model.h"
#include "verifier/text/vocabulary.h"
#include "watermark/error.h"

namespace countermark::text {

struct ByteBpeParts {
  IdsByString whole_pieces{};  // by their bytes: tokens that come before any merge; often none
  std::array<TokenId, 256> byte_tokens{};  // kNoToken: such bytes are dropped
  BpeModel model{};
};

// kUnsupported, naming the byte, when one that stands in UTF-8 has no token. With `may_be_dropped`
// control characters and the bytes F1 and F2, of planes that Unicode has not assigned, may lack
// one: Falcon and StarCoder do, and the library drops such bytes before it merges.
Status check_byte_tokens(const std::array<TokenId, 256>& byte_tokens, bool may_be_dropped);

std::unique_ptr<const PieceModel> make_byte_bpe(ByteBpeParts parts);

}  // namespace countermark::text
