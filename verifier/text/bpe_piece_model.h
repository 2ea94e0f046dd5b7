// SPDX-License-Identifier: Apache-2.0
// The models that merge what pieces are made of: bytes (byte_bpe.h) or characters
// (character_bpe.h).
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "verifier/text/bpe_model.h"
#include "verifier/text/piece_model.h"
#include "verifier/text/whole_pieces.h"

namespace countermark::text {

class BpePieceModel : public PieceModel {
 public:
  PieceEncoder::Merge merge() const final;

 protected:
  // Tokens in `whole_pieces` come before any merge.
  BpePieceModel(IdsByString whole_pieces, BpeModel model)
      : whole_pieces_(std::move(whole_pieces)), model_(std::move(model)) {}

 private:
  // Appends the tokens that a piece is made of.
  virtual void split(std::string_view piece, std::vector<TokenId>& tokens) const = 0;

  WholePieces whole_pieces_;
  BpeModel model_;
};

}  // namespace countermark::text
