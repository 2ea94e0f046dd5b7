// SPDX-License-Identifier: Apache-2.0
#include "corpora/language_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/corpora/tiny_model.h"

namespace countermark::corpora {
namespace {

using Logits = std::vector<float>;

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::filesystem::path model_path(const char* name) {
  return std::filesystem::path(COUNTERMARK_SOURCE_DIR) / "corpora/model" / name;
}

std::filesystem::path data_path(const char* name) {
  const char* folder = std::getenv("COUNTERMARK_TEST_DATA");
  const std::string root = folder != nullptr ? folder : COUNTERMARK_SOURCE_DIR "/../shared/data";
  return std::filesystem::path(root) / name;
}

LanguageModel parsed(std::string_view bytes) {
  auto model = LanguageModel::parse(bytes);
  if (!model) throw std::runtime_error(model.error().describe());
  return std::move(*model);
}

// The logits after each of `tokens`.
std::vector<Logits> read_all(Generation& generation, TokenSpan tokens) {
  std::vector<Logits> all;
  for (const TokenId token : tokens) {
    const auto logits = generation.next(token);
    if (!logits) throw std::runtime_error(logits.error().describe());
    all.emplace_back(logits->begin(), logits->end());
  }
  return all;
}

TokenId greatest(std::span<const float> logits) {
  return static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

const std::vector<TokenId> kTinyText{1, 5, 7, 2, 10, 3, 3, 0};

// PyTorch's logits of the stored weights (corpora/train/golden.py). The summation orders differ;
// observed: at most 1.1e-5 for a logit.
TEST(LanguageModel, AgreesWithPyTorch) {
  if (!std::filesystem::exists(model_path("weights.safetensors")))
    GTEST_SKIP() << "no weights at " << model_path("weights.safetensors");
  const auto model = LanguageModel::load(model_path("weights.safetensors").string());
  ASSERT_TRUE(model) << model.error().describe();
  const auto golden = nlohmann::json::parse(bytes_of(model_path("golden.json")));
  Generation generation(*model);
  ASSERT_FALSE(golden.at("sequences").empty());
  double furthest = 0;
  for (const auto& sequence : golden.at("sequences")) {
    generation.reset();
    const auto ids = sequence.at("ids").get<std::vector<TokenId>>();
    const auto logits = read_all(generation, ids);
    for (const auto& entry : sequence.at("top")) {
      const double expected = entry.at(1);
      const double actual = logits.back()[entry.at(0).get<std::size_t>()];
      EXPECT_NEAR(actual, expected, 1e-3);
      furthest = std::max(furthest, std::abs(actual - expected));
    }
    double sum = 0;
    double magnitude = 0;
    for (const float logit : logits.back()) {
      sum += logit;
      magnitude += std::abs(logit);
    }
    double total = 0;
    for (const Logits& row : logits)
      for (const float logit : row) total += logit;
    // 1e-3 a logit, were all errors of one sign.
    const auto size = static_cast<double>(model->shape().vocab_size);
    EXPECT_NEAR(sum, sequence.at("sum_last_position").get<double>(), 1e-3 * size);
    EXPECT_NEAR(magnitude, sequence.at("sum_of_absolute_values_last_position").get<double>(),
                1e-3 * size);
    EXPECT_NEAR(total, sequence.at("sum_all_positions").get<double>(),
                1e-3 * size * static_cast<double>(ids.size()));
  }
  RecordProperty("furthest", std::to_string(furthest));
}

// Everything again, the slow way: in double, with libm, without a cache.
TEST(LanguageModel, AgreesWithTheDefinition) {
  for (const bool shared : {true, false}) {
    const TinyModel tiny(shared);
    const LanguageModel model = parsed(tiny.safetensors("F32"));
    Generation generation(model);
    const auto logits = read_all(generation, kTinyText);
    const auto expected = tiny.logits(kTinyText);
    for (std::size_t i = 0; i < logits.size(); ++i)
      for (std::size_t v = 0; v < logits[i].size(); ++v)
        EXPECT_NEAR(logits[i][v], expected[i][v], 1e-5) << i << " " << v;
  }
}

TEST(LanguageModel, BothFormatsGiveTheSameLogits) {
  for (const bool shared : {true, false}) {
    const TinyModel tiny(shared);
    const LanguageModel first = parsed(tiny.safetensors("F32"));
    const LanguageModel second = parsed(tiny.llama2c());
    const LanguageModel half = parsed(tiny.safetensors("F16"));
    Generation a(first);
    Generation b(second);
    Generation c(half);
    const auto logits = read_all(a, kTinyText);
    // The weights are numbers that F16 holds exactly.
    EXPECT_EQ(read_all(c, kTinyText), logits);
    EXPECT_EQ(read_all(b, kTinyText), logits);
    EXPECT_EQ(second.shape().max_positions, first.shape().max_positions);
    EXPECT_EQ(second.shape().begin_token, 1U);
    EXPECT_EQ(second.shape().end_token, 2U);
  }
}

TEST(LanguageModel, ReadsTheShape) {
  const LanguageModel model = parsed(TinyModel(true).safetensors("F32"));
  EXPECT_EQ(model.shape().vocab_size, TinyModel::kVocab);
  EXPECT_EQ(model.shape().hidden_size, TinyModel::kHidden);
  EXPECT_EQ(model.shape().intermediate_size, TinyModel::kInner);
  EXPECT_EQ(model.shape().layers, TinyModel::kLayers);
  EXPECT_EQ(model.shape().heads, TinyModel::kHeads);
  EXPECT_EQ(model.shape().key_value_heads, TinyModel::kKeyValueHeads);
  EXPECT_EQ(model.shape().max_positions, TinyModel::kPositions);
  EXPECT_EQ(model.shape().rope_theta, 10000);
  EXPECT_EQ(model.shape().norm_epsilon, 1e-5);
  EXPECT_EQ(model.shape().begin_token, 3U);
  EXPECT_EQ(model.shape().end_token, 4U);
}

// A change of one bit in a logit of this model is a change of every study's text.
TEST(LanguageModel, GivesTheseBitsEverywhere) {
  const LanguageModel model = parsed(TinyModel(true).safetensors("F32"));
  Generation generation(model);
  std::uint64_t digest = 14695981039346656037U;  // FNV-1a
  for (const Logits& row : read_all(generation, kTinyText))
    for (const float logit : row)
      digest = (digest ^ std::bit_cast<std::uint32_t>(logit)) * 1099511628211U;
  EXPECT_EQ(digest, 9128522185997389136U);
}

TEST(Generation, StartsOver) {
  const LanguageModel model = parsed(TinyModel(true).safetensors("F32"));
  Generation generation(model);
  EXPECT_EQ(generation.position(), 0U);
  const auto first = read_all(generation, kTinyText);
  EXPECT_EQ(generation.position(), kTinyText.size());
  generation.reset();
  EXPECT_EQ(generation.position(), 0U);
  EXPECT_EQ(read_all(generation, kTinyText), first);
  // Two at once do not disturb each other, nor does moving one.
  Generation other(model);
  Generation moved(std::move(generation));
  moved.reset();
  for (std::size_t i = 0; i < kTinyText.size(); ++i) {
    const auto a = moved.next(kTinyText[i]);
    const auto b = other.next(kTinyText[i]);
    EXPECT_EQ(Logits(a->begin(), a->end()), first[i]);
    EXPECT_EQ(Logits(b->begin(), b->end()), first[i]);
  }
}

TEST(Generation, RefusesWhatIsOutside) {
  const LanguageModel model = parsed(TinyModel(true).safetensors("F32"));
  Generation generation(model);
  const auto outside = generation.next(TinyModel::kVocab);
  ASSERT_FALSE(outside);
  EXPECT_EQ(outside.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(generation.position(), 0U);
  for (std::size_t i = 0; i < TinyModel::kPositions; ++i) ASSERT_TRUE(generation.next(0));
  const auto full = generation.next(0);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(generation.position(), TinyModel::kPositions);
  generation.reset();
  EXPECT_TRUE(generation.next(0));
}

// The pieces of a llama2.c tokenizer file: int32 longest piece, then float32 score, int32 length
// and bytes of each. Pieces such as <0x0A> are bytes.
std::vector<std::string> llama2c_pieces(const std::string& bytes, std::size_t count) {
  std::vector<std::string> pieces;
  std::size_t at = 4;
  while (pieces.size() < count) {
    std::int32_t length = 0;
    std::memcpy(&length, bytes.data() + at + 4, sizeof length);
    std::string piece = bytes.substr(at + 8, static_cast<std::size_t>(length));
    at += 8 + piece.size();
    if (piece.size() == 6 && piece.starts_with("<0x"))
      piece = std::string(1, static_cast<char>(std::stoi(piece.substr(3, 2), nullptr, 16)));
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

// What run.c of llama2.c says at temperature 0, as its own test_all.py has it.
constexpr std::string_view kStory =
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. "
    "One day, she saw a big, red ball. She wanted to play with it, but it was too high.\n"
    "Lily's mom said, \"Lily, let's go to the park.\" Lily was sad and didn't know what to do. She "
    "said, \"I want to play with your ball, but I can't find it.\"\n"
    "Lily was sad and didn't know what to do. She said, \"I'm sorry, Lily. I didn't know what to "
    "do.\"\n"
    "Lily didn't want to help her mom, so she";

TEST(LanguageModel, TellsTheStoryOfLlama2c) {
  const auto path = data_path("models/stories260K.bin");
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no test data at " << path;
  const auto model = LanguageModel::load(path.string());
  ASSERT_TRUE(model) << model.error().describe();
  const auto pieces =
      llama2c_pieces(bytes_of(data_path("models/tok512.bin")), model->shape().vocab_size);
  Generation generation(*model);
  std::string text;
  TokenId token = model->shape().begin_token;
  while (text.size() <= kStory.size() && generation.position() < 300) {
    token = greatest(*generation.next(token));
    text += pieces[token];
  }
  // Behind the begin token a piece loses its leading space.
  EXPECT_EQ(text.substr(1, kStory.size()), kStory);
}

}  // namespace
}  // namespace countermark::corpora
