// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/gguf.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <ctime>
#include <limits>
#include <random>

#include "tests/text/gguf_file.h"
#include "verifier/text/byte_alphabet.h"
#include "verifier/text/tokenizer.h"
#include "watermark/utf8.h"

namespace countermark::text {
namespace {

using Ids = std::vector<TokenId>;

constexpr int kNormal = 1;
constexpr int kUnknown = 2;
constexpr int kControl = 3;
constexpr int kUserDefined = 4;
constexpr int kByte = 6;

// A vocabulary under construction.
struct Vocabulary {
  std::vector<std::string> texts{};
  std::vector<int> types{};
  std::vector<float> scores{};

  TokenId add(const std::string& text, int type = kNormal, float score = 0) {
    texts.push_back(text);
    types.push_back(type);
    scores.push_back(score);
    return static_cast<TokenId>(texts.size() - 1);
  }

  GgufFile file(const std::string& model) const {
    GgufFile file;
    file.add_string("general.architecture", "test").add_string("tokenizer.ggml.model", model);
    file.add_strings("tokenizer.ggml.tokens", texts);
    return file.add_integers("tokenizer.ggml.token_type", types);
  }
};

std::unique_ptr<const Tokenizer> made(const GgufFile& file, std::string_view name = {}) {
  auto tokenizer = parse_tokenizer(file.bytes(), name);
  EXPECT_TRUE(tokenizer) << tokenizer.error().describe();
  return tokenizer ? std::move(*tokenizer) : nullptr;
}

Error refused(const std::string& bytes, std::string_view name = {}) {
  const auto tokenizer = parse_tokenizer(bytes, name);
  EXPECT_FALSE(tokenizer);
  return tokenizer ? Error{} : tokenizer.error();
}

Ids encoded(const Tokenizer& tokenizer, std::string_view text) {
  const auto ids = tokenizer.encode(text);
  EXPECT_TRUE(ids) << ids.error().describe();
  return ids ? *ids : Ids();
}

// "ab" and " ab" merge; ids of bytes are the bytes.
Vocabulary bpe_vocabulary() {
  Vocabulary v;
  for (unsigned b = 0; b < 256; ++b) v.add(spell_byte(static_cast<std::uint8_t>(b)));
  v.add("ab");
  v.add("\u0120ab");
  return v;
}

GgufFile bpe_file(const Vocabulary& v) {
  return v.file("gpt2").add_strings("tokenizer.ggml.merges", {"a b", "\u0120 ab"});
}

TEST(GgufBpe, MergesWithinPieces) {
  const auto tokenizer = made(bpe_file(bpe_vocabulary()).add_string("tokenizer.ggml.pre", "gpt-2"));
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->vocab_size(), 258U);
  EXPECT_EQ(encoded(*tokenizer, "ab ab  ab"), (Ids{256, 257, ' ', 257}));
  EXPECT_EQ(encoded(*tokenizer, ""), Ids());
  EXPECT_EQ(*tokenizer->decode(encoded(*tokenizer, "ab \u00e9\n")), "ab \u00e9\n");
  const auto ids = tokenizer->encode("ab\xff");
  ASSERT_FALSE(ids);
  EXPECT_EQ(*ids.error().offset, 2U);
  EXPECT_EQ(tokenizer->decode(Ids{258}).error().code, ErrorCode::kMismatch);
}

TEST(GgufBpe, SpecialTokensInTextAreOrdinaryAndUserDefinedOnesAreNot) {
  Vocabulary v = bpe_vocabulary();
  v.add("<c>", kControl);
  const TokenId user = v.add("<u>", kUserDefined);
  const TokenId longer = v.add("<u>b", kUserDefined);
  v.add("[PAD" + std::to_string(v.texts.size()) + "]", kUserDefined);
  const auto tokenizer = made(bpe_file(v).add_string("tokenizer.ggml.pre", "gpt-2"));
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(encoded(*tokenizer, "<c>"), (Ids{'<', 'c', '>'}));
  EXPECT_EQ(encoded(*tokenizer, "ab<u>ab<u>b"), (Ids{256, user, 256, longer}));
  EXPECT_EQ(encoded(*tokenizer, "[PAD261]").size(), 8U);
  EXPECT_EQ(*tokenizer->decode(Ids{256, user, 258}), "ab<u><c>");
}

TEST(GgufBpe, TheNameSaysWhatTheFileDoesNot) {
  const GgufFile silent = bpe_file(bpe_vocabulary());
  GgufFile vague = silent;
  vague.add_string("tokenizer.ggml.pre", "default");
  for (const GgufFile& file : {silent, vague}) {
    EXPECT_EQ(encoded(*made(file, "gpt-neox"), "a12"), (Ids{'a', '1', '2'}));
    const Error error = refused(file.bytes(), "model");
    EXPECT_EQ(error.code, ErrorCode::kUnsupported);
    EXPECT_EQ(error.field, "tokenizer.ggml.pre");
    EXPECT_NE(error.message.find("'model' names no pre-tokenizer; known: gpt-2,"),
              std::string::npos)
        << error.message;
  }
  GgufFile unknown = silent;
  unknown.add_string("tokenizer.ggml.pre", "gpt-9");
  EXPECT_NE(refused(unknown.bytes(), "gpt-2").message.find("'gpt-9'"), std::string::npos);
}

TEST(GgufBpe, DropsBytesWithoutATokenBeforeItMerges) {
  Vocabulary v = bpe_vocabulary();
  v.texts[3] = "unused";
  const auto tokenizer = made(bpe_file(v).add_string("tokenizer.ggml.pre", "gpt-2"));
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(encoded(*tokenizer, "a\x03"), (Ids{'a'}));
  v.texts['z'] = "missing";
  EXPECT_NE(refused(bpe_file(v).add_string("tokenizer.ggml.pre", "gpt-2").bytes())
                .message.find("the byte 122"),
            std::string::npos);
}

// <unk>, <s>, </s>, 256 bytes, then what the tests add.
Vocabulary spm_vocabulary() {
  Vocabulary v;
  v.add("<unk>", kUnknown);
  v.add("<s>", kControl);
  v.add("</s>", kControl);
  for (int b = 0; b < 256; ++b) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", static_cast<unsigned>(b));
    v.add(text, kByte);
  }
  return v;
}

constexpr TokenId byte_id(unsigned char byte) { return 3U + byte; }

GgufFile spm_file(const Vocabulary& v) {
  return v.file("llama").add_floats("tokenizer.ggml.scores", v.scores);
}

TEST(GgufSpm, JoinsTheHighestScoreFirstAndTheLeftmostOfEquals) {
  Vocabulary v = spm_vocabulary();
  const TokenId space = v.add("\u2581", kNormal, -9);
  const TokenId a = v.add("a", kNormal, -9);
  const TokenId b = v.add("b", kNormal, -9);
  const TokenId ab = v.add("ab", kNormal, -1);
  const TokenId ba = v.add("ba", kNormal, -2);
  const TokenId aa = v.add("aa", kNormal, -2);
  const auto tokenizer = made(spm_file(v));
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(encoded(*tokenizer, "bab"), (Ids{space, b, ab}));
  EXPECT_EQ(encoded(*tokenizer, "aaa"), (Ids{space, aa, a}));
  EXPECT_EQ(encoded(*tokenizer, "baa"), (Ids{space, ba, a}));
  EXPECT_EQ(encoded(*tokenizer, " a"), (Ids{space, space, a}));
  EXPECT_EQ(encoded(*tokenizer, ""), Ids());
  for (const char* text : {"bab", "  aab b", "\u00e9a", "\n"})
    EXPECT_EQ(*tokenizer->decode(encoded(*tokenizer, text)), text);
  const auto bare = made(spm_file(v).add_bool("tokenizer.ggml.add_space_prefix", false));
  EXPECT_EQ(encoded(*bare, "ab a"), (Ids{ab, space, a}));
  EXPECT_EQ(*bare->decode(Ids{space, a}), " a");
}

TEST(GgufSpm, CharactersThatAreNoPieceBecomeBytes) {
  Vocabulary v = spm_vocabulary();
  const TokenId xy = v.add("x\u00e9", kNormal, -1);  // of two characters that are no pieces
  const TokenId xyz = v.add("x\u00e9z", kNormal, -2);
  const auto tokenizer = made(spm_file(v).add_bool("tokenizer.ggml.add_space_prefix", false));
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(encoded(*tokenizer, "x\u00e9zx\u00e9x"), (Ids{xyz, xy, byte_id('x')}));
  EXPECT_EQ(encoded(*tokenizer, "\u00e9"), (Ids{byte_id(0xc3), byte_id(0xa9)}));
  EXPECT_EQ(*tokenizer->decode(Ids{byte_id(0xc3)}), "\xc3");
}

TEST(GgufSpm, SpecialTokensInTextAreOrdinaryAndUserDefinedOnesAreNot) {
  Vocabulary v = spm_vocabulary();
  const TokenId less = v.add("<", kNormal, -9);
  v.add("<s", kNormal, -1);  // would lead to <s>
  const TokenId user = v.add("<u>", kUserDefined);
  const TokenId space = v.add("\u2581", kNormal, -9);
  const auto tokenizer = made(spm_file(v));
  ASSERT_TRUE(tokenizer);
  for (const TokenId id : encoded(*tokenizer, "<s></s><0x0A><unk>")) EXPECT_GT(id, 2U);
  EXPECT_EQ(encoded(*tokenizer, "<0x0A>").size(), 7U);
  EXPECT_EQ(encoded(*tokenizer, "<<u><"), (Ids{space, less, user, space, less}));
  EXPECT_EQ(*tokenizer->decode(Ids{space, less, user, space, less}), "<<u><");
  EXPECT_EQ(*tokenizer->decode(Ids{1, space, less, 2}), "<");
}

GgufFile bert_file() {
  Vocabulary v;
  for (const char* text : {"[PAD]", "[UNK]", "\u2581the", "\u2581mill", "s", "\u2581!", "\u2581th",
                           "e", "\u2581\u6c34"})
    v.add(text, text[0] == '[' ? kControl : kNormal);
  return v.file("bert");
}

TEST(GgufBert, CutsWordsIntoTheLongestPieces) {
  const auto tokenizer = made(bert_file());
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(encoded(*tokenizer, "Th\u00e9 MILLS!"), (Ids{2, 3, 4, 5}));
  EXPECT_EQ(encoded(*tokenizer, "the\u0301e!!"), (Ids{2, 7, 5, 5}));
  EXPECT_EQ(encoded(*tokenizer, "mill\u6c34s the"), (Ids{3, 8, 1, 2}));
  EXPECT_EQ(encoded(*tokenizer, "millx \x01the[PAD]"), (Ids{1, 2, 1, 1, 1}));
  EXPECT_EQ(encoded(*tokenizer, " \n"), Ids());
  EXPECT_EQ(*tokenizer->decode(Ids{2, 3, 4, 5, 1}), "the mills ![UNK]");
}

TEST(Gguf, LongRunsTakeNoQuadraticTime) {
  Vocabulary spm = spm_vocabulary();
  spm.add("\u2581", kNormal, -3);
  spm.add("e", kNormal, -1);
  spm.add("ee", kNormal, -2);
  const std::clock_t start = std::clock();  // of the processor: the machine may be busy
  for (const std::string model : {"gpt-2", "deepseek-llm", "deepseek-coder", "llama-bpe", "falcon",
                                  "gpt-4o", "cl100k_base", "deepseek-v3"}) {
    const auto tokenizer = made(bpe_file(bpe_vocabulary()).add_string("tokenizer.ggml.pre", model));
    for (const std::string end : {"", "\u4e00", "x"})
      for (const char c : {'e', ' ', '\n', '7', '.', 'E'}) {
        const std::string text = std::string(1'000'000, c) + end;
        ASSERT_EQ(*tokenizer->decode(encoded(*tokenizer, text)), text) << model << c << end;
      }
  }
  const std::string text(1'000'000, 'e');
  EXPECT_EQ(*made(spm_file(spm))->decode(encoded(*made(spm_file(spm)), text)), text);
  EXPECT_EQ(encoded(*made(bert_file()), "the" + text).size(), 1U + 1'000'000U);
  EXPECT_LT((std::clock() - start) / CLOCKS_PER_SEC, 120);
}

TEST(Gguf, ReadsBothVersionsAndEveryType) {
  GgufFile file;
  const int sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  for (std::uint32_t type = 0; type < 13; ++type)
    if (sizes[type] != 0) {
      file.add("one." + std::to_string(type), type, little(1, sizes[type]));
      file.add("many." + std::to_string(type), 9,
               little(type, 4) + little(3, 8) +
                   std::string(3U * static_cast<unsigned>(sizes[type]), '\0'));
    }
  file.add_string("text", "x").add_strings("texts", {"", "yz"}).add_floats("floats", {0.5F, -2});
  file.add_integers("integers", {-1, 7});
  for (const std::uint32_t version : {2U, 3U}) {
    const std::string bytes = file.bytes(version) + "tensors";
    const auto parsed = Gguf::parse(bytes);
    ASSERT_TRUE(parsed) << parsed.error().describe();
    EXPECT_EQ(*parsed->string_at("text"), "x");
    EXPECT_EQ(*parsed->strings_at("texts"), (std::vector<std::string_view>{"", "yz"}));
    EXPECT_EQ(*parsed->floats_at("floats"), (std::vector<float>{0.5F, -2}));
    EXPECT_EQ(*parsed->integers_at("integers"), (std::vector<std::int32_t>{-1, 7}));
    EXPECT_TRUE(*parsed->bool_at("one.7"));
    const auto wrong = parsed->floats_at("integers");
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().field, "integers");
    EXPECT_NE(wrong.error().message.find("array of float32"), std::string::npos);
    EXPECT_EQ(parsed->string_at("none").error().message, "missing");
  }
}

TEST(Gguf, EveryTruncationIsRefused) {
  const std::string whole = bert_file().bytes();
  ASSERT_TRUE(parse_tokenizer(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const Error error = refused(whole.substr(0, size));
    ASSERT_EQ(error.code, ErrorCode::kInvalidInput) << size;
    if (size >= 4) {
      ASSERT_TRUE(error.offset && *error.offset <= size) << size;
    }
  }
}

TEST(Gguf, DamageDoesNotCrash) {
  Vocabulary spm = spm_vocabulary();
  spm.add("\u2581a", kNormal, -1);
  std::mt19937 draw(1);
  int refusals = 0;
  for (const std::string& whole :
       {bert_file().bytes(), spm_file(spm).bytes(),
        bpe_file(bpe_vocabulary()).add_string("tokenizer.ggml.pre", "gpt-2").bytes()})
    for (int i = 0; i < 1000; ++i) {
      std::string damaged = whole;
      for (unsigned flips = 1U << (draw() % 5); flips > 0; --flips)
        damaged[4 + draw() % (damaged.size() - 4)] = static_cast<char>(draw());
      const auto tokenizer = parse_tokenizer(damaged);
      if (!tokenizer) {
        EXPECT_TRUE(tokenizer.error().code == ErrorCode::kInvalidInput ||
                    tokenizer.error().code == ErrorCode::kUnsupported);
        ++refusals;
      } else if (const auto ids = (*tokenizer)->encode("The mill ab 1826 \u6c34\u00e9")) {
        EXPECT_TRUE((*tokenizer)->decode(*ids));
      }
    }
  EXPECT_GT(refusals, 500);
}

TEST(Gguf, LengthsBeyondTheFileAllocateNothing) {
  const std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  for (const std::uint64_t count : {most, most / 4 + 1, std::uint64_t{1} << 40}) {
    for (const std::uint32_t type : {0U, 6U, 8U, 12U}) {
      const std::string bytes =
          GgufFile().add("k", 9, little(type, 4) + little(count, 8) + "12345678").bytes();
      EXPECT_EQ(Gguf::parse(bytes).error().code, ErrorCode::kInvalidInput);
    }
    EXPECT_FALSE(Gguf::parse(GgufFile().add("k", 8, little(count, 8) + "x").bytes()));
    EXPECT_FALSE(Gguf::parse("GGUF" + little(3, 4) + little(0, 8) + little(count, 8)));
  }
}

TEST(Gguf, ErrorsCanBePrintedWhateverTheyQuote) {
  const auto file = [](const std::string& model, const std::string& pre, const std::string& more) {
    GgufFile out;
    out.add_string("tokenizer.ggml.model", model).add_string("tokenizer.ggml.pre", pre);
    out.add_bool("tokenizer.ggml." + more, true);
    const Vocabulary v = bpe_vocabulary();
    out.add_strings("tokenizer.ggml.tokens", v.texts);
    return out.add_integers("tokenizer.ggml.token_type", v.types).bytes();
  };
  for (const std::string& bytes :
       {file("gp\x9c", "gpt-2", "add_x_token"), file("gpt2", "gpt\xff-2", "add_x_token"),
        file("gpt2", "gpt-2", "\xc3")}) {
    const Error error = refused(bytes);
    EXPECT_EQ(error.code, ErrorCode::kUnsupported) << error.describe();
    EXPECT_EQ(find_invalid_utf8(error.describe()), kValidUtf8);
    EXPECT_NE(error.describe().find("\xef\xbf\xbd"), std::string::npos);
  }
}

TEST(Gguf, RefusesNamingTheKey) {
  struct Bad {
    std::string bytes;
    ErrorCode code;
    const char* field;
    const char* message;
  };
  const auto bert = [] { return bert_file(); };
  Vocabulary two;
  two.add("a");
  two.add("a");
  Vocabulary nan = spm_vocabulary();
  nan.scores[5] = std::numeric_limits<float>::quiet_NaN();
  Vocabulary twice = spm_vocabulary();
  twice.texts[4] = "<0x00>";
  Vocabulary broken = bpe_vocabulary();
  broken.add("\xff");
  const std::string head = "GGUF" + little(3, 4) + little(0, 8) + little(1, 8) + gguf_string("k");
  const Bad cases[] = {
      {bert().bytes(1), ErrorCode::kUnsupported, "", "GGUF version 1"},
      {bert().bytes(0x03000000), ErrorCode::kUnsupported, "", "big-endian"},
      {head + little(13, 4), ErrorCode::kInvalidInput, "", "not 13"},
      {head + little(9, 4) + little(9, 4) + little(1, 8), ErrorCode::kUnsupported, "",
       "array of arrays"},
      {head + little(7, 4) + "\x02", ErrorCode::kInvalidInput, "", "expected 0 or 1"},
      {bert().add_string("general.architecture", "x").bytes(), ErrorCode::kInvalidInput, "",
       "each key once"},
      {bert().add_string("tokenizer.ggml.precompiled_charsmap", "").bytes(),
       ErrorCode::kUnsupported, "tokenizer.ggml.precompiled_charsmap", "not supported"},
      {GgufFile().bytes(), ErrorCode::kInvalidInput, "tokenizer.ggml.model", "missing"},
      {Vocabulary().file("t5").bytes(), ErrorCode::kUnsupported, "tokenizer.ggml.model", "'t5'"},
      {Vocabulary().file("bert").bytes(), ErrorCode::kUnsupported, "tokenizer.ggml.tokens",
       "[UNK]"},
      {two.file("llama").add_floats("tokenizer.ggml.scores", {0, 0}).bytes(),
       ErrorCode::kInvalidInput, "tokenizer.ggml.tokens", "token 1: expected a spelling"},
      {two.file("llama").add_floats("tokenizer.ggml.scores", {0}).bytes(), ErrorCode::kInvalidInput,
       "tokenizer.ggml.scores", "one for each token"},
      {two.file("llama").bytes(), ErrorCode::kInvalidInput, "tokenizer.ggml.scores", "missing"},
      {spm_file(nan).bytes(), ErrorCode::kInvalidInput, "tokenizer.ggml.scores", "token 5"},
      {spm_file(twice).bytes(), ErrorCode::kInvalidInput, "tokenizer.ggml.tokens", "token 4"},
      {bpe_file(broken).bytes(), ErrorCode::kInvalidInput, "tokenizer.ggml.tokens", "UTF-8"},
      {bpe_vocabulary()
           .file("gpt2")
           .add_string("tokenizer.ggml.pre", "gpt-2")
           .add_strings("tokenizer.ggml.merges", {"a b", "a c"})
           .bytes(),
       ErrorCode::kInvalidInput, "tokenizer.ggml.merges", "merge 1: expected both"},
      {bpe_vocabulary()
           .file("gpt2")
           .add_string("tokenizer.ggml.pre", "gpt-2")
           .add_strings("tokenizer.ggml.merges", {"ab"})
           .bytes(),
       ErrorCode::kInvalidInput, "tokenizer.ggml.merges", "merge 0: expected two"},
      {GgufFile()
           .add_string("tokenizer.ggml.model", "bert")
           .add_strings("tokenizer.ggml.tokens", {"a"})
           .add_integers("tokenizer.ggml.token_type", {7})
           .bytes(),
       ErrorCode::kInvalidInput, "tokenizer.ggml.token_type", "from 1 to 6"}};
  for (const Bad& bad : cases) {
    const Error error = refused(bad.bytes);
    EXPECT_EQ(error.code, bad.code) << error.describe();
    EXPECT_EQ(error.field, bad.field) << error.describe();
    EXPECT_NE(error.message.find(bad.message), std::string::npos) << error.describe();
  }
}

}  // namespace
}  // namespace countermark::text
