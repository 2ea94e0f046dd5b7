// SPDX-License-Identifier: Apache-2.0
// The weights of a language model out of a file, in one layout whatever the format: float32, rows
// of outputs, rotary pairs half a head apart. Every size is checked before it is used, and a
// model that is read is complete, of consistent shape, and finite.
//
// It does not compute with them (language_model.h), and does not read sharded, quantised or
// bfloat16 files.
#pragma once

#include <string_view>
#include <vector>

#include "corpora/language_model.h"
#include "watermark/error.h"

namespace countermark::corpora {

// Matrices are row-major [outputs][inputs]; key-value means heads x head size of keys.
struct LayerWeights {
  std::vector<float> attention_norm;     // [hidden]
  std::vector<float> query;              // [hidden][hidden]
  std::vector<float> key;                // [key-value][hidden]
  std::vector<float> value;              // [key-value][hidden]
  std::vector<float> output;             // [hidden][hidden]
  std::vector<float> feed_forward_norm;  // [hidden]
  std::vector<float> gate;               // [intermediate][hidden]
  std::vector<float> down;               // [hidden][intermediate]
  std::vector<float> up;                 // [intermediate][hidden]
};

struct ModelWeights {
  ModelShape shape;
  std::vector<float> embedding;  // [vocab][hidden]
  std::vector<LayerWeights> layers;
  std::vector<float> final_norm;  // [hidden]
  std::vector<float> classifier;  // [vocab][hidden]; empty: the embedding
};

// Reads either format; see LanguageModel::load. kInvalidInput when the bytes break the format or
// contradict the shape, kUnsupported when they are another architecture, number type or version.
// An error carries the tensor or header field and the byte offset in the file.
Result<ModelWeights> read_model(std::string_view bytes);

}  // namespace countermark::corpora
