// SPDX-License-Identifier: Apache-2.0
// A small Llama-architecture transformer, run plainly on one core: real logits for the demo, the
// tests and the studies. Not an inference server.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "watermark/error.h"
#include "watermark/token.h"

namespace countermark::corpora {

struct ModelShape {
  std::size_t vocab_size = 0;
  std::size_t hidden_size = 0;
  std::size_t intermediate_size = 0;
  std::size_t layers = 0;
  std::size_t heads = 0;
  std::size_t key_value_heads = 0;
  std::size_t max_positions = 0;
  double rope_theta = 10000;
  double norm_epsilon = 1e-5;
  TokenId begin_token = 0;  // stands before every text
  TokenId end_token = 0;    // ends an answer; llama2.c's own models say begin_token instead
};

// The weights. Immutable after loading; may be used by many threads, each with its own Generation.
class LanguageModel {
 public:
  // Reads `weights.safetensors` (F16 or F32, Hugging Face Llama tensor names, the shape in the
  // header's __metadata__), or a llama2.c checkpoint (".bin": version 0, seven int32 and float32
  // weights, interleaved rotary pairs), of at most 1 GiB. kInvalidInput when the bytes break the
  // format, contradict the shape, leave out or add a tensor, or are not finite; kUnsupported when
  // they are another architecture, number type or version. Errors name the file, the tensor or
  // header field, and the byte offset.
  static Result<LanguageModel> load(const std::string& path);

  // The same from bytes, for tests: tells the two formats apart by their first bytes.
  static Result<LanguageModel> parse(std::string_view bytes);

  LanguageModel(LanguageModel&&) noexcept;
  LanguageModel& operator=(LanguageModel&&) noexcept;
  ~LanguageModel();

  const ModelShape& shape() const noexcept;

 private:
  friend class Generation;
  struct Weights;
  explicit LanguageModel(std::unique_ptr<Weights> weights);
  std::unique_ptr<Weights> weights_;
};

// One text being read by the model: its keys and values so far.
class Generation {
 public:
  // Allocates for shape().max_positions tokens. `model` must outlive it.
  explicit Generation(const LanguageModel& model);
  Generation(Generation&&) noexcept;
  ~Generation();

  // Reads one token and returns the logits[vocab_size] of the next, valid until the next call.
  // kInvalidArgument when the context is full or the id is outside the vocabulary; nothing is
  // read then. About 2 x parameters floating-point operations, no allocation. The same bytes give
  // the same logits on every machine (fixed order of additions, no contraction, no libm). Weights
  // so large that a sum overflows give logits that are not finite.
  Result<std::span<const float>> next(TokenId token);

  // Starts over with an empty context.
  void reset() noexcept;

  // Tokens read since the start.
  std::size_t position() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace countermark::corpora
