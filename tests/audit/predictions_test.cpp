// SPDX-License-Identifier: Apache-2.0
// Files of predictions: documents of any length come back, and what is wrong says where.
#include "verifier/audit/predictions.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "tests/support/folder_test.h"
#include "tests/support/random_numbers.h"

namespace countermark::audit {
namespace {

using nlohmann::json;
using tests::RandomNumbers;

struct Rows {
  std::vector<std::uint32_t> ids{};
  std::vector<std::uint32_t> documents{};
  std::vector<std::uint32_t> positions{};
  std::vector<std::uint32_t> top_ids{};  // [rows * top_k]
  std::uint32_t top_k = 3;
};

void append(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> 8 * i & 255U);
}

json header_of(const Rows& rows) {
  json out = {{"__metadata__",
               {{"schema", kPredictionsSchema},
                {"suspect", "student"},
                {"suspectSha256", "aa"},
                {"tokenizerSha256", "bb"},
                {"readSha256", "cc"},
                {"inputSha256", "dd"}}}};
  std::uint64_t end = 0;
  const auto add = [&](const char* name, const char* type, json shape, std::uint64_t size) {
    out[name] = {{"dtype", type}, {"shape", std::move(shape)}, {"data_offsets", {end, end + size}}};
    end += size;
  };
  const std::uint64_t n = rows.ids.size();
  for (const char* name : {"ids", "doc", "position"}) add(name, "I32", {n}, 4 * n);
  add("topIds", "I32", {n, rows.top_k}, 4 * n * rows.top_k);
  add("topLogProb", "F32", {n, rows.top_k}, 4 * n * rows.top_k);
  return out;
}

std::string file_of(const Rows& rows, const std::function<void(json&)>& change = {}) {
  json header = header_of(rows);
  if (change) change(header);
  const std::string text = header.dump();
  std::string out;
  append(out, text.size(), 8);
  out += text;
  for (const auto* column : {&rows.ids, &rows.documents, &rows.positions, &rows.top_ids})
    for (const std::uint32_t value : *column) append(out, value, 4);
  out.append(4 * rows.top_ids.size(), '\0');
  return out;
}

// Documents of these lengths, numbered as they are; of none there is no row.
Rows random_rows(const std::vector<std::size_t>& lengths) {
  RandomNumbers random(lengths.size());
  Rows out;
  for (std::size_t document = 0; document < lengths.size(); ++document)
    for (std::size_t position = 0; position < lengths[document]; ++position) {
      out.ids.push_back(random.below(5000));
      out.documents.push_back(static_cast<std::uint32_t>(document));
      out.positions.push_back(static_cast<std::uint32_t>(position));
      for (std::uint32_t i = 0; i < out.top_k; ++i) out.top_ids.push_back(random.below(5000));
    }
  return out;
}

class Predictions : public tests::FolderTest {
 protected:
  std::string put(const std::string& bytes) const {
    return write("predictions.safetensors", bytes);
  }

  // How reading ends.
  Error error_of(const std::string& bytes) const {
    auto reader = PredictionsReader::open(put(bytes));
    if (!reader) return reader.error();
    for (;;) {
      const auto document = reader->next();
      if (!document) return document.error();
      if (!*document) break;
    }
    ADD_FAILURE() << "was read";
    return {};
  }
};

TEST_F(Predictions, ComeDocumentByDocument) {
  // Across what is read at once, and with documents that have no token.
  const Rows rows = random_rows({5, 0, 4096, 1, 9000, 0, 4091, 3});
  auto reader = PredictionsReader::open(put(file_of(rows))).value();
  EXPECT_EQ(reader.header().suspect, "student");
  EXPECT_EQ(reader.header().rows, rows.ids.size());
  EXPECT_EQ(reader.header().tokenizer_sha256, "bb");
  EXPECT_EQ(reader.header().input_sha256, "dd");
  std::size_t row = 0;
  for (;;) {
    const auto document = reader.next();
    ASSERT_TRUE(document) << document.error().describe();
    if (!*document) break;
    const text::Segment& segment = (*document)->segments.front();
    EXPECT_EQ((*document)->record, rows.documents[row] + std::uint64_t{1});
    EXPECT_EQ((*document)->offset, reader.header().data + 4 * row);
    ASSERT_EQ(segment.ids.size(), segment.predicted.size());
    for (std::size_t i = 0; i < segment.ids.size(); ++i, ++row) {
      ASSERT_EQ(segment.ids[i], rows.ids[row]);
      ASSERT_EQ(rows.positions[row], i);
      ASSERT_EQ(segment.predicted[i],
                i == 0 ? rows.ids[row] : rows.top_ids[(row - 1) * rows.top_k]);
    }
  }
  EXPECT_EQ(row, rows.ids.size());
  EXPECT_FALSE(*PredictionsReader::open(put(file_of(Rows{}))).value().next());
}

TEST_F(Predictions, TokensThatTheTextsTokenizerDoesNotHave) {
  Rows rows = random_rows({5, 3});
  rows.top_ids[0] = rows.top_ids[3] = rows.top_ids[4] = rows.top_ids[5] = kNoToken;
  auto reader =
      PredictionsReader::open(
          put(file_of(rows, [](json& header) { header["__metadata__"]["alignedFrom"] = "ee"; })),
          true)
          .value();
  EXPECT_EQ(reader.header().aligned_from, "ee");
  const auto first = reader.next().value();
  const text::Segment& segment = first->segments.front();
  EXPECT_EQ(segment.unpredicted, (std::vector<std::uint32_t>{1, 2}));
  EXPECT_EQ(segment.predicted[1], segment.ids[1]);
  EXPECT_EQ(segment.predicted[3], rows.top_ids[6]);
  EXPECT_EQ(reader.candidates().ids[3], kNoToken);
  EXPECT_EQ(reader.candidates().ids[4], rows.top_ids[1]);
  EXPECT_TRUE(reader.next().value()->segments.front().unpredicted.empty());
}

TEST_F(Predictions, RowsOutOfOrderAreRefused) {
  const Rows good = random_rows({5, 5000});
  const auto refused = [&](const std::function<void(Rows&)>& change, std::size_t row) {
    Rows rows = good;
    change(rows);
    const Error error = error_of(file_of(rows));
    EXPECT_EQ(error.code, ErrorCode::kInvalidInput);
    EXPECT_EQ(error.field, "row " + std::to_string(row));
    EXPECT_TRUE(error.offset);
  };
  refused([](Rows& rows) { rows.positions[4500] = 7; }, 4500);
  refused([](Rows& rows) { rows.positions[0] = 1; }, 0);
  refused([](Rows& rows) { rows.documents[4500] = 0; }, 4500);
  refused([](Rows& rows) { rows.ids[4500] = 0x8000'0000; }, 4500);
  refused([](Rows& rows) { rows.top_ids[3 * 4500] = 0xffff'fffe; }, 4500);
}

TEST_F(Predictions, BadHeadersAreRefused) {
  const Rows rows = random_rows({5});
  const std::string good = file_of(rows);
  for (const std::size_t size : {std::size_t{0}, std::size_t{7}, std::size_t{20}, good.size() - 1})
    EXPECT_EQ(error_of(good.substr(0, size)).code, ErrorCode::kInvalidInput) << size;
  EXPECT_EQ(error_of(good + "x").code, ErrorCode::kInvalidInput);
  EXPECT_EQ(PredictionsReader::open(path("none")).error().code, ErrorCode::kIo);
  struct Case {
    const char* pointer;
    json value;
  };
  for (const auto& [pointer, value] : std::vector<Case>{
           {"/__metadata__/schema", "countermark.predictions/2"},
           {"/__metadata__/schema", 1},
           {"/__metadata__/suspect", nullptr},
           {"/__metadata__/readSha256", 5},
           {"/__metadata__/inputSha256", 5},
           {"/ids/dtype", "I64"},
           {"/ids/shape", {5, 1}},
           {"/ids/shape", {6}},
           {"/ids/shape", {-5}},
           {"/doc/shape", {4}},
           {"/topIds/shape", {5, 0}},
           {"/topIds/shape", {5}},
           {"/topLogProb/shape", {5, 2}},
           {"/position/data_offsets", {0, 20}},
           {"/topLogProb/dtype", "F16"},
           {"/other", {{"dtype", "I32"}}},
       }) {
    const Error error =
        error_of(file_of(rows, [&](json& header) { header[json::json_pointer(pointer)] = value; }));
    EXPECT_TRUE(error.code == ErrorCode::kInvalidInput || error.code == ErrorCode::kUnsupported)
        << pointer << value;
    EXPECT_FALSE(error.message.empty());
  }
  for (const char* name : {"ids", "topLogProb", "__metadata__"})
    EXPECT_EQ(error_of(file_of(rows, [&](json& header) { header.erase(name); })).code,
              ErrorCode::kInvalidInput);
}

}  // namespace
}  // namespace countermark::audit
