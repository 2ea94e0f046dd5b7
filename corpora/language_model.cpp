// SPDX-License-Identifier: Apache-2.0
// Llama (Touvron et al. 2023, arXiv:2302.13971): RMSNorm, rotary positions (Su et al. 2021) over
// pairs half a head apart, grouped-query attention, SwiGLU, no biases.
#include "corpora/language_model.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "corpora/arithmetic.h"
#include "corpora/model_file.h"
#include "verifier/io/file.h"
#include "watermark/portable_math.h"

namespace countermark::corpora {
namespace {

constexpr std::uint64_t kMaxModelFile = std::uint64_t{1} << 30;

// cos and sin of position * theta^(-2i / head_size), both [positions][head_size / 2].
struct RotaryTable {
  std::size_t half = 0;
  std::vector<float> cosine;
  std::vector<float> sine;
};

// Without the C library's cos and sin, whose last bit is not the same everywhere: the rotation by
// one position from its Taylor series, those by more as its powers. Their error grows to about
// positions * 2^-53, far below the rounding to float.
RotaryTable rotary_table(const ModelShape& shape) {
  RotaryTable table;
  table.half = shape.hidden_size / shape.heads / 2;
  table.cosine.resize(shape.max_positions * table.half);
  table.sine.resize(shape.max_positions * table.half);
  const double log_theta = portable_log(shape.rope_theta);
  for (std::size_t i = 0; i < table.half; ++i) {
    const double angle =
        portable_exp(-log_theta * static_cast<double>(i) / static_cast<double>(table.half));
    // angle is in (0, 1], so that the terms after angle^20 / 20! are below 2^-65.
    double cosine_step = 0;
    double sine_step = 0;
    double term = 1;
    for (int n = 0; n <= 20; ++n) {
      const double signed_term = n / 2 % 2 == 0 ? term : -term;
      (n % 2 == 0 ? cosine_step : sine_step) += signed_term;
      term *= angle / (n + 1);
    }
    double cosine = 1;
    double sine = 0;
    for (std::size_t position = 0; position < shape.max_positions; ++position) {
      table.cosine[position * table.half + i] = static_cast<float>(cosine);
      table.sine[position * table.half + i] = static_cast<float>(sine);
      const double next = cosine * cosine_step - sine * sine_step;
      sine = sine * cosine_step + cosine * sine_step;
      cosine = next;
    }
  }
  return table;
}

// Rotates each head of heads[] to `position`.
void rotate(const RotaryTable& table, std::size_t position, std::span<float> heads) {
  const float* cosine = table.cosine.data() + position * table.half;
  const float* sine = table.sine.data() + position * table.half;
  for (std::size_t head = 0; head < heads.size(); head += 2 * table.half) {
    float* first = heads.data() + head;
    float* second = first + table.half;
    for (std::size_t i = 0; i < table.half; ++i) {
      const float x = first[i];
      const float y = second[i];
      first[i] = x * cosine[i] - y * sine[i];
      second[i] = y * cosine[i] + x * sine[i];
    }
  }
}

// out = x / sqrt(mean(x^2) + epsilon) * weight
void normalise(std::span<const float> x, std::span<const float> weight, double epsilon,
               std::span<float> out) {
  float squares = 0;
  multiply(x.data(), x.size(), x, std::span(&squares, 1));
  const double mean = static_cast<double>(squares) / static_cast<double>(x.size());
  const auto scale = static_cast<float>(1 / std::sqrt(mean + epsilon));
  for (std::size_t i = 0; i < x.size(); ++i) out[i] = x[i] * scale * weight[i];
}

void add(std::span<float> to, std::span<const float> x) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] += x[i];
}

// Turns scores[] into e^(score - greatest), and returns 1 / their sum.
float soften(std::span<float> scores) {
  const Lanes greatest = all_lanes(*std::max_element(scores.begin(), scores.end()));
  transform(scores, [greatest](Lanes x) { return exponential(x - greatest); });
  float sum = 0;
  for (const float score : scores) sum += score;
  return 1 / sum;
}

}  // namespace

struct LanguageModel::Weights {
  ModelWeights file;
  RotaryTable rotary;
};

LanguageModel::LanguageModel(std::unique_ptr<Weights> weights) : weights_(std::move(weights)) {}
LanguageModel::LanguageModel(LanguageModel&&) noexcept = default;
LanguageModel& LanguageModel::operator=(LanguageModel&&) noexcept = default;
LanguageModel::~LanguageModel() = default;

const ModelShape& LanguageModel::shape() const noexcept { return weights_->file.shape; }

Result<LanguageModel> LanguageModel::parse(std::string_view bytes) {
  COUNTERMARK_TRY(ModelWeights file, read_model(bytes));
  RotaryTable rotary = rotary_table(file.shape);
  return LanguageModel(std::make_unique<Weights>(Weights{std::move(file), std::move(rotary)}));
}

Result<LanguageModel> LanguageModel::load(const std::string& path) {
  COUNTERMARK_TRY(const std::string bytes, io::read_file(path, kMaxModelFile));
  auto model = parse(bytes);
  if (!model) return fail(std::move(model).error().in_file(path));
  return model;
}

struct Generation::State {
  explicit State(const LanguageModel::Weights& weights);

  std::span<const float> read(TokenId token);
  void attend(const LayerWeights& layer, std::size_t index);
  void feed_forward(const LayerWeights& layer);

  const ModelWeights& model;
  const RotaryTable& rotary;
  const ModelShape& shape;
  std::size_t head_size;
  std::size_t position = 0;
  std::vector<float> stream;      // [hidden]: what the layers add to
  std::vector<float> normalised;  // [hidden]
  std::vector<float> addition;    // [hidden]
  std::vector<float> query;       // [heads][head_size]
  std::vector<float> key;         // [key_value_heads][head_size]
  std::vector<float> value;       // [key_value_heads][head_size]
  std::vector<float> scores;      // [max_positions]
  std::vector<float> attended;    // [heads][head_size]
  std::vector<float> gate;        // [intermediate]
  std::vector<float> up;          // [intermediate]
  std::vector<float> logits;      // [vocab]
  // Laid out so that scores and sums of values are products of a matrix and a vector.
  std::vector<float> keys;    // [layers][key_value_heads][max_positions][head_size]
  std::vector<float> values;  // [layers][key_value_heads][head_size][max_positions]
};

Generation::State::State(const LanguageModel::Weights& weights)
    : model(weights.file),
      rotary(weights.rotary),
      shape(weights.file.shape),
      head_size(shape.hidden_size / shape.heads),
      stream(shape.hidden_size),
      normalised(shape.hidden_size),
      addition(shape.hidden_size),
      query(shape.hidden_size),
      key(shape.key_value_heads * head_size),
      value(shape.key_value_heads * head_size),
      scores(shape.max_positions),
      attended(shape.hidden_size),
      gate(shape.intermediate_size),
      up(shape.intermediate_size),
      logits(shape.vocab_size),
      keys(shape.layers * key.size() * shape.max_positions),
      values(shape.layers * value.size() * shape.max_positions) {}

// Adds to the stream what the heads of one layer gather from the positions so far.
void Generation::State::attend(const LayerWeights& layer, std::size_t index) {
  normalise(stream, layer.attention_norm, shape.norm_epsilon, normalised);
  multiply(layer.query.data(), shape.hidden_size, normalised, query);
  multiply(layer.key.data(), shape.hidden_size, normalised, key);
  multiply(layer.value.data(), shape.hidden_size, normalised, value);
  rotate(rotary, position, query);
  rotate(rotary, position, key);
  const float scale = 1 / std::sqrt(static_cast<float>(head_size));
  for (float& x : query) x *= scale;

  const std::size_t head_cache = head_size * shape.max_positions;
  const std::size_t group = shape.heads / shape.key_value_heads;
  const std::span<float> seen = std::span(scores).first(position + 1);
  for (std::size_t kv = 0; kv < shape.key_value_heads; ++kv) {
    float* head_keys = keys.data() + (index * shape.key_value_heads + kv) * head_cache;
    float* head_values = values.data() + (index * shape.key_value_heads + kv) * head_cache;
    for (std::size_t i = 0; i < head_size; ++i) {
      head_keys[position * head_size + i] = key[kv * head_size + i];
      head_values[i * shape.max_positions + position] = value[kv * head_size + i];
    }
    for (std::size_t head = kv * group; head < (kv + 1) * group; ++head) {
      multiply(head_keys, head_size, std::span(query).subspan(head * head_size, head_size), seen);
      const float share = soften(seen);
      const auto out = std::span(attended).subspan(head * head_size, head_size);
      multiply(head_values, shape.max_positions, seen, out);
      for (float& x : out) x *= share;
    }
  }
  multiply(layer.output.data(), shape.hidden_size, attended, addition);
  add(stream, addition);
}

void Generation::State::feed_forward(const LayerWeights& layer) {
  normalise(stream, layer.feed_forward_norm, shape.norm_epsilon, normalised);
  multiply(layer.gate.data(), shape.hidden_size, normalised, gate);
  multiply(layer.up.data(), shape.hidden_size, normalised, up);
  transform(gate, silu);
  for (std::size_t i = 0; i < gate.size(); ++i) gate[i] *= up[i];
  multiply(layer.down.data(), shape.intermediate_size, gate, addition);
  add(stream, addition);
}

std::span<const float> Generation::State::read(TokenId token) {
  std::copy_n(model.embedding.data() + token * shape.hidden_size, shape.hidden_size, stream.data());
  for (std::size_t index = 0; index < model.layers.size(); ++index) {
    attend(model.layers[index], index);
    feed_forward(model.layers[index]);
  }
  normalise(stream, model.final_norm, shape.norm_epsilon, normalised);
  const std::vector<float>& classifier =
      model.classifier.empty() ? model.embedding : model.classifier;
  multiply(classifier.data(), shape.hidden_size, normalised, logits);
  ++position;
  return logits;
}

Generation::Generation(const LanguageModel& model)
    : state_(std::make_unique<State>(*model.weights_)) {}
Generation::Generation(Generation&&) noexcept = default;
Generation::~Generation() = default;

Result<std::span<const float>> Generation::next(TokenId token) {
  if (state_->position == state_->shape.max_positions)
    return fail(ErrorCode::kInvalidArgument,
                "the context of " + std::to_string(state_->position) + " tokens is full");
  if (token >= state_->shape.vocab_size)
    return fail(ErrorCode::kInvalidArgument, "token " + std::to_string(token) +
                                                 " is outside the vocabulary of " +
                                                 std::to_string(state_->shape.vocab_size));
  return state_->read(token);
}

void Generation::reset() noexcept { state_->position = 0; }

std::size_t Generation::position() const noexcept { return state_->position; }

}  // namespace countermark::corpora
