// SPDX-License-Identifier: Apache-2.0
// Any bytes as a safetensors file or a llama2.c checkpoint: a model that is accepted is complete
// and finite, and runs.
#include "corpora/model_file.h"

#include <algorithm>
#include <cmath>

#include "corpora/language_model.h"
#include "tests/fuzz/fuzz.h"

namespace {

using countermark::fuzz::require;

// Numbers of the weights and of the key-value cache up to which the model is run as well.
constexpr std::size_t kSmallModel = 1 << 16;

void check_finite(const std::vector<float>& values, std::size_t count) {
  require(values.size() == count, "a tensor has its shape");
  require(std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); }),
          "weights are finite");
}

void check_weights(const countermark::corpora::ModelWeights& weights) {
  const auto& shape = weights.shape;
  const std::size_t hidden = shape.hidden_size;
  const std::size_t narrow = hidden / shape.heads * shape.key_value_heads;
  require(weights.layers.size() == shape.layers, "all layers are there");
  for (const auto& layer : weights.layers) {
    check_finite(layer.attention_norm, hidden);
    check_finite(layer.query, hidden * hidden);
    check_finite(layer.key, narrow * hidden);
    check_finite(layer.value, narrow * hidden);
    check_finite(layer.output, hidden * hidden);
    check_finite(layer.feed_forward_norm, hidden);
    check_finite(layer.gate, shape.intermediate_size * hidden);
    check_finite(layer.up, shape.intermediate_size * hidden);
    check_finite(layer.down, hidden * shape.intermediate_size);
  }
  check_finite(weights.embedding, shape.vocab_size * hidden);
  check_finite(weights.final_norm, hidden);
  check_finite(weights.classifier, weights.classifier.empty() ? 0 : shape.vocab_size * hidden);
}

// The bits of the logits after each of `tokens`.
std::vector<float> run(const countermark::corpora::LanguageModel& model,
                       const std::vector<countermark::TokenId>& tokens) {
  countermark::corpora::Generation generation(model);
  std::vector<float> all;
  for (const auto token : tokens) {
    const auto logits = generation.next(token);
    if (!logits) {
      require(generation.position() == model.shape().max_positions, "only a full context ends");
      break;
    }
    require(logits->size() == model.shape().vocab_size, "a logit for every token");
    // Sums of large weights may overflow; they are then compared as one and the same.
    for (const float x : *logits) all.push_back(std::isnan(x) ? 0 : x);
  }
  require(!generation.next(static_cast<countermark::TokenId>(model.shape().vocab_size)),
          "a token outside the vocabulary is refused");
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using countermark::ErrorCode;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto weights = countermark::corpora::read_model(bytes);
  const auto model = countermark::corpora::LanguageModel::parse(bytes);
  require(weights.has_value() == model.has_value(), "both doors decide alike");
  if (!weights) {
    const auto& error = weights.error();
    countermark::fuzz::check_error(error, size);
    require(error.code == ErrorCode::kInvalidInput || error.code == ErrorCode::kUnsupported,
            "the code is pinned");
    require(error.offset.has_value(), "the error says where");
    return 0;
  }
  check_weights(*weights);
  const auto& shape = model->shape();
  require(size >= shape.layers * shape.hidden_size * shape.hidden_size, "the file holds the model");
  if (size > kSmallModel || shape.layers * shape.hidden_size * shape.max_positions > kSmallModel)
    return 0;
  const std::vector<countermark::TokenId> tokens(4, shape.begin_token);
  require(run(*model, tokens) == run(*model, tokens), "the same tokens have the same logits");
  return 0;
}
