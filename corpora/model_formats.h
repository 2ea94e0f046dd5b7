// SPDX-License-Identifier: Apache-2.0
// What the readers of model files share: the architecture's sizes and tensors, and numbers out of
// bytes. Internal to model_file.h.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "corpora/model_file.h"
#include "watermark/error.h"

namespace countermark::corpora {

// Everything that a safetensors file holds, shape included.
Result<ModelWeights> read_safetensors(std::string_view bytes);

// Everything that a llama2.c checkpoint of version 0 holds.
Result<ModelWeights> read_llama2c(std::string_view bytes);

// The sizes of a shape, under their names in Hugging Face configurations, in the order of a
// llama2.c header. The bounds keep every product below 2^64 and are far above what one core
// can run.
struct Size {
  const char* name;
  std::size_t ModelShape::*member;
  std::size_t most;
};
inline constexpr std::array<Size, 7> kSizes{{
    {"hidden_size", &ModelShape::hidden_size, 1 << 14},
    {"intermediate_size", &ModelShape::intermediate_size, 1 << 16},
    {"num_hidden_layers", &ModelShape::layers, 1 << 10},
    {"num_attention_heads", &ModelShape::heads, 1 << 10},
    {"num_key_value_heads", &ModelShape::key_value_heads, 1 << 10},
    {"vocab_size", &ModelShape::vocab_size, 1 << 20},
    {"max_position_embeddings", &ModelShape::max_positions, 1 << 17},
}};

inline Error invalid_input(std::string field, std::optional<std::uint64_t> offset,
                           std::string message) {
  return Error{ErrorCode::kInvalidInput, std::move(message), {}, std::move(field), offset};
}

// The sizes, each within its bounds, agree with each other. The error has no offset; its field is
// one of kSizes.
Status check_shape(const ModelShape& shape);

// One tensor of the architecture, under its Hugging Face name.
struct Tensor {
  std::string name;
  std::vector<float>* values;
  std::size_t rows;
  std::size_t columns;  // 0: a vector[rows]

  std::size_t count() const { return rows * std::max<std::size_t>(columns, 1); }
};

// Makes the layers of weights.shape, and lists every tensor of them in the order of a llama2.c
// file. The list points into `weights`.
std::vector<Tensor> tensors_of(ModelWeights& weights, bool shared_classifier);

// The little-endian integer of `width` bytes at `offset`, which lie within `bytes`.
std::uint64_t integer_at(std::string_view bytes, std::uint64_t offset, std::size_t width);

// Fills `tensor` from its numbers of `width` bytes (2: F16, 4: F32) at `offset`; they lie within
// `bytes`. kInvalidInput at the first that is not finite.
Status read_values(std::string_view bytes, std::uint64_t offset, std::size_t width,
                   const Tensor& tensor);

}  // namespace countermark::corpora
