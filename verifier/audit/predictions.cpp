// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/predictions.h"

#include <algorithm>
#include <array>
#include <bit>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "watermark/json.h"

namespace countermark::audit {
namespace {

using nlohmann::json;

constexpr std::uint64_t kRows = 4096;  // read at once
constexpr std::uint32_t kMostId = 0x7fff'ffff;
constexpr std::uint64_t kMostRows = std::uint64_t{1} << 40;

std::uint64_t load64(std::string_view bytes) {
  std::uint64_t out = 0;
  for (std::size_t i = 8; i-- > 0;) out = out << 8 | static_cast<unsigned char>(bytes[i]);
  return out;
}

Error bad(std::string message, std::uint64_t offset) {
  Error out{ErrorCode::kInvalidInput, std::move(message)};
  out.offset = offset;
  return out;
}

// The tensors of a header, which lie one behind the other.
class Layout {
 public:
  Layout(const JsonDocument& header, PredictionsHeader& out) : json_(header), out_(out) {}

  // Returns where the last one ends.
  Result<std::uint64_t> read() {
    COUNTERMARK_CHECK(
        json_.only_members("", {"__metadata__", "ids", "doc", "position", "topIds", "topLogProb"}));
    std::uint64_t end = 0;
    COUNTERMARK_CHECK(tensor("ids", "I32", 1, end));
    COUNTERMARK_CHECK(tensor("doc", "I32", 1, end));
    COUNTERMARK_CHECK(tensor("position", "I32", 1, end));
    COUNTERMARK_CHECK(tensor("topIds", "I32", 2, end));
    COUNTERMARK_CHECK(tensor("topLogProb", "F32", 2, end));
    return end;
  }

 private:
  Status tensor(const std::string& name, const char* type, std::size_t rank, std::uint64_t& end) {
    const std::string at = "/" + name;
    COUNTERMARK_TRY(const std::string dtype, json_.string_at(at + "/dtype"));
    if (dtype != type) return fail(error(at + "/dtype", std::string("expected ") + type));
    COUNTERMARK_CHECK(json_.only_members(at, {"dtype", "shape", "data_offsets"}));
    COUNTERMARK_TRY(const auto shape, numbers(at + "/shape", rank));
    if (name == "ids") out_.rows = shape[0];
    if (name == "topIds")
      out_.top_k = static_cast<std::uint32_t>(std::min<std::uint64_t>(shape[1], kMostId));
    if (out_.rows > kMostRows || shape[0] != out_.rows ||
        (rank == 2 && (shape[1] == 0 || shape[1] != out_.top_k || shape[1] > 65'536)))
      return fail(error(at + "/shape", "expected the rows of ids, and 1 to 65536 predictions"));
    const std::uint64_t size = 4 * out_.rows * (rank == 2 ? out_.top_k : 1);
    COUNTERMARK_TRY(const auto offsets, numbers(at + "/data_offsets", 2));
    if (offsets[0] != end || offsets[1] != end + size)
      return fail(error(at + "/data_offsets", "expected the tensor behind the one before it"));
    end += size;
    return {};
  }

  Result<std::array<std::uint64_t, 2>> numbers(const std::string& pointer,
                                               std::size_t count) const {
    std::array<std::uint64_t, 2> out{};
    for (std::size_t i = 0; i < count; ++i) {
      COUNTERMARK_TRY(out[i], json_.unsigned_at(pointer + "/" + std::to_string(i), 0, UINT64_MAX));
    }
    const json::json_pointer where(pointer);
    if (!json_.root().at(where).is_array() || json_.root().at(where).size() != count)
      return fail(error(pointer, "expected " + std::to_string(count) + " integers"));
    return out;
  }

  Error error(const std::string& pointer, std::string message) const {
    return json_.error_at(pointer, ErrorCode::kInvalidInput, std::move(message));
  }

  const JsonDocument& json_;
  PredictionsHeader& out_;
};

Result<PredictionsHeader> parse_json(const JsonDocument& header) {
  PredictionsHeader out;
  COUNTERMARK_TRY(const std::string schema, header.string_at("/__metadata__/schema"));
  if (schema != kPredictionsSchema)
    return fail(header.error_at("/__metadata__/schema", ErrorCode::kUnsupported,
                                "expected '" + std::string(kPredictionsSchema) + "'"));
  COUNTERMARK_TRY(out.suspect, header.string_at("/__metadata__/suspect"));
  const json& metadata = header.root()["__metadata__"];
  if (metadata.contains("suspectSha256")) {
    COUNTERMARK_TRY(out.suspect_sha256, header.string_at("/__metadata__/suspectSha256"));
  }
  if (metadata.contains("tokenizerSha256")) {
    COUNTERMARK_TRY(out.tokenizer_sha256, header.string_at("/__metadata__/tokenizerSha256"));
  }
  COUNTERMARK_TRY(out.read_sha256, header.string_at("/__metadata__/readSha256"));
  if (metadata.contains("inputSha256")) {
    COUNTERMARK_TRY(out.input_sha256, header.string_at("/__metadata__/inputSha256"));
  }
  if (metadata.contains("alignedFrom")) {
    COUNTERMARK_TRY(out.aligned_from, header.string_at("/__metadata__/alignedFrom"));
  }
  COUNTERMARK_TRY(out.data, Layout(header, out).read());
  return out;
}

}  // namespace

Result<PredictionsHeader> parse_predictions_header(std::string_view bytes, std::uint64_t size) {
  if (bytes.size() < 8) return fail(bad("expected a safetensors file", 0));
  const std::uint64_t length = load64(bytes);
  if (length > kLongestPredictionsHeader)
    return fail(bad("expected a safetensors header of at most " +
                        std::to_string(kLongestPredictionsHeader) + " bytes",
                    0));
  if (length > bytes.size() - 8) return fail(bad("ends within its header", bytes.size()));
  const auto place = [](Error error) {
    error.offset = error.offset.value_or(0) + 8;
    return error;
  };
  auto header = JsonDocument::parse(bytes.substr(8, length));
  if (!header) return fail(place(std::move(header).error()));
  auto out = parse_json(*header);
  if (!out) return fail(place(std::move(out).error()));
  const std::uint64_t begin = 8 + length;
  const std::uint64_t end = begin + out->data;
  if (size != end)
    return fail(bad("expected " + std::to_string(end) + " bytes, as its header says, and has " +
                        std::to_string(size),
                    std::min(size, end)));
  out->data = begin;
  return out;
}

Result<PredictionsReader::Column> PredictionsReader::Column::open(const std::string& path,
                                                                  std::uint64_t offset) {
  COUNTERMARK_TRY(io::Input input, io::Input::open(path));
  if (!input.skip(offset))
    return fail(Error{ErrorCode::kIo, "expected a file that can be read from any place", path});
  return Column(std::move(input));
}

Status PredictionsReader::Column::read(std::size_t count, std::vector<std::uint32_t>& out) {
  bytes_.resize(4 * count);
  for (std::size_t done = 0; done < bytes_.size();) {
    COUNTERMARK_TRY(const std::size_t more, input_.read(std::span(bytes_).subspan(done)));
    if (more == 0)
      return fail(Error{ErrorCode::kInvalidInput, "has become shorter", input_.name()});
    done += more;
  }
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t value = 0;
    for (std::size_t j = 4; j-- > 0;)
      value = value << 8 | static_cast<unsigned char>(bytes_[4 * i + j]);
    out.push_back(value);
  }
  return {};
}

Result<PredictionsReader> PredictionsReader::open(const std::string& path, bool all) {
  std::error_code error;
  const std::uint64_t size = std::filesystem::file_size(path, error);
  COUNTERMARK_TRY(io::Input input, io::Input::open(path));
  if (error)
    return fail(Error{ErrorCode::kIo, "expected a file that can be read from any place", path});
  std::string bytes(std::min(size, kLongestPredictionsHeader + 8), '\0');
  for (std::size_t done = 0; done < bytes.size();) {
    COUNTERMARK_TRY(const std::size_t more, input.read(std::span(bytes).subspan(done)));
    if (more == 0) bytes.resize(done);
    done += more;
  }
  auto header = parse_predictions_header(bytes, size);
  if (!header) return fail(std::move(header).error().in_file(path));
  std::vector<Column> columns;
  const std::uint64_t rows = 4 * header->rows;
  for (const std::uint64_t at :
       {std::uint64_t{0}, rows, 2 * rows, 3 * rows, (3 + std::uint64_t{header->top_k}) * rows}) {
    if (columns.size() == 4 && !all) break;
    COUNTERMARK_TRY(Column column, Column::open(path, header->data + at));
    columns.push_back(std::move(column));
  }
  return PredictionsReader(path, *std::move(header), std::move(columns));
}

Status PredictionsReader::read_rows() {
  const auto count = static_cast<std::size_t>(std::min(kRows, header_.rows - row_));
  first_ = row_;
  for (std::vector<std::uint32_t>* const column :
       {&ids_, &documents_, &positions_, &predicted_, &log_probs_})
    column->clear();
  COUNTERMARK_CHECK(columns_[0].read(count, ids_));
  COUNTERMARK_CHECK(columns_[1].read(count, documents_));
  COUNTERMARK_CHECK(columns_[2].read(count, positions_));
  COUNTERMARK_CHECK(columns_[3].read(count * header_.top_k, predicted_));
  if (columns_.size() > 4) COUNTERMARK_CHECK(columns_[4].read(count * header_.top_k, log_probs_));
  return {};
}

void PredictionsReader::add_no_candidates(TokenId id) {
  candidates_.ids.insert(candidates_.ids.end(), header_.top_k, id);
  candidates_.log_probs.insert(candidates_.log_probs.end(), header_.top_k,
                               -std::numeric_limits<float>::infinity());
}

Status PredictionsReader::add_candidates() {
  const std::size_t first = static_cast<std::size_t>(row_ - first_) * header_.top_k;
  sorted_.assign(predicted_.begin() + static_cast<std::ptrdiff_t>(first),
                 predicted_.begin() + static_cast<std::ptrdiff_t>(first + header_.top_k));
  candidates_.ids.insert(candidates_.ids.end(), sorted_.begin(), sorted_.end());
  std::erase(sorted_, kNoToken);
  std::sort(sorted_.begin(), sorted_.end());
  if (std::adjacent_find(sorted_.begin(), sorted_.end()) != sorted_.end() ||
      (!sorted_.empty() && sorted_.back() > kMostId))
    return fail(bad_row("expected predictions that differ and are not negative"));
  for (std::size_t i = first; i < first + header_.top_k; ++i) {
    const auto log_prob = std::bit_cast<float>(log_probs_[i]);
    if (!(log_prob <= 1e-3F)) return fail(bad_row("expected logarithms of probabilities"));
    candidates_.log_probs.push_back(log_prob);
  }
  return {};
}

Error PredictionsReader::bad_row(const char* message) const {
  Error out{ErrorCode::kInvalidInput, message, path_, "row " + std::to_string(row_)};
  out.offset = header_.data + 4 * row_;
  return out;
}

Result<std::optional<text::Document>> PredictionsReader::next() {
  if (row_ == header_.rows) return std::optional<text::Document>{};
  text::Document out;
  text::Segment segment;
  segment.is_ids = true;
  std::optional<std::uint32_t> number;
  // Of the row before.
  TokenId predicted = 0;
  const bool all = columns_.size() > 4;
  candidates_ = {};
  for (; row_ < header_.rows; ++row_) {
    if (row_ == first_ + ids_.size() || ids_.empty()) COUNTERMARK_CHECK(read_rows());
    const auto at = static_cast<std::size_t>(row_ - first_);
    const TokenId first = predicted_[at * header_.top_k];
    if (documents_[at] > kMostId || ids_[at] > kMostId || (first > kMostId && first != kNoToken))
      return fail(bad_row("expected numbers that are not negative"));
    if (number && documents_[at] != *number) {
      if (documents_[at] < *number) return fail(bad_row("expected documents in their order"));
      break;
    }
    number = documents_[at];
    if (positions_[at] != segment.ids.size())
      return fail(bad_row("expected the positions of a document in their order, from 0"));
    const bool is_predicted = !segment.ids.empty() && predicted != kNoToken;
    if (!is_predicted && !segment.ids.empty())
      segment.unpredicted.push_back(static_cast<std::uint32_t>(segment.ids.size()));
    segment.predicted.push_back(is_predicted ? predicted : ids_[at]);
    if (all && segment.ids.empty()) add_no_candidates(ids_[at]);
    segment.ids.push_back(ids_[at]);
    predicted = first;
    if (all) COUNTERMARK_CHECK(add_candidates());
  }
  out.record = std::uint64_t{*number} + 1;
  out.id = path_ + ":" + std::to_string(out.record);
  out.input = path_;
  out.field = "topIds";
  out.offset = header_.data + 4 * (row_ - segment.ids.size());
  // What was predicted behind the last one is for no place.
  candidates_.ids.resize(candidates_.ids.size() - (all ? header_.top_k : 0));
  candidates_.log_probs.resize(candidates_.ids.size());
  out.segments.push_back(std::move(segment));
  return std::optional(std::move(out));
}

}  // namespace countermark::audit
