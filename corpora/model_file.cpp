// SPDX-License-Identifier: Apache-2.0
#include "corpora/model_file.h"

#include <bit>
#include <cmath>

#include "corpora/model_formats.h"

namespace countermark::corpora {
namespace {

// Floats of keys that a Generation may hold, and as many of values: 256 MiB each.
constexpr std::size_t kMaxCache = std::size_t{1} << 26;

// IEEE 754 binary16, exactly; infinity for infinities and NaN.
float from_half(std::uint32_t half) {
  if ((half & 0x7c00) == 0x7c00) return INFINITY;
  // The exponent's bias grows from 15 to 127; the product also places the denormals.
  const float magnitude = std::bit_cast<float>((half & 0x7fff) << 13) * 0x1p112F;
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

}  // namespace

Result<ModelWeights> read_model(std::string_view bytes) {
  if (bytes.size() < 8) return fail(invalid_input({}, bytes.size(), "too short for a model"));
  // A safetensors file begins with the length of its header in eight bytes, of which the upper
  // four are zero; there a llama2.c checkpoint has its hidden_dim, which is not.
  return integer_at(bytes, 4, 4) == 0 ? read_safetensors(bytes) : read_llama2c(bytes);
}

Status check_shape(const ModelShape& shape) {
  if (shape.hidden_size % shape.heads != 0 || shape.hidden_size / shape.heads % 2 != 0)
    return fail(invalid_input("num_attention_heads", {},
                              "expected a divisor of hidden_size that leaves heads of even size"));
  if (shape.heads % shape.key_value_heads != 0)
    return fail(
        invalid_input("num_key_value_heads", {}, "expected a divisor of num_attention_heads"));
  const std::size_t narrow = shape.hidden_size / shape.heads * shape.key_value_heads;
  if (shape.layers * narrow * shape.max_positions > kMaxCache)
    return fail(invalid_input(
        "max_position_embeddings", {},
        "the keys of a full context would be more than " + std::to_string(kMaxCache) + " numbers"));
  if (std::max(shape.begin_token, shape.end_token) >= shape.vocab_size)
    return fail(invalid_input("vocab_size", {}, "leaves out the begin or the end token"));
  return {};
}

std::vector<Tensor> tensors_of(ModelWeights& weights, bool shared_classifier) {
  const std::size_t hidden = weights.shape.hidden_size;
  const std::size_t inner = weights.shape.intermediate_size;
  const std::size_t narrow = hidden / weights.shape.heads * weights.shape.key_value_heads;
  struct Kind {
    const char* name;
    std::vector<float> LayerWeights::*member;
    std::size_t rows, columns;
  };
  const std::array<Kind, 9> kinds{{
      {"input_layernorm", &LayerWeights::attention_norm, hidden, 0},
      {"self_attn.q_proj", &LayerWeights::query, hidden, hidden},
      {"self_attn.k_proj", &LayerWeights::key, narrow, hidden},
      {"self_attn.v_proj", &LayerWeights::value, narrow, hidden},
      {"self_attn.o_proj", &LayerWeights::output, hidden, hidden},
      {"post_attention_layernorm", &LayerWeights::feed_forward_norm, hidden, 0},
      {"mlp.gate_proj", &LayerWeights::gate, inner, hidden},
      {"mlp.down_proj", &LayerWeights::down, hidden, inner},
      {"mlp.up_proj", &LayerWeights::up, inner, hidden},
  }};
  weights.layers.resize(weights.shape.layers);
  std::vector<Tensor> tensors{
      {"model.embed_tokens.weight", &weights.embedding, weights.shape.vocab_size, hidden}};
  for (const Kind& kind : kinds)
    for (std::size_t layer = 0; layer < weights.layers.size(); ++layer)
      tensors.push_back({"model.layers." + std::to_string(layer) + "." + kind.name + ".weight",
                         &(weights.layers[layer].*kind.member), kind.rows, kind.columns});
  tensors.push_back({"model.norm.weight", &weights.final_norm, hidden, 0});
  if (!shared_classifier)
    tensors.push_back({"lm_head.weight", &weights.classifier, weights.shape.vocab_size, hidden});
  return tensors;
}

std::uint64_t integer_at(std::string_view bytes, std::uint64_t offset, std::size_t width) {
  std::uint64_t value = 0;
  for (std::size_t i = width; i-- > 0;)
    value = value << 8 | static_cast<unsigned char>(bytes[offset + i]);
  return value;
}

Status read_values(std::string_view bytes, std::uint64_t offset, std::size_t width,
                   const Tensor& tensor) {
  tensor.values->resize(tensor.count());
  for (float& value : *tensor.values) {
    const auto bits = static_cast<std::uint32_t>(integer_at(bytes, offset, width));
    value = width == 2 ? from_half(bits) : std::bit_cast<float>(bits);
    if (!std::isfinite(value))
      return fail(invalid_input(tensor.name, offset, "not a finite number"));
    offset += width;
  }
  return {};
}

}  // namespace countermark::corpora
