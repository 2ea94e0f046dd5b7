// SPDX-License-Identifier: Apache-2.0
// https://github.com/karpathy/llama2.c, export.py, legacy_export: seven int32 and the tensors in
// float32, one kind after the other. Little-endian only.
#include <utility>

#include "corpora/model_formats.h"

namespace countermark::corpora {
namespace {

constexpr std::size_t kNumber = 4;                        // bytes of an int32 and of a float32
constexpr std::size_t kHeader = kNumber * kSizes.size();  // bytes
constexpr std::uint64_t kLaterMagic = 0x616b3432;         // "ak42": version 1 and up
// The tokenizer's; the models were trained on texts that begin with 1, and say it again after one.
constexpr TokenId kBeginToken = 1;
constexpr TokenId kEndToken = 2;

// The shape, and whether the classifier is the embedding.
Result<std::pair<ModelShape, bool>> header_shape(std::string_view bytes) {
  if (integer_at(bytes, 0, kNumber) == kLaterMagic)
    return fail(Error{ErrorCode::kUnsupported,
                      "a llama2.c checkpoint of a later version; expected version 0",
                      {},
                      {},
                      0});
  if (bytes.size() < kHeader)
    return fail(invalid_input("header", bytes.size(),
                              "ends here, expected " + std::to_string(kHeader) + " bytes"));
  ModelShape shape;
  shape.begin_token = kBeginToken;
  shape.end_token = kEndToken;
  bool shared_classifier = true;
  for (std::size_t i = 0; i < kSizes.size(); ++i) {
    const Size& size = kSizes[i];
    std::uint64_t value = integer_at(bytes, i * kNumber, kNumber);
    // A negative vocabulary size says that the classifier has its own weights.
    if (size.member == &ModelShape::vocab_size && value >> 31 != 0) {
      shared_classifier = false;
      value = (std::uint64_t{1} << 32) - value;
    }
    if (value < 1 || value > size.most)
      return fail(invalid_input(size.name, i * kNumber,
                                "expected a number from 1 to " + std::to_string(size.most)));
    shape.*size.member = value;
  }
  if (Status status = check_shape(shape); !status) {
    status.error().offset = 0;
    return fail(std::move(status).error());
  }
  return std::pair{shape, shared_classifier};
}

// The end of `size` numbers of `field` at `offset`; kInvalidInput if the file ends before it.
Result<std::uint64_t> end_of(std::string_view bytes, std::uint64_t offset, std::size_t size,
                             const std::string& field) {
  if (size > (bytes.size() - offset) / kNumber)
    return fail(invalid_input(
        field, offset, "the file ends within this tensor of " + std::to_string(size) + " numbers"));
  return offset + size * kNumber;
}

// Reorders the rows of each head from rotary pairs (2i, 2i + 1) to (i, i + head_size / 2), as
// convert_llama_weights_to_hf.py of Hugging Face does. Scores are the same: queries and keys are
// reordered alike.
void halve_rotary_pairs(std::vector<float>& matrix, std::size_t head_size, std::size_t columns) {
  const std::vector<float> pairs = matrix;
  const std::size_t rows = matrix.size() / columns;
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t in_head = row % head_size;
    const std::size_t to = row - in_head + in_head / 2 + in_head % 2 * (head_size / 2);
    std::copy_n(pairs.data() + row * columns, columns, matrix.data() + to * columns);
  }
}

}  // namespace

Result<ModelWeights> read_llama2c(std::string_view bytes) {
  COUNTERMARK_TRY(const auto header, header_shape(bytes));
  ModelWeights weights;
  weights.shape = header.first;
  const std::size_t head_size = weights.shape.hidden_size / weights.shape.heads;
  std::uint64_t offset = kHeader;
  for (const Tensor& tensor : tensors_of(weights, header.second)) {
    COUNTERMARK_TRY(const std::uint64_t end, end_of(bytes, offset, tensor.count(), tensor.name));
    COUNTERMARK_CHECK(read_values(bytes, offset, kNumber, tensor));
    offset = end;
    if (tensor.values != &weights.final_norm) continue;
    // Two rotary tables that later versions of llama2.c compute themselves, as we do.
    for (const char* table : {"freq_cis_real", "freq_cis_imag"}) {
      COUNTERMARK_TRY(offset,
                      end_of(bytes, offset, weights.shape.max_positions * head_size / 2, table));
    }
  }
  if (offset != bytes.size())
    return fail(invalid_input(
        {}, offset, std::to_string(bytes.size() - offset) + " bytes follow the last tensor"));
  for (LayerWeights& layer : weights.layers) {
    halve_rotary_pairs(layer.query, head_size, weights.shape.hidden_size);
    halve_rotary_pairs(layer.key, head_size, weights.shape.hidden_size);
  }
  return weights;
}

}  // namespace countermark::corpora
