// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/tokenizer_json.h"

#include <gtest/gtest.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "verifier/text/tokenizer.h"

// Known answers are those of Hugging Face's tokenizers 0.23.3; python/tests/test_tokenizers.py
// compares more.
namespace countermark::text {
namespace {

using nlohmann::json;
using Ids = std::vector<TokenId>;

json metaspace(const char* scheme = "always", bool split = true) {
  return {{"type", "Metaspace"},
          {"replacement", "\u2581"},
          {"prepend_scheme", scheme},
          {"split", split}};
}

json file_of(json model) {
  return {{"version", "1.0"},       {"added_tokens", json::array()},
          {"normalizer", nullptr},  {"pre_tokenizer", metaspace()},
          {"decoder", metaspace()}, {"model", std::move(model)}};
}

json bpe() {
  return {{"type", "BPE"},
          {"unk_token", "<unk>"},
          {"fuse_unk", true},
          {"byte_fallback", true},
          {"vocab",
           {{"<unk>", 0},
            {"<0xC3>", 1},
            {"<0xA9>", 2},
            {"\u2581", 3},
            {"a", 4},
            {"b", 5},
            {"ab", 6},
            {"\u2581ab", 7},
            {"\u2581\u2581", 8}}},
          {"merges", json::array({json::array({"\u2581", "\u2581"}), json::array({"a", "b"}),
                                  json::array({"\u2581", "ab"})})}};
}

json unigram() {
  return {{"type", "Unigram"},
          {"unk_id", 0},
          {"byte_fallback", false},
          {"vocab", json::array({json::array({"<unk>", 0.0}), json::array({"\u2581", -2.0}),
                                 json::array({"a", -1.0}), json::array({"aa", -2.0}),
                                 json::array({"aaa", -3.5}), json::array({"\u2581a", -2.5})})}};
}

json added(const char* content, TokenId id, bool single_word, bool lstrip, bool rstrip,
           bool normalized) {
  return {{"id", id},         {"content", content}, {"single_word", single_word},
          {"lstrip", lstrip}, {"rstrip", rstrip},   {"normalized", normalized},
          {"special", false}};
}

std::unique_ptr<const Tokenizer> made(const json& file) {
  auto tokenizer = parse_tokenizer(file.dump());
  EXPECT_TRUE(tokenizer) << tokenizer.error().describe();
  return tokenizer ? std::move(*tokenizer) : nullptr;
}

Ids encoded(const json& file, std::string_view text) {
  const auto tokenizer = made(file);
  if (!tokenizer) return {};
  const auto ids = tokenizer->encode(text);
  EXPECT_TRUE(ids) << ids.error().describe();
  return ids ? *ids : Ids();
}

json llama() {
  json file = file_of(bpe());
  file["pre_tokenizer"] = nullptr;
  file["normalizer"] = json::parse(
      R"({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
          {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]})");
  file["decoder"] = json::parse(
      R"({"type": "Sequence", "decoders": [
          {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
          {"type": "ByteFallback"}, {"type": "Fuse"},
          {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})");
  return file;
}

TEST(TokenizerJson, BpeFallsBackToBytes) {
  EXPECT_EQ(encoded(llama(), "ab ab"), (Ids{7, 7}));
  EXPECT_EQ(encoded(llama(), "  ab"), (Ids{8, 7}));
  EXPECT_EQ(encoded(llama(), "a\u00e9b"), (Ids{3, 4, 1, 2, 5}));
  // U+00E8 lacks a byte: it is unknown, and the bytes of the next overtake it.
  EXPECT_EQ(encoded(llama(), "a\u00e8\u00e8\u00e9b"), (Ids{3, 4, 1, 2, 0, 5}));
  json apart = llama();
  apart["model"]["fuse_unk"] = false;
  EXPECT_EQ(encoded(apart, "a\u00e8\u00e8\u00e9b"), (Ids{3, 4, 0, 1, 2, 0, 5}));
  apart["model"]["unk_token"] = nullptr;
  EXPECT_EQ(encoded(apart, "a\u00e8\u00e8b"), (Ids{7}));
  const auto tokenizer = made(llama());
  for (const char* text : {"ab ab", "  ab", " a\u00e9b ", "", " "})
    EXPECT_EQ(*tokenizer->decode(*tokenizer->encode(text)), text);
  EXPECT_EQ(*tokenizer->decode(Ids{1}), "\xc3");
}

TEST(TokenizerJson, MetaspacePutsMarks) {
  json file = file_of(bpe());
  file["added_tokens"].push_back(added("b", 5, false, false, false, false));
  EXPECT_EQ(encoded(file, "aba a"), (Ids{3, 4, 5, 3, 4, 3, 4}));
  file["pre_tokenizer"] = metaspace("first");
  EXPECT_EQ(encoded(file, "aba a"), (Ids{3, 4, 5, 4, 3, 4}));
  file["pre_tokenizer"] = metaspace("never");
  EXPECT_EQ(encoded(file, "aba a"), (Ids{4, 5, 4, 3, 4}));
  // Of several marks all but the last are pieces of their own.
  EXPECT_EQ(encoded(file_of(bpe()), "  ab"), (Ids{3, 7}));
  file["pre_tokenizer"] = metaspace("never", false);
  EXPECT_EQ(encoded(file, "  a"), (Ids{8, 4}));
  file["pre_tokenizer"] = json::parse(R"({"type": "Metaspace", "replacement": "▁",
                                          "add_prefix_space": true})");
  EXPECT_EQ(encoded(file, "a"), (Ids{3, 4}));
}

TEST(TokenizerJson, WholePiecesComeBeforeMerges) {
  json file = file_of(bpe());
  file["model"]["merges"] = json::array();
  EXPECT_EQ(encoded(file, "ab"), (Ids{3, 4, 5}));
  file["model"]["ignore_merges"] = true;
  EXPECT_EQ(encoded(file, "ab"), (Ids{7}));
  // But no special token.
  file["added_tokens"] = {{{"id", 7}, {"content", "\u2581ab"}, {"special", true}}};
  EXPECT_EQ(encoded(file, "ab"), (Ids{3, 4, 5}));
}

TEST(TokenizerJson, UnigramTakesTheFirstOfTheBest) {
  EXPECT_EQ(encoded(file_of(unigram()), "a"), (Ids{5}));
  // "a" "aa" and "aa" "a" weigh the same; the last piece is the longer one.
  json file = file_of(unigram());
  file["pre_tokenizer"] = nullptr;
  EXPECT_EQ(encoded(file, "aa"), (Ids{3}));
  EXPECT_EQ(encoded(file, "aaa"), (Ids{2, 3}));
  EXPECT_EQ(encoded(file, "aazzaz"), (Ids{3, 0, 2, 0}));
  file["added_tokens"] = {{{"id", 0}, {"content", "<unk>"}, {"special", true}}};
  EXPECT_EQ(encoded(file, "a<unk>"), (Ids{2, 0}));
  EXPECT_EQ(encoded(file, ""), Ids());
}

TEST(TokenizerJson, UnigramFallsBackToBytes) {
  json file = file_of(unigram());
  file["model"]["byte_fallback"] = true;
  file["model"]["vocab"].push_back(json::array({"<0xC3>", 0.0}));
  EXPECT_EQ(encoded(file, "a\u00e9"), (Ids{5, 0}));
  file["model"]["vocab"].push_back(json::array({"<0xA9>", 0.0}));
  EXPECT_EQ(encoded(file, "a\u00e9\u00e9"), (Ids{5, 6, 7, 6, 7}));
}

TEST(TokenizerJson, NormalizersWorkInTurn) {
  json file = file_of(bpe());
  const auto after = [&](const char* normalizer, std::string_view text) {
    file["normalizer"] = json::parse(normalizer);
    return encoded(file, text);
  };
  EXPECT_EQ(after(R"({"type": "Lowercase"})", "AB"), (Ids{7}));
  EXPECT_EQ(after(R"({"type": "NFKC"})", "\uff41\uff42"), (Ids{7}));
  EXPECT_EQ(after(R"({"type": "NFKD"})", "\u00aa\u00e9"), (encoded(file_of(bpe()), "ae\u0301")));
  EXPECT_EQ(after(R"({"type": "Strip", "strip_left": true, "strip_right": true})", "\u3000ab\n"),
            (Ids{7}));
  EXPECT_EQ(after(R"({"type": "Strip", "strip_left": false, "strip_right": true})", " ab "),
            (Ids{7}));
  EXPECT_EQ(
      after(R"({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "})", "ab    ab"),
      (Ids{7, 7}));
  EXPECT_EQ(after(R"({"type": "Sequence", "normalizers": [
                      {"type": "Replace", "pattern": {"String": "x"}, "content": "B"},
                      {"type": "Lowercase"}]})",
                  "Ax"),
            (Ids{7}));
}

// Hugging Face's tables are those of Unicode 9.0, and vocabularies were trained with them.
TEST(TokenizerJson, MarksOfLaterUnicodeStayWhereTheyAre) {
  json file = file_of(bpe());
  const auto is_kept = [&](const char* form, const char* text) {
    file["normalizer"] = {
        {"type", "Sequence"},
        {"normalizers",
         {{{"type", form}},
          {{"type", "Replace"}, {"pattern", {{"String", text}}}, {"content", "ab"}}}}};
    return encoded(file, text) == Ids{7};
  };
  for (const char* text : {"\u0829\u0899", "\u0345\U0001e08f", "e\u0899\u0301",
                           "\U00011935\U00011930", "\U00011938"}) {
    EXPECT_TRUE(is_kept("NFC", text)) << text;
    EXPECT_TRUE(is_kept("NFD", text)) << text;
  }
  EXPECT_FALSE(is_kept("NFC", "e\u0301"));
  EXPECT_FALSE(is_kept("NFC", "\u0345\u0301"));
  EXPECT_TRUE(is_kept("NFC", "\u0899\u00e9"));
}

TEST(TokenizerJson, CutsJoinWhatTheyMatch) {
  json file = file_of(bpe());
  const auto cut = [&](const char* behavior, std::string_view text) {
    file["pre_tokenizer"] = {{"type", "Split"},
                             {"pattern", {{"String", "b"}}},
                             {"behavior", behavior},
                             {"invert", false}};
    return encoded(file, text);
  };
  EXPECT_EQ(cut("MergedWithPrevious", "abab"), (Ids{6, 6}));
  EXPECT_EQ(cut("MergedWithNext", "abab"), (Ids{4, 5, 4, 5}));
  EXPECT_EQ(cut("Removed", "abab"), (Ids{4, 4}));
  file["pre_tokenizer"] = json::parse(
      R"({"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Metaspace",
          "replacement": "▁", "prepend_scheme": "always", "split": true}]})");
  EXPECT_EQ(encoded(file, " \n ab\tab "), (Ids{7, 7}));
}

TEST(TokenizerJson, AddedTokensKeepTheirFlags) {
  json file = file_of(bpe());
  file["pre_tokenizer"] = metaspace("never");
  const auto with = [&](const json& token, std::string_view text) {
    file["added_tokens"] = {token};
    return encoded(file, text);
  };
  EXPECT_EQ(with(added("<x>", 9, false, true, false, false), "a \u3000<x> a"), (Ids{4, 9, 3, 4}));
  EXPECT_EQ(with(added("<x>", 9, false, false, true, false), "a <x> \n\u3000a"), (Ids{4, 3, 9, 4}));
  EXPECT_EQ(with(added("ba", 9, true, false, false, false), "ba aba ba"), (Ids{9, 7, 4, 3, 9}));
  EXPECT_EQ(with(added("ba", 9, true, false, false, false), "\u00e9ba"), (Ids{1, 2, 5, 4}));
  file["normalizer"] = {{"type", "Lowercase"}};
  EXPECT_EQ(with(added("BA", 9, false, false, false, true), "Ba"), (Ids{9}));
  EXPECT_EQ(with(added("BA", 9, false, false, false, false), "Ba"), (Ids{5, 4}));
}

TEST(TokenizerJson, LongRunsTakeNoQuadraticTime) {
  const std::clock_t start = std::clock();
  for (const json& model : {bpe(), unigram()}) {
    json file = file_of(model);
    file["pre_tokenizer"] = nullptr;
    file["added_tokens"].push_back(added("\t", 9, false, true, true, false));
    const auto tokenizer = made(file);
    for (const char c : {'a', ' ', '\t', 'z'})
      EXPECT_TRUE(tokenizer->encode(std::string(1'000'000, c)));
  }
  EXPECT_LT((std::clock() - start) / CLOCKS_PER_SEC, 60);
}

TEST(TokenizerJson, NamesWhatItRefuses) {
  const auto refused = [](const json& file, const char* field, const char* message) {
    const auto tokenizer = parse_tokenizer(file.dump());
    ASSERT_FALSE(tokenizer);
    EXPECT_EQ(tokenizer.error().field, field);
    EXPECT_NE(tokenizer.error().message.find(message), std::string::npos)
        << tokenizer.error().message;
    EXPECT_TRUE(tokenizer.error().offset);
  };
  const auto changed = [](json file, const char* pointer, json value) {
    file[json::json_pointer(pointer)] = std::move(value);
    return file;
  };
  const json plain = file_of(bpe());
  const json likely = file_of(unigram());
  refused(changed(plain, "/decoder", {{"type", "CTC"}}), "decoder.type", "'CTC'");
  refused(changed(plain, "/decoder", {{"type", "Strip"}}), "decoder.type", "'Strip'");
  refused(changed(plain, "/pre_tokenizer/replacement", "__"), "pre_tokenizer.replacement", "one");
  refused(changed(plain, "/pre_tokenizer/add_prefix_space", false),
          "pre_tokenizer.add_prefix_space", "never");
  refused(changed(changed(plain, "/pre_tokenizer", metaspace("first")), "/normalizer",
                  {{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}}),
          "pre_tokenizer.prepend_scheme", "'first'");
  refused(changed(plain, "/normalizer",
                  {{"type", "Replace"}, {"pattern", {{"String", ""}}}, {"content", "a"}}),
          "normalizer.pattern", "nothing at all");
  refused(
      changed(plain, "/normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", "AAAA"}}),
      "normalizer.precompiled_charsmap", "base64");
  refused(changed(plain, "/model/unk_token", "<none>"), "model.unk_token", "vocabulary");
  refused(changed(likely, "/model/unk_id", nullptr), "model.unk_id", "");
  refused(changed(likely, "/model/unk_id", 6), "model.unk_id", "from 0 to 5");
  refused(changed(likely, "/model/vocab/1", "a"), "model.vocab[1]", "score");
  refused(changed(likely, "/model/vocab/1/0", std::string(1025, 'a')), "model.vocab[1]", "1,024");
  refused(changed(likely, "/model/vocab", json::array()), "model.vocab", "a piece");
  refused(changed(likely, "/model/alpha", 1), "model.alpha", "");
  refused(changed(plain, "/model/type", "WordLevel"), "model.type", "'WordLevel'");
}

}  // namespace
}  // namespace countermark::text
