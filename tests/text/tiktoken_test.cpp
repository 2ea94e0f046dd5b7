// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/tiktoken.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "verifier/text/tokenizer.h"

namespace countermark::text {
namespace {

using Ids = std::vector<TokenId>;

std::string base64(const std::string& bytes) {
  const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    unsigned bits = 0;
    for (std::size_t j = 0; j < 3; ++j)
      bits = bits << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    for (std::size_t j = 0; j < 4; ++j)
      text += i + j > bytes.size() ? '=' : alphabet[bits >> (18 - 6 * j) & 63];
  }
  return text;
}

std::string line(const std::string& token, unsigned rank) {
  return base64(token) + " " + std::to_string(rank) + "\n";
}

// Ids of bytes are the bytes.
std::string byte_lines() {
  std::string file;
  for (unsigned b = 0; b < 256; ++b) file += line(std::string(1, static_cast<char>(b)), b);
  return file;
}

std::unique_ptr<const Tokenizer> made(const std::string& file, const char* name = "llama3") {
  auto tokenizer = parse_tokenizer(file, name);
  EXPECT_TRUE(tokenizer) << tokenizer.error().describe();
  return tokenizer ? std::move(*tokenizer) : nullptr;
}

TEST(Tiktoken, MergesByTheRankOfTheUnion) {
  const auto tokenizer =
      made(byte_lines() + line("bc", 256) + line("ab", 257) + line("abc", 259) + line("xyz", 260));
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->vocab_size(), 261U);
  EXPECT_EQ(*tokenizer->encode("abd"), (Ids{257, 'd'}));
  EXPECT_EQ(*tokenizer->encode("abcd"), (Ids{259, 'd'}));
  EXPECT_EQ(*tokenizer->encode("abbc"), (Ids{257, 256}));
  // A whole piece is its token, even if no merges lead there.
  EXPECT_EQ(*tokenizer->encode("xyz"), (Ids{260}));
  EXPECT_EQ(*tokenizer->encode("wxyz"), (Ids{'w', 'x', 'y', 'z'}));
  EXPECT_EQ(*tokenizer->decode(Ids{259, 0xc3, 0xa9}), "abc\u00e9");
  EXPECT_EQ(tokenizer->decode(Ids{258}).error().code, ErrorCode::kMismatch);
  EXPECT_EQ(*tokenizer->encode("a\xff").error().offset, 1U);
}

TEST(Tiktoken, TheNameSaysHowTextIsCut) {
  const std::string file = byte_lines() + line("12", 256);
  EXPECT_EQ(*made(file, "llama3")->encode("1212"), (Ids{256, '1', '2'}));
  EXPECT_EQ(*made(file, "gpt2")->encode("1212"), (Ids{256, 256}));
  EXPECT_EQ(*made(file, "qwen")->encode("12"), (Ids{'1', '2'}));
  for (const char* name : {"", "tokenizer", "llama"}) {
    const auto tokenizer = parse_tokenizer(file, name);
    ASSERT_FALSE(tokenizer);
    EXPECT_EQ(tokenizer.error().code, ErrorCode::kUnsupported);
    EXPECT_EQ(tokenizer.error().field, "tokenizer.name");
    EXPECT_NE(tokenizer.error().message.find("'" + std::string(name) + "'"), std::string::npos);
    EXPECT_NE(tokenizer.error().message.find("cl100k_base"), std::string::npos);
  }
}

TEST(Tiktoken, AcceptsCarriageReturns) {
  std::string file;
  for (const char c : byte_lines()) file += c == '\n' ? "\r\n" : std::string(1, c);
  EXPECT_EQ(*made(file)->encode("a"), (Ids{'a'}));
}

TEST(Tiktoken, TruncationIsRefused) {
  const std::string whole = byte_lines();
  for (std::size_t size = 1; size < whole.size(); ++size) {
    const auto tokenizer = parse_tokenizer(whole.substr(0, size), "llama3");
    if (tokenizer) {  // without bytes that stand in no UTF-8
      ASSERT_TRUE(whole[size - 1] == '\n' && (*tokenizer)->vocab_size() >= 245U) << size;
    } else if (whole[size - 1] != '\n') {
      ASSERT_EQ(tokenizer.error().code, ErrorCode::kInvalidInput) << size;
      ASSERT_LT(*tokenizer.error().offset, size);
    } else {
      ASSERT_EQ(tokenizer.error().code, ErrorCode::kUnsupported) << size;
    }
  }
}

TEST(Tiktoken, RefusesWithTheOffset) {
  struct Bad {
    std::string line;
    ErrorCode code;
    std::size_t at;
  };
  const std::string good = byte_lines();
  const Bad cases[] = {{"YWI=\n", ErrorCode::kInvalidInput, 0},
                       {"YWI 300\n", ErrorCode::kInvalidInput, 0},
                       {"YW=I 300\n", ErrorCode::kInvalidInput, 0},
                       {"YWJ= 300\n", ErrorCode::kInvalidInput, 0},  // a bit too many
                       {"Y*I= 300\n", ErrorCode::kInvalidInput, 0},
                       {" 300\n", ErrorCode::kInvalidInput, 0},
                       {"\n", ErrorCode::kInvalidInput, 0},
                       {"YWI= x\n", ErrorCode::kInvalidInput, 5},
                       {"YWI= -1\n", ErrorCode::kInvalidInput, 5},
                       {"YWI= 300 1\n", ErrorCode::kInvalidInput, 5},
                       {"YWI= 16777216\n", ErrorCode::kInvalidInput, 5},
                       {"YWI= 99999999999\n", ErrorCode::kInvalidInput, 5},
                       {"YWI= 255\n", ErrorCode::kInvalidInput, 0},
                       {"YQ== 300\n", ErrorCode::kInvalidInput, 0},
                       {line(std::string(1025, 'a'), 300), ErrorCode::kUnsupported, 0}};
  for (const Bad& bad : cases) {
    const auto tokenizer = parse_tokenizer(good + bad.line + line("zz", 400), "llama3");
    ASSERT_FALSE(tokenizer) << bad.line;
    EXPECT_EQ(tokenizer.error().code, bad.code) << bad.line;
    EXPECT_EQ(tokenizer.error().offset.value_or(0), good.size() + bad.at) << bad.line;
  }
  EXPECT_TRUE(made(good + line(std::string(1024, 'a'), 300)));
}

}  // namespace
}  // namespace countermark::text
