// SPDX-License-Identifier: Apache-2.0
// A model of a few hundred pseudo-random weights: its file in both formats, and its logits from
// the definition, in double and as slowly as it is written down.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "watermark/token.h"

namespace countermark::corpora {

class TinyModel {
 public:
  static constexpr std::size_t kVocab = 11;
  static constexpr std::size_t kHidden = 12;
  static constexpr std::size_t kInner = 10;
  static constexpr std::size_t kLayers = 2;
  static constexpr std::size_t kHeads = 3;
  static constexpr std::size_t kKeyValueHeads = 1;
  static constexpr std::size_t kHeadSize = kHidden / kHeads;
  static constexpr std::size_t kPositions = 9;

  // Shared: the classifier is the embedding.
  explicit TinyModel(bool shared_classifier);

  // The parts of a safetensors file, to be changed by a test and put together again.
  struct Tensor {
    std::string dtype;
    std::vector<std::size_t> shape;
    std::string data;
  };
  std::map<std::string, std::string> metadata() const;
  std::map<std::string, Tensor> tensors(const std::string& dtype) const;
  static std::string assemble(const std::map<std::string, std::string>& metadata,
                              const std::map<std::string, Tensor>& tensors);

  // The file; the numbers are "F16" or "F32", which hold these weights alike.
  std::string safetensors(const std::string& dtype) const;
  std::string llama2c() const;

  // The logits[vocab] after each token.
  std::vector<std::vector<double>> logits(TokenSpan tokens) const;

 private:
  struct Matrix {
    std::vector<std::size_t> shape;
    std::vector<float> values;
  };
  const Matrix& matrix(const std::string& name) const { return weights_.at(name); }

  bool shared_;
  std::map<std::string, Matrix> weights_{};
};

}  // namespace countermark::corpora
