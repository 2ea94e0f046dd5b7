// SPDX-License-Identifier: Apache-2.0
#include "tests/corpora/tiny_model.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

namespace countermark::corpora {
namespace {

constexpr std::size_t kNarrow = TinyModel::kHeadSize * TinyModel::kKeyValueHeads;
using Vector = std::vector<double>;

std::string little_endian(std::uint64_t value, std::size_t width) {
  std::string bytes;
  for (std::size_t i = 0; i < width; ++i) bytes += static_cast<char>(value >> 8 * i & 0xff);
  return bytes;
}

std::string single(float value) { return little_endian(std::bit_cast<std::uint32_t>(value), 4); }

// For values that F16 holds exactly and that are not denormal there.
std::string half(float value) {
  if (value == 0) return little_endian(0, 2);
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t exponent = (bits >> 23 & 0xff) - 127 + 15;
  return little_endian(bits >> 31 << 15 | exponent << 10 | (bits >> 13 & 0x3ff), 2);
}

std::string of_layer(std::size_t layer, const char* name) {
  return "model.layers." + std::to_string(layer) + "." + name + ".weight";
}

Vector product(const std::vector<float>& matrix, const Vector& x) {
  Vector out(matrix.size() / x.size());
  for (std::size_t i = 0; i < matrix.size(); ++i) out[i / x.size()] += matrix[i] * x[i % x.size()];
  return out;
}

Vector normalised(const Vector& x, const std::vector<float>& weight) {
  double squares = 0;
  for (const double value : x) squares += value * value;
  Vector out;
  for (std::size_t i = 0; i < x.size(); ++i)
    out.push_back(x[i] / std::sqrt(squares / static_cast<double>(x.size()) + 1e-5) * weight[i]);
  return out;
}

void rotate(Vector& heads, std::size_t position) {
  constexpr std::size_t kHalf = TinyModel::kHeadSize / 2;
  for (std::size_t head = 0; head < heads.size(); head += 2 * kHalf) {
    for (std::size_t i = 0; i < kHalf; ++i) {
      const double angle = static_cast<double>(position) *
                           std::pow(10000, -static_cast<double>(i) / static_cast<double>(kHalf));
      double& x = heads[head + i];
      double& y = heads[head + i + kHalf];
      const double turned = x * std::cos(angle) - y * std::sin(angle);
      y = y * std::cos(angle) + x * std::sin(angle);
      x = turned;
    }
  }
}

// out += the attention of one query head over the keys and values so far.
void gather(const double* query, const std::vector<Vector>& keys, const std::vector<Vector>& values,
            std::size_t offset, double* out) {
  constexpr std::size_t kSize = TinyModel::kHeadSize;
  Vector weights;
  double sum = 0;
  for (const Vector& key : keys) {
    double score = 0;
    for (std::size_t i = 0; i < kSize; ++i) score += query[i] * key[offset + i];
    weights.push_back(std::exp(score / std::sqrt(static_cast<double>(kSize))));
    sum += weights.back();
  }
  for (std::size_t t = 0; t < values.size(); ++t)
    for (std::size_t i = 0; i < kSize; ++i) out[i] += weights[t] / sum * values[t][offset + i];
}

}  // namespace

TinyModel::TinyModel(bool shared_classifier) : shared_(shared_classifier) {
  std::mt19937 random(7);
  const auto fill = [&](const std::string& name, std::vector<std::size_t> shape) {
    Matrix& matrix = weights_[name];
    std::size_t count = 1;
    for (const std::size_t size : shape) count *= size;
    matrix.shape = std::move(shape);
    // Multiples of 1/512 below 1: exact in F16. Norms stand around 1.
    const float centre = matrix.shape.size() == 1 ? 1.0F : 0.0F;
    while (matrix.values.size() < count)
      matrix.values.push_back(centre +
                              static_cast<float>(static_cast<int>(random() % 1023) - 511) / 1024);
  };
  fill("model.embed_tokens.weight", {kVocab, kHidden});
  for (std::size_t layer = 0; layer < kLayers; ++layer) {
    fill(of_layer(layer, "input_layernorm"), {kHidden});
    fill(of_layer(layer, "self_attn.q_proj"), {kHidden, kHidden});
    fill(of_layer(layer, "self_attn.k_proj"), {kNarrow, kHidden});
    fill(of_layer(layer, "self_attn.v_proj"), {kNarrow, kHidden});
    fill(of_layer(layer, "self_attn.o_proj"), {kHidden, kHidden});
    fill(of_layer(layer, "post_attention_layernorm"), {kHidden});
    fill(of_layer(layer, "mlp.gate_proj"), {kInner, kHidden});
    fill(of_layer(layer, "mlp.up_proj"), {kInner, kHidden});
    fill(of_layer(layer, "mlp.down_proj"), {kHidden, kInner});
  }
  fill("model.norm.weight", {kHidden});
  if (!shared_) fill("lm_head.weight", {kVocab, kHidden});
}

std::map<std::string, std::string> TinyModel::metadata() const {
  return {{"architecture", "llama"},
          {"hidden_size", std::to_string(kHidden)},
          {"intermediate_size", std::to_string(kInner)},
          {"num_hidden_layers", std::to_string(kLayers)},
          {"num_attention_heads", std::to_string(kHeads)},
          {"num_key_value_heads", std::to_string(kKeyValueHeads)},
          {"vocab_size", std::to_string(kVocab)},
          {"max_position_embeddings", std::to_string(kPositions)},
          {"rope_theta", "10000.0"},
          {"rms_norm_eps", "1e-05"},
          {"bos_token_id", "3"},
          {"eos_token_id", "4"},
          {"tie_word_embeddings", shared_ ? "true" : "false"}};
}

std::map<std::string, TinyModel::Tensor> TinyModel::tensors(const std::string& dtype) const {
  std::map<std::string, Tensor> out;
  for (const auto& [name, matrix] : weights_) {
    out[name] = {dtype, matrix.shape, {}};
    for (const float value : matrix.values)
      out[name].data += dtype == "F16" ? half(value) : single(value);
  }
  return out;
}

std::string TinyModel::assemble(const std::map<std::string, std::string>& metadata,
                                const std::map<std::string, Tensor>& tensors) {
  nlohmann::json header{{"__metadata__", metadata}};
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t begin = data.size();
    data += tensor.data;
    header[name] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
  }
  const std::string text = header.dump();
  return little_endian(text.size(), 8) + text + data;
}

std::string TinyModel::safetensors(const std::string& dtype) const {
  return assemble(metadata(), tensors(dtype));
}

std::string TinyModel::llama2c() const {
  std::string file;
  const auto vocab = static_cast<std::uint64_t>(kVocab);
  for (const std::uint64_t size :
       {std::uint64_t{kHidden}, std::uint64_t{kInner}, std::uint64_t{kLayers},
        std::uint64_t{kHeads}, std::uint64_t{kKeyValueHeads}, shared_ ? vocab : 0 - vocab,
        std::uint64_t{kPositions}})
    file += little_endian(size, 4);
  const auto append = [&](const std::string& name, bool interleaved) {
    const Matrix& matrix = weights_.at(name);
    const std::size_t columns = matrix.shape.back();
    for (std::size_t i = 0; i < matrix.values.size(); ++i) {
      const std::size_t in_head = i / columns % kHeadSize;
      const std::size_t from = in_head / 2 + in_head % 2 * (kHeadSize / 2);
      file += single(matrix.values[interleaved ? i + (from - in_head) * columns : i]);
    }
  };
  append("model.embed_tokens.weight", false);
  for (const char* name : {"input_layernorm", "self_attn.q_proj", "self_attn.k_proj",
                           "self_attn.v_proj", "self_attn.o_proj", "post_attention_layernorm",
                           "mlp.gate_proj", "mlp.down_proj", "mlp.up_proj"})
    for (std::size_t layer = 0; layer < kLayers; ++layer)
      append(of_layer(layer, name),
             name == std::string("self_attn.q_proj") || name == std::string("self_attn.k_proj"));
  append("model.norm.weight", false);
  file += std::string(2 * kPositions * kHeadSize / 2 * 4, '\0');
  if (!shared_) append("lm_head.weight", false);
  return file;
}

std::vector<std::vector<double>> TinyModel::logits(TokenSpan tokens) const {
  std::vector<Vector> all;
  std::vector<std::vector<Vector>> keys(kLayers);
  std::vector<std::vector<Vector>> values(kLayers);
  const auto& embedding = matrix("model.embed_tokens.weight").values;
  for (std::size_t position = 0; position < tokens.size(); ++position) {
    const float* row = embedding.data() + tokens[position] * kHidden;
    Vector x(row, row + kHidden);
    for (std::size_t layer = 0; layer < kLayers; ++layer) {
      const auto weight = [&](const char* name) -> const std::vector<float>& {
        return matrix(of_layer(layer, name)).values;
      };
      const Vector before = normalised(x, weight("input_layernorm"));
      Vector query = product(weight("self_attn.q_proj"), before);
      keys[layer].push_back(product(weight("self_attn.k_proj"), before));
      values[layer].push_back(product(weight("self_attn.v_proj"), before));
      rotate(query, position);
      rotate(keys[layer].back(), position);
      Vector gathered(kHidden);
      for (std::size_t head = 0; head < kHeads; ++head)
        gather(query.data() + head * kHeadSize, keys[layer], values[layer],
               head / (kHeads / kKeyValueHeads) * kHeadSize, gathered.data() + head * kHeadSize);
      const Vector attended = product(weight("self_attn.o_proj"), gathered);
      for (std::size_t i = 0; i < kHidden; ++i) x[i] += attended[i];

      const Vector between = normalised(x, weight("post_attention_layernorm"));
      Vector gate = product(weight("mlp.gate_proj"), between);
      const Vector up = product(weight("mlp.up_proj"), between);
      for (std::size_t i = 0; i < kInner; ++i) gate[i] *= up[i] / (1 + std::exp(-gate[i]));
      const Vector down = product(weight("mlp.down_proj"), gate);
      for (std::size_t i = 0; i < kHidden; ++i) x[i] += down[i];
    }
    const Vector last = normalised(x, matrix("model.norm.weight").values);
    all.push_back(product(shared_ ? embedding : matrix("lm_head.weight").values, last));
  }
  return all;
}

}  // namespace countermark::corpora
