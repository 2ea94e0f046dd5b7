// SPDX-License-Identifier: Apache-2.0
// https://github.com/huggingface/safetensors: eight bytes of length, a JSON header of that length,
// the tensors. Stricter than the format: the tensors must be those that the architecture has, all
// of them and no other, since a model computed without one would be a different model.
#include <charconv>
#include <set>
#include <utility>

#include "corpora/model_formats.h"
#include "watermark/json.h"

namespace countermark::corpora {
namespace {

constexpr std::size_t kHeaderStart = 8;  // after the length of the header
// Nine tensors a layer take about 120 bytes each.
constexpr std::uint64_t kMaxHeader = 1 << 21;

// A number that stands in __metadata__, where every value is a string.
template <typename Number>
Result<Number> metadata_number(const JsonDocument& header, const std::string& name, Number least,
                               Number most) {
  const std::string pointer = "/__metadata__/" + name;
  COUNTERMARK_TRY(const std::string text, header.string_at(pointer));
  Number value{};
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  // Written so that NaN fails.
  if (failure == std::errc() && end == text.data() + text.size() && value >= least && value <= most)
    return value;
  return fail(header.error_at(
      pointer, ErrorCode::kInvalidInput,
      "expected a number from " + std::to_string(least) + " to " + std::to_string(most)));
}

// The shape, and whether the classifier is the embedding.
Result<std::pair<ModelShape, bool>> metadata_shape(const JsonDocument& header) {
  COUNTERMARK_TRY(const std::string architecture, header.string_at("/__metadata__/architecture"));
  if (architecture != "llama")
    return fail(header.error_at("/__metadata__/architecture", ErrorCode::kUnsupported,
                                "this architecture is unknown; expected llama"));
  ModelShape shape;
  for (const Size& size : kSizes) {
    COUNTERMARK_TRY(shape.*size.member,
                    metadata_number<std::size_t>(header, size.name, 1, size.most));
  }
  COUNTERMARK_TRY(shape.rope_theta, metadata_number<double>(header, "rope_theta", 1, 1e9));
  COUNTERMARK_TRY(shape.norm_epsilon, metadata_number<double>(header, "rms_norm_eps", 1e-12, 1));
  const auto last = static_cast<TokenId>(shape.vocab_size - 1);
  COUNTERMARK_TRY(shape.begin_token, metadata_number<TokenId>(header, "bos_token_id", 0, last));
  COUNTERMARK_TRY(shape.end_token, metadata_number<TokenId>(header, "eos_token_id", 0, last));
  if (Status status = check_shape(shape); !status)
    return fail(header.error_at("/__metadata__/" + status.error().field, status.error().code,
                                std::move(status.error().message)));
  COUNTERMARK_TRY(const std::string tied, header.string_at("/__metadata__/tie_word_embeddings"));
  if (tied != "true" && tied != "false")
    return fail(header.error_at("/__metadata__/tie_word_embeddings", ErrorCode::kInvalidInput,
                                "expected true or false"));
  return std::pair{shape, tied == "true"};
}

// Where in the data a tensor stands, by the header.
struct Extent {
  Tensor tensor;
  std::uint64_t begin;
  std::uint64_t end;
  std::size_t width;  // bytes a number
};

Result<Extent> extent_of(const JsonDocument& header, const Tensor& tensor,
                         std::uint64_t data_size) {
  const std::string pointer = "/" + tensor.name;
  const auto refuse = [&](const char* member, ErrorCode code, std::string expected) {
    return fail(header.error_at(pointer + member, code, "expected " + std::move(expected)));
  };
  COUNTERMARK_CHECK(header.only_members(pointer, {"dtype", "shape", "data_offsets"}));
  COUNTERMARK_TRY(const std::string type, header.string_at(pointer + "/dtype"));
  if (type != "F16" && type != "F32")
    return refuse("/dtype", ErrorCode::kUnsupported, "F16 or F32");

  const nlohmann::json& entry = header.root().at(tensor.name);
  const std::string columns = tensor.columns == 0 ? "" : "," + std::to_string(tensor.columns);
  const std::string shape = "[" + std::to_string(tensor.rows) + columns + "]";
  if (!entry.contains("shape") || entry.at("shape").dump() != shape)
    return refuse("/shape", ErrorCode::kInvalidInput, shape);

  if (!entry.contains("data_offsets") || !entry.at("data_offsets").is_array() ||
      entry.at("data_offsets").size() != 2)
    return refuse("/data_offsets", ErrorCode::kInvalidInput, "a begin and an end");
  COUNTERMARK_TRY(const std::uint64_t begin,
                  header.unsigned_at(pointer + "/data_offsets/0", 0, data_size));
  COUNTERMARK_TRY(const std::uint64_t end,
                  header.unsigned_at(pointer + "/data_offsets/1", begin, data_size));
  const std::size_t width = type == "F16" ? 2 : 4;
  const std::uint64_t size = tensor.count() * width;
  if (end - begin != size)
    return refuse("/data_offsets", ErrorCode::kInvalidInput,
                  std::to_string(size) + " bytes for " + shape + " of " + type);
  return Extent{tensor, begin, end, width};
}

// The tensors follow each other without gap or overlap to the end of the data.
Status check_coverage(const JsonDocument& header, std::vector<Extent>& extents,
                      std::uint64_t data_size) {
  std::sort(extents.begin(), extents.end(),
            [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
  std::uint64_t next = 0;
  for (const Extent& extent : extents) {
    if (extent.begin != next)
      return fail(header.error_at(
          "/" + extent.tensor.name + "/data_offsets", ErrorCode::kInvalidInput,
          "expected to begin at " + std::to_string(next) + ", where the tensor before it ends"));
    next = extent.end;
  }
  if (next != data_size)
    return fail(
        header.error_at("", ErrorCode::kInvalidInput,
                        std::to_string(data_size - next) + " bytes follow the last tensor"));
  return {};
}

// Fills weights.shape and makes the layers; returns where their tensors stand. Offsets of errors
// count from the start of the header.
Result<std::vector<Extent>> read_header(std::string_view bytes, std::uint64_t data_size,
                                        ModelWeights& weights) {
  COUNTERMARK_TRY(const JsonDocument header, JsonDocument::parse(bytes));
  if (!header.root().is_object())
    return fail(header.error_at("", ErrorCode::kInvalidInput, "expected an object"));
  COUNTERMARK_TRY(const auto metadata, metadata_shape(header));
  weights.shape = metadata.first;
  std::vector<Extent> extents;
  std::set<std::string> known{"__metadata__"};
  for (const Tensor& tensor : tensors_of(weights, metadata.second)) {
    COUNTERMARK_TRY(Extent extent, extent_of(header, tensor, data_size));
    extents.push_back(std::move(extent));
    known.insert(tensor.name);
  }
  for (const auto& [name, unused] : header.root().items())
    if (!known.contains(name))
      return fail(header.error_at("/" + json_pointer_part(name), ErrorCode::kInvalidInput,
                                  "is not a tensor of this architecture and shape"));
  COUNTERMARK_CHECK(check_coverage(header, extents, data_size));
  return extents;
}

}  // namespace

Result<ModelWeights> read_safetensors(std::string_view bytes) {
  const std::uint64_t length = integer_at(bytes, 0, kHeaderStart);
  if (length > std::min<std::uint64_t>(kMaxHeader, bytes.size() - kHeaderStart))
    return fail(invalid_input("header", 0,
                              "a length of " + std::to_string(length) +
                                  " bytes is beyond the file or the limit of " +
                                  std::to_string(kMaxHeader)));
  const std::uint64_t data = kHeaderStart + length;
  ModelWeights weights;
  auto extents = read_header(bytes.substr(kHeaderStart, length), bytes.size() - data, weights);
  if (!extents) {
    Error error = std::move(extents).error();
    if (error.offset) *error.offset += kHeaderStart;
    return fail(std::move(error));
  }
  for (const Extent& extent : *extents)
    COUNTERMARK_CHECK(read_values(bytes, data + extent.begin, extent.width, extent.tensor));
  return weights;
}

}  // namespace countermark::corpora
