// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/sentencepiece_tokenizer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "tests/text/test_data.h"
#include "verifier/text/sentencepiece_check.h"

namespace countermark::text {
namespace {

using nlohmann::json;
using namespace std::string_literals;

constexpr const char* kLlama = "tokenizers/llama2.tokenizer.model";

std::string model_file(const std::string& name) {
  return test_file("vectors/sentencepiece-" + name + ".model");
}

std::unique_ptr<const Tokenizer> made(std::string_view model) {
  auto tokenizer = parse_tokenizer(model);
  EXPECT_TRUE(tokenizer) << tokenizer.error().describe();
  return tokenizer ? std::move(*tokenizer) : nullptr;
}

TEST(SentencePiece, AgreesWithUpstream) {
  const json vectors = json::parse(test_file("vectors/sentencepiece-cases.json"));
  ASSERT_GE(vectors["texts"].size(), 200U);
  for (const auto& [name, results] : vectors["models"].items()) {
    const auto tokenizer = made(model_file(name));
    ASSERT_TRUE(tokenizer);
    for (std::size_t i = 0; i < vectors["texts"].size(); ++i) {
      const auto ids = tokenizer->encode(vectors["texts"][i].get<std::string>());
      ASSERT_TRUE(ids);
      EXPECT_EQ(*ids, results["ids"][i].get<std::vector<TokenId>>())
          << name << " " << vectors["texts"][i];
      EXPECT_EQ(*tokenizer->decode(*ids), results["decoded"][i].get<std::string>());
    }
  }
}

TEST(SentencePiece, ControlSymbolsInTextAreOrdinary) {
  for (const char* name : {"unigram", "bpe"}) {
    const auto tokenizer = made(model_file(name));
    for (const char* text : {"<s>", "</s>", "a</s>b"}) {
      const auto ids = tokenizer->encode(text);
      ASSERT_TRUE(ids);
      for (const TokenId id : *ids) EXPECT_TRUE(id != 1 && id != 2) << text;
    }
    EXPECT_EQ(*tokenizer->decode(std::vector<TokenId>{1, 2}), "");
  }
}

TEST(SentencePiece, DecodesPartsOfCharactersAsBytes) {
  const auto tokenizer = made(model_file("bpe"));
  const std::string face = "\U0001f600";
  const auto ids = *tokenizer->encode("a" + face);
  ASSERT_GE(ids.size(), 5U);  // a character the model does not know: four bytes
  EXPECT_EQ(*tokenizer->decode(ids), "a" + face);
  for (std::size_t cut = 1; cut <= 3; ++cut)
    EXPECT_EQ(*tokenizer->decode(TokenSpan(ids).first(ids.size() - cut)),
              "a" + face.substr(0, 4 - cut));
  EXPECT_EQ(*tokenizer->decode(TokenSpan(ids).last(2)), face.substr(2));
  EXPECT_EQ(*tokenizer->decode({}), "");
  // A replacement character that the text does contain stays one.
  EXPECT_EQ(*tokenizer->decode(*tokenizer->encode("\ufffd")), "\ufffd");
}

TEST(SentencePiece, RefusesIdsOutsideTheVocabulary) {
  const auto tokenizer = made(model_file("unigram"));
  for (const TokenId id : {static_cast<TokenId>(tokenizer->vocab_size()), 0x80000000U, ~0U}) {
    const auto text = tokenizer->decode(std::vector<TokenId>{4, id});
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().code, ErrorCode::kMismatch);
    EXPECT_NE(text.error().message.find("token 1 has the id"), std::string::npos);
  }
}

TEST(SentencePiece, RefusesInvalidUtf8) {
  const auto ids = made(model_file("bpe"))->encode("ab\xc3");
  ASSERT_FALSE(ids);
  EXPECT_EQ(ids.error().code, ErrorCode::kInvalidInput);
  EXPECT_EQ(*ids.error().offset, 2U);
}

TEST(SentencePiece, LongRunsTakeNoQuadraticTime) {
  for (const char* name : {"unigram", "bpe"}) {
    const auto tokenizer = made(model_file(name));
    EXPECT_TRUE(tokenizer->encode(std::string(1'000'000, 'e')));
    EXPECT_TRUE(tokenizer->encode(std::string(1'000'000, ' ')));
  }
}

// Damages `model` in `count` ways. Whatever still loads must encode without a crash.
void expect_no_crash(const std::string& model, int count) {
  std::mt19937 draw(1);
  int refused = 0;
  testing::internal::CaptureStderr();
  for (int i = 0; i < count; ++i) {
    std::string damaged = model;
    if (i % 4 == 0) {
      damaged.resize(draw() % damaged.size());
    } else {
      for (unsigned flips = 1U << (draw() % 6); flips > 0; --flips) {
        char& byte = damaged[draw() % damaged.size()];
        byte = static_cast<char>(byte ^ (1 << (draw() % 8)));
      }
    }
    const auto tokenizer = parse_tokenizer(damaged);
    if (!tokenizer) {
      EXPECT_EQ(tokenizer.error().code, ErrorCode::kInvalidInput);
      ++refused;
    } else {
      const auto ids =
          (*tokenizer)
              ->encode("The mill\u00a0on\u3000the e\u0301 ABCD <sep> 1826 \u6c34 \U0001f600");
      if (ids) {
        EXPECT_TRUE((*tokenizer)->decode(*ids));
      }
    }
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_GT(refused, count / 8);
}

TEST(SentencePiece, DamagedModelsDoNotCrash) {
  expect_no_crash(model_file("unigram"), 2000);
  expect_no_crash(model_file("bpe"), 2000);
}

TEST(SentencePiece, DamagedLlamaModelsDoNotCrash) {
  const std::string path = shared_data(kLlama);
  if (path.empty()) GTEST_SKIP() << "no Llama 2 model here";
  expect_no_crash(*io::read_file(path), 300);
}

TEST(SentencePiece, EveryTruncationIsRefusedOrLoads) {
  const std::string model = model_file("unigram");
  for (std::size_t size = 1; size < model.size(); ++size) {
    const auto tokenizer = parse_tokenizer(std::string_view(model).substr(0, size));
    if (!tokenizer) {
      ASSERT_EQ(tokenizer.error().code, ErrorCode::kInvalidInput) << size;
    }
  }
}

// Messages in the wire format of protocol buffers, made by hand.
std::string bytes_field(unsigned number, const std::string& bytes) {
  std::string out{static_cast<char>(number << 3 | 2)};
  for (std::size_t size = bytes.size();; size >>= 7) {
    out += static_cast<char>(size < 0x80 ? size : (size & 0x7f) | 0x80);
    if (size < 0x80) return out + bytes;
  }
}

std::string piece(const std::string& text, char type) {
  return bytes_field(1, bytes_field(1, text) + "\x18"s + type);
}

std::string normalizer(const std::string& charsmap) {
  return bytes_field(3, bytes_field(2, charsmap));
}

TEST(SentencePiece, ChecksWhatTheLibraryDoesNot) {
  const std::string unknown = piece("<unk>", 2);
  EXPECT_TRUE(check_sentencepiece_model(unknown + piece("a", 1)));
  // 64 nested user-defined symbols are what the library has room for.
  std::string nested = unknown;
  for (std::size_t n = 1; n <= 64; ++n) nested += piece(std::string(n, 'a'), 4);
  EXPECT_TRUE(check_sentencepiece_model(nested));
  EXPECT_TRUE((*parse_tokenizer(nested))->encode(std::string(100, 'a')));
  nested += piece(std::string(65, 'a'), 4);
  EXPECT_FALSE(check_sentencepiece_model(nested));
  // Symbols that only share a beginning are not nested.
  std::string many = unknown;
  for (int n = 0; n < 100; ++n) many += piece("a" + std::to_string(1000 + n), 4);
  EXPECT_TRUE(check_sentencepiece_model(many));

  for (const std::string& bad : {piece("", 1), piece("a\0b"s, 1), piece("a", 7), piece("a", 0),
                                 bytes_field(1, bytes_field(1, "a") + "\x15\x00\x00\xc0\x7f"s),
                                 "\x0b\x0c"s, "\x0a\xff"s, "\x02\x00"s, std::string(11, '\xff')}) {
    const auto status = check_sentencepiece_model(unknown + bad);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::kInvalidInput);
    EXPECT_EQ(*status.error().offset, unknown.size());
  }

  // One block of 256 units without any rule, and its replacements.
  const std::string trie(1024, '\xff');
  const std::string size = "\x00\x04\x00\x00"s;
  std::string sound = size + std::string(4, '\0') + trie.substr(4) + "x\0"s;
  EXPECT_TRUE(check_sentencepiece_model(unknown + normalizer(sound)));
  std::string unended = sound;
  unended.back() = 'x';
  std::string beyond = sound;
  beyond[6] = '\x7f';  // the root's offset points past the end
  std::string cyclic = sound;
  cyclic.replace(4 + 8 * 4, 4, "\x08\x21\x00\x00"s);  // unit 8: a rule, and itself once more
  for (const std::string& bad :
       {unended, beyond, cyclic, sound.substr(0, 3), size + trie, "\x00\x00\x00\x00\x00"s,
        "\xff\xff\xff\x7f"s + trie, sound.substr(0, 1028)})
    EXPECT_FALSE(check_sentencepiece_model(unknown + normalizer(bad)));
}

}  // namespace
}  // namespace countermark::text
