// SPDX-License-Identifier: Apache-2.0
// What turns a piece of text into ids: the model of a tokenizer.
#pragma once

#include "verifier/text/piece_encoder.h"

namespace countermark::text {

// Immutable; may be used by many threads at once, each with its own merge.
class PieceModel {
 public:
  PieceModel() = default;
  PieceModel(const PieceModel&) = delete;
  PieceModel& operator=(const PieceModel&) = delete;
  virtual ~PieceModel() = default;

  // One thread's own: it works in memory that it keeps. The model outlives it.
  virtual PieceEncoder::Merge merge() const = 0;
};

}  // namespace countermark::text
