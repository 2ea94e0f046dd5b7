// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/tokenizer_json.h"

#include <gtest/gtest.h>

#include <ctime>
#include <functional>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "tests/text/test_data.h"
#include "verifier/text/pretokenizer.h"
#include "verifier/text/tokenizer.h"

namespace countermark::text {
namespace {

using nlohmann::json;
using namespace std::string_literals;

json base_file() { return json::parse(test_file("vectors/bpe-tokenizer.json")); }

std::unique_ptr<const Tokenizer> made(const json& file) {
  auto tokenizer = parse_tokenizer(file.dump());
  EXPECT_TRUE(tokenizer) << tokenizer.error().describe();
  return tokenizer ? std::move(*tokenizer) : nullptr;
}

std::vector<TokenId> encoded(const Tokenizer& tokenizer, std::string_view text) {
  const auto ids = tokenizer.encode(text);
  EXPECT_TRUE(ids) << ids.error().describe();
  return ids ? *ids : std::vector<TokenId>();
}

// The vectors' tokenizer in one of their variants.
json variant_file(const json& variant) {
  json file = base_file();
  file["pre_tokenizer"]["add_prefix_space"] = variant["add_prefix_space"];
  file["model"]["ignore_merges"] = variant["ignore_merges"];
  if (!variant["vocab"].is_null()) {
    file["model"]["vocab"] = variant["vocab"];
    file["added_tokens"][1]["id"] = 601;  // 600 may be one of the variant's own
  }
  return file;
}

TEST(Bpe, AgreesWithUpstream) {
  const json vectors = json::parse(test_file("vectors/bpe-cases.json"));
  ASSERT_GE(vectors["texts"].size(), 200U);
  ASSERT_EQ(vectors["variants"].size(), 4U);
  for (const json& variant : vectors["variants"]) {
    const auto tokenizer = made(variant_file(variant));
    ASSERT_TRUE(tokenizer);
    for (std::size_t i = 0; i < vectors["texts"].size(); ++i) {
      const auto text = vectors["texts"][i].get<std::string>();
      const auto ids = encoded(*tokenizer, text);
      EXPECT_EQ(ids, variant["ids"][i].get<std::vector<TokenId>>()) << vectors["texts"][i];
      const bool prefixed =
          variant["add_prefix_space"] == true && !text.empty() && text.front() != ' ';
      EXPECT_EQ(*tokenizer->decode(ids), prefixed ? " " + text : text);
    }
  }
}

TEST(Bpe, ClassifiesEveryCodePointAsUpstream) {
  const json vectors = json::parse(test_file("vectors/bpe-classes.json"));
  const auto pretokenizer = Pretokenizer::create({gpt2_cut()});
  ASSERT_TRUE(pretokenizer);
  const auto joins = [&](const std::string& text) {
    return Pieces(*pretokenizer, text).next()->size() == text.size();
  };
  std::size_t run = 0;
  const json& classes = vectors["classes"];
  std::size_t differences = 0;
  for (std::uint32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xd800 && c < 0xe000) continue;
    while (run + 1 < classes.size() && classes[run + 1][0].get<std::uint32_t>() <= c) ++run;
    const std::string character =
        c < 0x80 ? std::string{static_cast<char>(c)}
        : c < 0x800
            ? std::string{static_cast<char>(0xc0 | c >> 6), static_cast<char>(0x80 | (c & 0x3f))}
        : c < 0x10000
            ? std::string{static_cast<char>(0xe0 | c >> 12),
                          static_cast<char>(0x80 | (c >> 6 & 0x3f)),
                          static_cast<char>(0x80 | (c & 0x3f))}
            : std::string{
                  static_cast<char>(0xf0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 0x3f)),
                  static_cast<char>(0x80 | (c >> 6 & 0x3f)), static_cast<char>(0x80 | (c & 0x3f))};
    const char kind = joins("a" + character)   ? 'L'
                      : joins("1" + character) ? 'N'
                      : joins("!" + character) ? 'O'
                                               : 'S';
    if (classes[run][1].get<std::string>()[0] != kind && ++differences < 10)
      ADD_FAILURE() << "U+" << std::hex << c << " is " << kind << ", upstream " << classes[run][1];
  }
  EXPECT_EQ(differences, 0U);
}

TEST(Bpe, AcceptsBothFormsOfMerges) {
  json file = base_file();
  for (json& merge : file["model"]["merges"])
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  const auto strings = made(file);
  const auto pairs = made(base_file());
  ASSERT_TRUE(strings && pairs);
  const std::string text = "The mill on the river made paper; don't worry. \u00e9t\u00e9 1826\n";
  EXPECT_EQ(encoded(*strings, text), encoded(*pairs, text));
  EXPECT_LT(encoded(*pairs, text).size(), text.size() / 2);
}

TEST(Bpe, SpecialTokensInTextAreOrdinary) {
  for (const bool ignore_merges : {false, true}) {
    json file = base_file();
    file["model"]["ignore_merges"] = ignore_merges;
    // A special token that is one whole piece of the text, in the vocabulary and outside it.
    file["model"]["vocab"]["PAD"] = 700;
    file["added_tokens"].push_back({{"id", 700}, {"content", "PAD"}, {"special", true}});
    file["added_tokens"].push_back({{"id", 701}, {"content", "EOS"}, {"special", true}});
    const auto tokenizer = made(file);
    ASSERT_TRUE(tokenizer);
    EXPECT_EQ(tokenizer->vocab_size(), 702U);
    for (const char* text : {"<|endoftext|>", "<|pad|>", "a<|endoftext|>b", "PAD", "EOS"}) {
      const auto ids = encoded(*tokenizer, text);
      EXPECT_GT(ids.size(), 1U) << text;
      for (const TokenId id : ids) EXPECT_TRUE(id != 0 && id < 600) << text;
      EXPECT_EQ(*tokenizer->decode(ids), text);
    }
    EXPECT_EQ(*tokenizer->decode(std::vector<TokenId>{0, 600, 701, 700}),
              "<|endoftext|><|pad|>EOSPAD");
  }
}

TEST(Bpe, DecodesPartsOfCharacters) {
  const auto tokenizer = made(base_file());
  const auto ids = encoded(*tokenizer, "\U0001f600");
  ASSERT_GT(ids.size(), 1U);
  const std::string whole = "\U0001f600";
  std::string joined;
  for (const TokenId id : ids) joined += *tokenizer->decode(std::vector<TokenId>{id});
  EXPECT_EQ(joined, whole);
  const auto part = tokenizer->decode(TokenSpan(ids).first(ids.size() - 1));
  EXPECT_TRUE(whole.starts_with(*part) && !part->empty() && part->size() < 4);
  EXPECT_EQ(*tokenizer->decode({}), "");
}

TEST(Bpe, RefusesIdsOutsideTheVocabulary) {
  json file = base_file();
  file["added_tokens"][1]["id"] = 650;  // nothing from 600 to 649
  const auto tokenizer = made(file);
  EXPECT_EQ(tokenizer->vocab_size(), 651U);
  for (const TokenId id : {600U, 649U, 651U, 0xffffffffU}) {
    const auto text = tokenizer->decode(std::vector<TokenId>{1, 2, id});
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().code, ErrorCode::kMismatch);
    EXPECT_EQ(text.error().message,
              "token 2 has the id " + std::to_string(id) + ", which is not in the vocabulary");
  }
}

TEST(Bpe, RefusesInvalidUtf8) {
  const auto tokenizer = made(base_file());
  const auto ids = tokenizer->encode("abc\xe2\x82");
  ASSERT_FALSE(ids);
  EXPECT_EQ(ids.error().code, ErrorCode::kInvalidInput);
  EXPECT_EQ(*ids.error().offset, 3U);
}

TEST(Bpe, LongRunsTakeNoQuadraticTime) {
  const auto tokenizer = made(base_file());
  // Quadratic work on a million bytes would take minutes.
  const std::clock_t start = std::clock();  // of the processor: the machine may be busy
  for (const char c : {'e', ' ', '\n', '7', '.', '\0'}) {
    const std::string text(1'000'000, c);
    EXPECT_EQ(*tokenizer->decode(encoded(*tokenizer, text)), text);
  }
  std::string mixed;
  while (mixed.size() < 1'000'000) mixed += "the";
  EXPECT_EQ(*tokenizer->decode(encoded(*tokenizer, mixed)), mixed);
  EXPECT_LT((std::clock() - start) / CLOCKS_PER_SEC, 60);
}

TEST(Bpe, MayBeSharedByThreads) {
  const auto tokenizer = made(base_file());
  const std::string text = "The maker's mark was seen, \u00e9t\u00e9 comme hiver, in 1826. ";
  const auto expected = encoded(*tokenizer, text);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (std::size_t t = 0; t < wrong.size(); ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) wrong[t] += *tokenizer->encode(text) != expected;
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

json split(const char* regex, const char* behavior = "Isolated", bool invert = false) {
  return {{"type", "Split"},
          {"pattern", {{"Regex", regex}}},
          {"behavior", behavior},
          {"invert", invert}};
}

json byte_level(bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

json sequence(std::initializer_list<json> parts) {
  return {{"type", "Sequence"}, {"pretokenizers", parts}};
}

// The tokens of `text` as they are spelled, by a tokenizer that only knows how to merge digits,
// full stops and the two bytes of U+00BD.
std::vector<std::string> pieces(const json& pre_tokenizer, const std::string& text) {
  json file = base_file();
  file["pre_tokenizer"] = pre_tokenizer;
  json& vocab = file["model"]["vocab"];
  json merges = json::array();
  int next = 1000;
  const auto add = [&](const std::string& left, const std::string& right) {
    if (!vocab.contains(left + right)) vocab[left + right] = next++;
    merges.push_back({left, right});
  };
  add("1", "2");
  add("12", "12");
  add(".", ".");
  add("\u00c2", "\u00bd");
  file["model"]["merges"] = merges;
  const auto tokenizer = made(file);
  std::vector<std::string> spelled;
  if (tokenizer == nullptr) return spelled;
  for (const TokenId id : encoded(*tokenizer, text))
    spelled.push_back(*tokenizer->decode(std::vector<TokenId>{id}));
  return spelled;
}

TEST(Bpe, CutsAsThePreTokenizerSays) {
  using Strings = std::vector<std::string>;
  const json digits = {{"type", "Digits"}, {"individual_digits", false}};
  const json each_digit = {{"type", "Digits"}, {"individual_digits", true}};
  const json punctuation = {{"type", "Punctuation"}, {"behavior", "Contiguous"}};
  const json each_mark = {{"type", "Punctuation"}, {"behavior", "Isolated"}};
  const json triples = split("[0-9][0-9][0-9]");
  EXPECT_EQ(pieces(byte_level(false), "1212"), (Strings{"1212"}));
  EXPECT_EQ(pieces(sequence({each_digit, byte_level(true)}), "1212"),
            (Strings{"1", "2", "1", "2"}));
  EXPECT_EQ(pieces(sequence({digits, byte_level(true)}), "1212\u00bd"),
            (Strings{"1212", "\u00bd"}));
  EXPECT_EQ(pieces(sequence({split(R"(\p{N}{1,3})"), byte_level(false)}), "1212"),
            (Strings{"12", "1", "2"}));
  EXPECT_EQ(pieces(sequence({punctuation, byte_level(false)}), ".."), (Strings{".."}));
  EXPECT_EQ(pieces(sequence({each_mark, byte_level(false)}), ".."), (Strings{".", "."}));
  EXPECT_EQ(pieces(sequence({split("1", "Removed"), byte_level(false)}), "1212"),
            (Strings{"2", "2"}));
  EXPECT_EQ(pieces(sequence({split("1", "Removed", true), byte_level(false)}), "1212"),
            (Strings{"1", "1"}));
  json literal = split("");
  literal["pattern"] = {{"String", "."}};
  EXPECT_EQ(pieces(sequence({literal, byte_level(false)}), "12.."), (Strings{"12", ".", "."}));
  // Falcon: after ByteLevel the second byte of U+00BD is a number, the first is none.
  EXPECT_EQ(pieces(byte_level(true), "\u00bd"), (Strings{"\u00bd"}));
  EXPECT_EQ(pieces(sequence({byte_level(true), digits, triples}), "\u00bd1212"),
            (Strings{"\xc2", "\xbd", "12", "1", "2"}));
}

TEST(Bpe, ComposesWhereTheNormalizerSays) {
  json file = base_file();
  const auto plain = encoded(*made(file), "\u00e9t\u00e9");
  file["normalizer"] = {{"type", "NFC"}};
  EXPECT_EQ(encoded(*made(file), "e\u0301te\u0301"), plain);
  file["normalizer"] = {{"type", "Sequence"}, {"normalizers", json::array({{{"type", "NFC"}}})}};
  EXPECT_EQ(encoded(*made(file), "e\u0301te\u0301"), plain);
  file["normalizer"] = {{"type", "Sequence"}, {"normalizers", json::array()}};
  EXPECT_NE(encoded(*made(file), "e\u0301te\u0301"), plain);
}

TEST(Bpe, AddedTokensThatAreNotSpecialAreCutOut) {
  json file = base_file();
  file["normalizer"] = {{"type", "NFC"}};
  const auto add = [&](int id, const char* content, bool normalized) {
    file["added_tokens"].push_back({{"id", id},
                                    {"content", content},
                                    {"single_word", false},
                                    {"lstrip", false},
                                    {"rstrip", false},
                                    {"normalized", normalized},
                                    {"special", false}});
  };
  add(700, "  ", true);
  add(701, "    ", true);
  add(702, "e\u0301", false);
  add(703, "o\u0301", true);
  const auto tokenizer = made(file);
  ASSERT_TRUE(tokenizer);
  using Ids = std::vector<TokenId>;
  EXPECT_EQ(encoded(*tokenizer, "      "), (Ids{701, 700}));
  // Before normalization only as it is spelled, after it in both spellings.
  EXPECT_EQ(encoded(*tokenizer, "e\u0301"), (Ids{702}));
  EXPECT_NE(encoded(*tokenizer, "\u00e9"), (Ids{702}));
  EXPECT_EQ(encoded(*tokenizer, "o\u0301\u00f3"), (Ids{703, 703}));
  EXPECT_EQ(*tokenizer->decode(encoded(*tokenizer, "a     b")), "a     b");
  // A prefix space goes before each part between them.
  file["pre_tokenizer"]["add_prefix_space"] = true;
  EXPECT_EQ(*made(file)->decode(encoded(*made(file), "a    b")), " a     b");
}

TEST(Bpe, DropsBytesWithoutATokenBeforeItMerges) {
  json file = base_file();
  file["model"]["vocab"]["unused"] = file["model"]["vocab"]["\u0103"];
  file["model"]["vocab"].erase("\u0103");  // the byte 3
  const auto ids = encoded(*made(base_file()), "the");
  EXPECT_EQ(encoded(*made(file), "t\x03he"), ids);
  EXPECT_EQ(encoded(*made(file), "\x03"), std::vector<TokenId>());
  file["model"]["unk_token"] = "<|endoftext|>";
  const auto refused = parse_tokenizer(file.dump());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("the byte 3 "), std::string::npos);
}

TEST(Bpe, DigestIsThatOfTheFile) {
  const json file = base_file();
  const auto tokenizer = made(file);
  EXPECT_EQ(tokenizer->sha256().size(), 64U);
  const auto spaced = parse_tokenizer(" \n" + file.dump());
  ASSERT_TRUE(spaced);
  EXPECT_NE((*spaced)->sha256(), tokenizer->sha256());
}

struct Change {
  const char* name;
  std::function<void(json&)> apply;
  ErrorCode code;
  const char* field;
  const char* message;  // a part of it

  friend void PrintTo(const Change& value, std::ostream* out) { *out << value.name; }
};

class BpeRefuses : public testing::TestWithParam<Change> {};

TEST_P(BpeRefuses, NamingIt) {
  json file = base_file();
  GetParam().apply(file);
  const auto tokenizer = parse_tokenizer(file.dump());
  ASSERT_FALSE(tokenizer);
  EXPECT_EQ(tokenizer.error().code, GetParam().code) << tokenizer.error().describe();
  EXPECT_EQ(tokenizer.error().field, GetParam().field);
  EXPECT_NE(tokenizer.error().message.find(GetParam().message), std::string::npos)
      << tokenizer.error().message;
  EXPECT_TRUE(tokenizer.error().offset);
}

constexpr ErrorCode kUnsupported = ErrorCode::kUnsupported;
constexpr ErrorCode kInvalid = ErrorCode::kInvalidInput;

INSTANTIATE_TEST_SUITE_P(
    Files, BpeRefuses,
    testing::Values(
        Change{"Version", [](json& f) { f["version"] = "2.0"; }, kUnsupported, "version", "'2.0'"},
        Change{"UnknownField", [](json& f) { f["new"] = 1; }, kUnsupported, "new", ""},
        Change{"Truncation",
               [](json& f) {
                 f["truncation"] = {{"max_length", 5}};
               },
               kUnsupported, "truncation", "not supported"},
        Change{"Padding",
               [](json& f) {
                 f["padding"] = {{"length", 5}};
               },
               kUnsupported, "padding", ""},
        Change{"Normalizer",
               [](json& f) {
                 f["normalizer"] = {{"type", "Nmt"}};
               },
               kUnsupported, "normalizer.type", "'Nmt'"},
        Change{"PreTokenizer",
               [](json& f) {
                 f["pre_tokenizer"] = {{"type", "UnicodeScripts"}};
               },
               kUnsupported, "pre_tokenizer.type", "'UnicodeScripts' is not supported"},
        Change{"NoPreTokenizer", [](json& f) { f["pre_tokenizer"] = nullptr; }, kUnsupported,
               "pre_tokenizer", "ByteLevel"},
        Change{"PreTokenizerField", [](json& f) { f["pre_tokenizer"]["more"] = 1; }, kUnsupported,
               "pre_tokenizer.more", ""},
        Change{"NoPrefixSpace", [](json& f) { f["pre_tokenizer"].erase("add_prefix_space"); },
               kUnsupported, "pre_tokenizer.add_prefix_space", "null"},
        Change{"SplitBehavior",
               [](json& f) {
                 f["pre_tokenizer"] = sequence({split("a", "Contiguous"), byte_level(true)});
               },
               kUnsupported, "pre_tokenizer.pretokenizers[0].behavior", "'Contiguous'"},
        Change{"SplitPattern",
               [](json& f) {
                 f["pre_tokenizer"] = sequence({split(R"(\w+)"), byte_level(true)});
               },
               kUnsupported, "pre_tokenizer.pretokenizers[0].pattern.Regex", R"('\w')"},
        Change{"SplitEmpty",
               [](json& f) {
                 f["pre_tokenizer"] = sequence({split("a*"), byte_level(true)});
               },
               kUnsupported, "pre_tokenizer.pretokenizers[0].pattern", "nothing at all"},
        Change{"NoByteLevel", [](json& f) { f["pre_tokenizer"] = sequence({split("a")}); },
               kUnsupported, "pre_tokenizer", "ByteLevel"},
        Change{"PrefixSpaceAfterSplit",
               [](json& f) {
                 f["pre_tokenizer"] = sequence({split("a"), byte_level(true)});
                 f["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = true;
               },
               kUnsupported, "pre_tokenizer.pretokenizers[1].add_prefix_space", "true"},
        Change{"SplitAfterByteLevel",
               [](json& f) {
                 f["pre_tokenizer"] = sequence({byte_level(true), split("a")});
               },
               kUnsupported, "pre_tokenizer.pretokenizers[1].pattern.Regex", "'a'"},
        Change{"Decoder",
               [](json& f) {
                 f["decoder"] = {{"type", "WordPiece"}};
               },
               kUnsupported, "decoder.type", "'WordPiece'"},
        Change{"PostProcessor",
               [](json& f) {
                 f["post_processor"] = {{"type", "BertProcessing"}};
               },
               kUnsupported, "post_processor.type", "'BertProcessing'"},
        Change{"ModelType", [](json& f) { f["model"]["type"] = "Unigram"; }, kUnsupported,
               "model.type", "'Unigram'"},
        Change{"NoModel", [](json& f) { f.erase("model"); }, kInvalid, "model", ""},
        Change{"ModelField", [](json& f) { f["model"]["extra"] = 1; }, kUnsupported, "model.extra",
               ""},
        Change{"Dropout", [](json& f) { f["model"]["dropout"] = 0.1; }, kUnsupported,
               "model.dropout", "0.1"},
        Change{"SubwordPrefix", [](json& f) { f["model"]["continuing_subword_prefix"] = "##"; },
               kUnsupported, "model.continuing_subword_prefix", "'##'"},
        Change{"WordSuffix", [](json& f) { f["model"]["end_of_word_suffix"] = "</w>"; },
               kUnsupported, "model.end_of_word_suffix", "'</w>'"},
        Change{"ByteFallback", [](json& f) { f["model"]["byte_fallback"] = true; }, kUnsupported,
               "model.byte_fallback", "true"},
        Change{"IgnoreMerges", [](json& f) { f["model"]["ignore_merges"] = "yes"; }, kUnsupported,
               "model.ignore_merges", "'yes'"},
        Change{"MissingByte", [](json& f) { f["model"]["vocab"].erase("\u0120"); }, kUnsupported,
               "model.vocab", "the byte 32"},
        Change{"NoVocab", [](json& f) { f["model"].erase("vocab"); }, kInvalid, "model.vocab", ""},
        Change{"NegativeId", [](json& f) { f["model"]["vocab"]["a"] = -1; }, kInvalid,
               "model.vocab.a", "expected an integer"},
        Change{"HugeId", [](json& f) { f["model"]["vocab"]["a"] = 1 << 24; }, kInvalid,
               "model.vocab.a", "16777215"},
        Change{"TextId", [](json& f) { f["model"]["vocab"]["a"] = "1"; }, kInvalid, "model.vocab.a",
               ""},
        Change{"SameIdTwice", [](json& f) { f["model"]["vocab"]["zzz"] = 5; }, kInvalid,
               "model.vocab.zzz", "no other token"},
        Change{"NoMerges", [](json& f) { f["model"].erase("merges"); }, kInvalid, "model.merges",
               ""},
        Change{"MergeOfThree", [](json& f) { f["model"]["merges"][3] = "a b c"; }, kInvalid,
               "model.merges[3]", "one space"},
        Change{"MergeOfOne", [](json& f) { f["model"]["merges"][3] = "ab"; }, kInvalid,
               "model.merges[3]", "one space"},
        Change{"MergeNumber", [](json& f) { f["model"]["merges"][3] = 7; }, kInvalid,
               "model.merges[3]", ""},
        Change{"MergeUnknown",
               [](json& f) {
                 f["model"]["merges"][3] = {"a", "zzz"};
               },
               kInvalid, "model.merges[3]", "vocabulary"},
        Change{"AddedStrips",
               [](json& f) {
                 f["added_tokens"][1]["special"] = false;
                 f["added_tokens"][1]["lstrip"] = "yes";
               },
               kUnsupported, "added_tokens[1].lstrip", "'yes'"},
        Change{"AddedField", [](json& f) { f["added_tokens"][1]["more"] = 1; }, kUnsupported,
               "added_tokens[1].more", ""},
        Change{"AddedOtherId", [](json& f) { f["added_tokens"][0]["id"] = 4; }, kInvalid,
               "added_tokens[0].id", "from 0 to 0"},
        Change{"AddedTakenId", [](json& f) { f["added_tokens"][1]["id"] = 4; }, kInvalid,
               "added_tokens[1].id", "no other token"},
        Change{"AddedNoContent", [](json& f) { f["added_tokens"][1].erase("content"); }, kInvalid,
               "added_tokens[1].content", "missing"}),
    [](const auto& change) { return change.param.name; });

TEST(Bpe, AcceptsWhatChangesNothing) {
  json file = base_file();
  file["post_processor"] = {
      {"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", false}};
  file["model"].erase("type");
  file["model"]["continuing_subword_prefix"] = "";
  file["model"]["end_of_word_suffix"] = "";
  file["model"]["unk_token"] = "<|endoftext|>";
  file["model"]["fuse_unk"] = true;
  file.erase("normalizer");
  const auto changed = made(file);
  ASSERT_TRUE(changed);
  const std::string text = "The mill's mark, 1826.";
  EXPECT_EQ(encoded(*changed, text), encoded(*made(base_file()), text));
}

TEST(Bpe, DamagedFilesAreRefused) {
  const std::string whole = base_file().dump();
  for (std::size_t size = 1; size < whole.size(); size += 97) {
    const auto tokenizer = parse_tokenizer(std::string_view(whole).substr(0, size));
    ASSERT_FALSE(tokenizer);
    EXPECT_EQ(tokenizer.error().code, ErrorCode::kInvalidInput);
    EXPECT_TRUE(tokenizer.error().offset);
  }
  EXPECT_FALSE(parse_tokenizer(""));
  EXPECT_FALSE(parse_tokenizer(" \n "));
  const auto missing = load_tokenizer("/nonexistent/tokenizer.json");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kIo);
  EXPECT_EQ(missing.error().file, "/nonexistent/tokenizer.json");
}

}  // namespace
}  // namespace countermark::text
