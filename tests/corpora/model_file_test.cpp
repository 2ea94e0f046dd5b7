// SPDX-License-Identifier: Apache-2.0
// Bad model files: which error, about what, where; and never a crash.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <ostream>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "corpora/language_model.h"
#include "tests/corpora/tiny_model.h"

namespace countermark::corpora {
namespace {

using Metadata = std::map<std::string, std::string>;
using Tensors = std::map<std::string, TinyModel::Tensor>;

constexpr const char* kQuery = "model.layers.1.self_attn.q_proj.weight";

// ---- safetensors, changed in its parts

struct Change {
  const char* name;
  std::function<void(Metadata&, Tensors&)> apply;
  ErrorCode code;
  std::string field;  // as the error names it

  friend void PrintTo(const Change& value, std::ostream* out) { *out << value.name; }
};

class Safetensors : public testing::TestWithParam<Change> {};

TEST_P(Safetensors, AreRefused) {
  const TinyModel tiny(true);
  Metadata metadata = tiny.metadata();
  Tensors tensors = tiny.tensors("F32");
  GetParam().apply(metadata, tensors);
  const std::string bytes = TinyModel::assemble(metadata, tensors);
  const auto model = LanguageModel::parse(bytes);
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, GetParam().code) << model.error().describe();
  EXPECT_EQ(model.error().field, GetParam().field) << model.error().describe();
  ASSERT_TRUE(model.error().offset);
  EXPECT_GE(*model.error().offset, 8U);
  EXPECT_LT(*model.error().offset, bytes.size());
}

Change of_metadata(const char* name, std::string key, std::string value) {
  return {name, [key, value](Metadata& m, Tensors&) { m[key] = value; }, ErrorCode::kInvalidInput,
          "__metadata__." + key};
}

Change of_query(const char* name, std::function<void(TinyModel::Tensor&)> apply, ErrorCode code,
                const std::string& member) {
  return {name, [apply](Metadata&, Tensors& t) { apply(t.at(kQuery)); }, code,
          // The readable form of a path has no escape for the dots of a tensor's name.
          std::string(kQuery) + member};
}

std::vector<Change> changes() {
  return {of_metadata("NoHidden", "hidden_size", "0"),
          of_metadata("NegativeHidden", "hidden_size", "-12"),
          of_metadata("HiddenWithSpace", "hidden_size", "12 "),
          of_metadata("HugeHidden", "hidden_size", "99999999999999999999"),
          of_metadata("EmptyVocabulary", "vocab_size", ""),
          of_metadata("OddHeads", "num_attention_heads", "4"),
          of_metadata("UnevenGroups", "num_key_value_heads", "2"),
          of_metadata("TooManyLayers", "num_hidden_layers", "1025"),
          of_metadata("HugeContext", "max_position_embeddings", "131073"),
          of_metadata("BeginOutside", "bos_token_id", "11"),
          of_metadata("EndOutside", "eos_token_id", "11"),
          of_metadata("ThetaNaN", "rope_theta", "nan"),
          of_metadata("NoTheta", "rope_theta", "0"),
          of_metadata("InfiniteEpsilon", "rms_norm_eps", "inf"),
          of_metadata("TiedMaybe", "tie_word_embeddings", "yes"),
          Change{"OtherArchitecture", [](Metadata& m, Tensors&) { m["architecture"] = "gpt2"; },
                 ErrorCode::kUnsupported, "__metadata__.architecture"},
          Change{"NoArchitecture", [](Metadata& m, Tensors&) { m.erase("architecture"); },
                 ErrorCode::kInvalidInput, "__metadata__.architecture"},
          Change{"Missing", [](Metadata&, Tensors& t) { t.erase(kQuery); },
                 ErrorCode::kInvalidInput, kQuery},
          Change{"Untied", [](Metadata& m, Tensors&) { m["tie_word_embeddings"] = "false"; },
                 ErrorCode::kInvalidInput, "lm_head.weight"},
          Change{"Bias",
                 [](Metadata&, Tensors& t) {
                   t["q.bias"] = {"F32", {1}, "abcd"};
                 },
                 ErrorCode::kInvalidInput, "q.bias"},
          Change{"Empty",
                 [](Metadata&, Tensors& t) {
                   t[""] = {"F32", {0}, ""};
                 },
                 ErrorCode::kInvalidInput, ""},
          of_query(
              "Bfloat16", [](auto& t) { t.dtype = "BF16"; }, ErrorCode::kUnsupported, ".dtype"),
          of_query(
              "HalfOfTheBytes", [](auto& t) { t.dtype = "F16"; }, ErrorCode::kInvalidInput,
              ".data_offsets"),
          of_query(
              "Transposed",
              [](auto& t) {
                t.shape = {6, 24};
              },
              ErrorCode::kInvalidInput, ".shape"),
          of_query(
              "Flat", [](auto& t) { t.shape = {144}; }, ErrorCode::kInvalidInput, ".shape"),
          of_query(
              "Wrapping",
              [](auto& t) {
                t.shape = {std::size_t{1} << 63, 2};
              },
              ErrorCode::kInvalidInput, ".shape"),
          of_query(
              "Short", [](auto& t) { t.data.resize(t.data.size() - 4); }, ErrorCode::kInvalidInput,
              ".data_offsets"),
          of_query(
              "NaN", [](auto& t) { t.data.replace(8, 4, "\xff\xff\xff\x7f"); },
              ErrorCode::kInvalidInput, ""),
          of_query(
              "Infinite", [](auto& t) { t.data.replace(8, 4, std::string("\0\0\x80\xff", 4)); },
              ErrorCode::kInvalidInput, "")};
}

INSTANTIATE_TEST_SUITE_P(Changed, Safetensors, testing::ValuesIn(changes()),
                         [](const auto& change) { return change.param.name; });

// ---- safetensors, changed in their text

// The file with the first `from` of its header replaced; its length is corrected.
std::string with_header(const std::string& from, const std::string& to) {
  std::string bytes = TinyModel(true).safetensors("F32");
  const std::size_t at = bytes.find(from);
  if (at == bytes.npos) throw std::invalid_argument(from);
  bytes.replace(at, from.size(), to);
  std::uint64_t length = 0;
  for (std::size_t i = 8; i-- > 0;) length = length << 8 | static_cast<unsigned char>(bytes[i]);
  length = length - from.size() + to.size();
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(length >> 8 * i & 0xff);
  return bytes;
}

TEST(SafetensorsHeader, PlacesTensorsWithoutGapOrOverlap) {
  // The embedding and what stands after it: [0, 528), [528, 576).
  ASSERT_TRUE(LanguageModel::parse(with_header("[0,528]", "[0, 528]")));
  for (const auto& [from, to] :
       {std::pair{"[528,576]", "[480,528]"}, std::pair{"[528,576]", "[529,577]"},
        std::pair{"[0,528]", "[1,529]"}, std::pair{"[0,528]", "[18446744073709551615,527]"},
        std::pair{"[0,528]", "[528,0]"}, std::pair{"[0,528]", "[0]"},
        std::pair{"[0,528]", "[0,528,528]"}, std::pair{"[0,528]", "[0,528.0]"},
        std::pair{"[0,528]", "[-1,527]"}, std::pair{"[0,528]", "{\"0\":0,\"1\":528}"},
        std::pair{"[0,528]", "[9999999,9999999528]"}}) {
    const auto model = LanguageModel::parse(with_header(from, to));
    ASSERT_FALSE(model) << to;
    EXPECT_EQ(model.error().code, ErrorCode::kInvalidInput) << to;
    EXPECT_NE(model.error().field.find("data_offsets"), std::string::npos)
        << to << ": " << model.error().describe();
  }
}

TEST(SafetensorsHeader, IsStrictJson) {
  for (const auto& [from, to] :
       {std::pair{"{\"__metadata__\"", "[{\"__metadata__\""},
        std::pair{"\"hidden_size\":\"12\"", "\"hidden_size\":12"},
        std::pair{"\"hidden_size\":\"12\"", "\"hidden_size\":\"12\",\"hidden_size\":\"12\""},
        std::pair{"\"dtype\":\"F32\"", "\"dtype\":\"F32\",\"strides\":[1]"},
        std::pair{"\"dtype\":\"F32\"", "\"dtype\":4"}}) {
    const auto model = LanguageModel::parse(with_header(from, to));
    ASSERT_FALSE(model) << to;
    EXPECT_EQ(model.error().code, ErrorCode::kInvalidInput) << to;
    EXPECT_TRUE(model.error().offset) << to;
  }
  for (const char* text : {"", "1", "[]", "{}", "\"x\"", "{\"__metadata__\":[]}"}) {
    std::string bytes(8, '\0');
    bytes[0] = static_cast<char>(std::string_view(text).size());
    EXPECT_FALSE(LanguageModel::parse(bytes + text)) << text;
  }
}

TEST(SafetensorsHeader, OffsetsCountFromTheStartOfTheFile) {
  const std::string bytes = with_header("\"hidden_size\":\"12\"", "\"hidden_size\":\"xx\"");
  const auto model = LanguageModel::parse(bytes);
  ASSERT_FALSE(model);
  EXPECT_EQ(*model.error().offset, bytes.find("\"hidden_size\"") + 14);

  const std::string unknown = with_header("{\"__metadata__\"", "{\"a/b~\":7,\"__metadata__\"");
  EXPECT_EQ(*LanguageModel::parse(unknown).error().offset, unknown.find(":7") + 1);

  Tensors tensors = TinyModel(true).tensors("F32");
  tensors.at("model.norm.weight").data.replace(40, 4, "\xff\xff\xff\x7f");
  const std::string nan = TinyModel::assemble(TinyModel(true).metadata(), tensors);
  EXPECT_EQ(*LanguageModel::parse(nan).error().offset, nan.find("\xff\xff\xff\x7f"));
}

// ---- llama2.c

std::string with_size(std::size_t index, std::uint32_t value) {
  std::string bytes = TinyModel(true).llama2c();
  for (std::size_t i = 0; i < 4; ++i)
    bytes[4 * index + i] = static_cast<char>(value >> 8 * i & 0xff);
  return bytes;
}

TEST(Llama2c, SizesAreRefused) {
  const struct {
    std::size_t index;
    std::uint32_t value;
    const char* field;
    std::uint64_t offset;
  } cases[] = {
      {0, 0, "hidden_size", 0},
      {0, 0xffffffff, "hidden_size", 0},
      {1, 0x7fffffff, "intermediate_size", 4},
      {2, 1025, "num_hidden_layers", 8},
      {2, 3, "model.layers.0.mlp.down_proj.weight", 0},
      {3, 5, "num_attention_heads", 0},
      {4, 2, "num_key_value_heads", 0},
      {5, 0x80000000, "vocab_size", 20},
      {5, 2, "vocab_size", 0},
      {5, static_cast<std::uint32_t>(-11), "lm_head.weight", 0},
      {6, 0, "max_position_embeddings", 24},
      {6, 131072, "freq_cis_real", 0},
      {6, 8, "", 0},
  };
  for (const auto& [index, value, field, offset] : cases) {
    const auto model = LanguageModel::parse(with_size(index, value));
    ASSERT_FALSE(model) << field;
    EXPECT_EQ(model.error().code, ErrorCode::kInvalidInput) << field;
    EXPECT_EQ(model.error().field, field) << model.error().describe();
    ASSERT_TRUE(model.error().offset) << field;
    if (offset != 0) {
      EXPECT_EQ(*model.error().offset, offset) << field;
    }
  }
}

TEST(Llama2c, LaterVersionsAreUnsupported) {
  const auto model = LanguageModel::parse(with_size(0, 0x616b3432));
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, ErrorCode::kUnsupported);
}

TEST(Llama2c, NaNIsRefused) {
  std::string bytes = TinyModel(true).llama2c();
  bytes.replace(28 + 4 * 11 * 12 + 8, 4, "\xff\xff\xff\x7f");
  const auto model = LanguageModel::parse(bytes);
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().field, "model.layers.0.input_layernorm.weight");
  EXPECT_EQ(model.error().offset, 28U + 4 * 11 * 12 + 8);
}

// ---- both

std::vector<std::string> good_files() {
  return {TinyModel(true).safetensors("F32"), TinyModel(false).safetensors("F16"),
          TinyModel(true).llama2c(), TinyModel(false).llama2c()};
}

TEST(ModelFile, TruncatedOrContinuedIsRefused) {
  for (const std::string& bytes : good_files()) {
    ASSERT_TRUE(LanguageModel::parse(bytes));
    for (std::size_t part = 0; part < 200; ++part) {
      // A copy of exact size, so that the address sanitizer sees a read past it.
      const std::vector<char> cut(
          bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(bytes.size() * part / 200));
      const auto model = LanguageModel::parse({cut.data(), cut.size()});
      ASSERT_FALSE(model) << part;
      EXPECT_EQ(model.error().code, ErrorCode::kInvalidInput) << part;
      EXPECT_TRUE(model.error().offset) << part;
    }
    EXPECT_FALSE(LanguageModel::parse(bytes + '\0'));
    EXPECT_FALSE(LanguageModel::parse(bytes + bytes));
  }
}

// Changes bytes of the header; what still loads must still compute.
TEST(ModelFile, FlippedHeadersFailOrLoad) {
  std::mt19937 random(20240229);
  int loaded = 0;
  for (const std::string& good : good_files()) {
    const bool is_llama2c = good[4] != 0;
    const std::size_t header = is_llama2c ? 28 : good.find("}}") + 2;
    for (int round = 0; round < 500; ++round) {
      std::string bytes = good;
      for (auto flips = 1 + random() % 3; flips > 0; --flips) {
        char& byte = bytes[random() % header];
        byte = static_cast<char>(random() % 2 == 0 ? byte ^ 1 << random() % 8
                                                   : static_cast<int>(random() % 256));
      }
      const auto model = LanguageModel::parse(bytes);
      if (!model) {
        EXPECT_FALSE(model.error().message.empty());
        continue;
      }
      ++loaded;
      Generation generation(*model);
      ASSERT_TRUE(generation.next(0));
      ASSERT_TRUE(generation.next(model->shape().end_token));
    }
  }
  EXPECT_GT(loaded, 0);
}

TEST(ModelFile, HugeWeightsGiveGarbageButNoCrash) {
  Tensors tensors = TinyModel(true).tensors("F32");
  for (auto& [name, tensor] : tensors)
    for (std::size_t i = 0; i + 4 <= tensor.data.size(); i += 4)
      tensor.data.replace(i, 4, i % 8 == 0 ? "\xff\xff\x7f\x7f" : "\xff\xff\x7f\xff");
  const auto model = LanguageModel::parse(TinyModel::assemble(TinyModel(true).metadata(), tensors));
  ASSERT_TRUE(model) << model.error().describe();
  Generation generation(*model);
  for (TokenId token = 0; token < 4; ++token) EXPECT_TRUE(generation.next(token));
}

TEST(ModelFile, ErrorsNameTheFile) {
  const std::string path = testing::TempDir() + "countermark_model_file_test.safetensors";
  std::ofstream(path, std::ios::binary) << "too short";
  const auto model = LanguageModel::load(path);
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().file, path);
  std::filesystem::remove(path);
  const auto absent = LanguageModel::load(path);
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().file, path);
}

}  // namespace
}  // namespace countermark::corpora
