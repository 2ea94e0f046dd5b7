// SPDX-License-Identifier: Apache-2.0
// Other systems' marks against the slow references of tests/reference/foreign, and their bad
// parameters.
#include "watermark/marks/foreign_mark.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/support/vectors.h"

namespace countermark {
namespace {

using nlohmann::json;

// A raw value as the vector files write it: an integer, or g values from depth 0 on.
std::uint64_t raw_value(const json& written) {
  if (!written.is_string()) return written.get<std::uint64_t>();
  std::uint64_t bits = 0;
  const auto& digits = written.get_ref<const std::string&>();
  for (std::size_t d = 0; d < digits.size(); ++d)
    bits |= std::uint64_t{digits[d] == '1' ? 1U : 0U} << d;
  return bits;
}

SharedForeignMark mark_of(const std::string& profile, const std::string& key) {
  const auto parsed = ForeignProfile::parse(profile);
  if (!parsed) throw std::runtime_error(parsed.error().describe());
  const auto mark = ForeignMark::create(*parsed, ForeignKey::parse(key).value());
  if (!mark) throw std::runtime_error(mark.error().describe());
  return *mark;
}

std::vector<std::uint64_t> raw_values(const ForeignMark& mark, unsigned key,
                                      const std::vector<TokenId>& contexts,
                                      const std::vector<TokenId>& tokens) {
  std::vector<PrfInput> inputs(tokens.size());
  std::vector<std::uint64_t> out(tokens.size());
  mark.inputs(key, contexts, tokens, inputs);
  mark.raw_values(key, inputs, out);
  return out;
}

TEST(ForeignMark, ReproducesTheReference) {
  std::map<std::string_view, std::size_t> tuples_of;
  const json vectors = tests::load_foreign_vectors("marks");
  for (const json& entry : vectors.at("cases")) {
    SCOPED_TRACE(entry.at("profile").dump() + " " + entry.at("key").dump());
    const SharedForeignMark mark = mark_of(entry.at("profile").dump(), entry.at("key"));
    std::vector<TokenId> contexts;
    std::vector<TokenId> tokens;
    for (const json& tuple : entry.at("tuples")) {
      ASSERT_EQ(tuple.at("context").size(), mark->context_tokens());
      for (const json& id : tuple.at("context")) contexts.push_back(id);
      tokens.push_back(tuple.at("token"));
    }
    for (unsigned key = 0; key < mark->keys(); ++key) {
      const std::vector<std::uint64_t> raws = raw_values(*mark, key, contexts, tokens);
      for (std::size_t i = 0; i < tokens.size(); ++i)
        EXPECT_EQ(raws[i], raw_value(entry.at("tuples")[i].at("raw").at(key))) << i;
    }
    tuples_of[mark->scheme().id] += tokens.size();
  }
  for (const SchemeInfo* scheme : foreign_schemes())
    EXPECT_GE(tuples_of[scheme->id], 100U) << scheme->id;
}

TEST(ForeignMark, OneTupleAloneIsAsAmongMany) {
  const json vectors = tests::load_foreign_vectors("marks");
  for (const json& entry : vectors.at("cases")) {
    const SharedForeignMark mark = mark_of(entry.at("profile").dump(), entry.at("key"));
    const json& tuple = entry.at("tuples").back();
    const std::vector<TokenId> context = tuple.at("context");
    EXPECT_EQ(raw_values(*mark, 0, context, {tuple.at("token").get<TokenId>()})[0],
              raw_value(tuple.at("raw").at(0)))
        << entry.at("profile");
  }
}

// The least JSON that makes a profile of the scheme.
json least_profile(const SchemeInfo& scheme) {
  json out = {{"scheme", scheme.id}};
  if (scheme.has(Field::kVocabSize)) out["vocabSize"] = 1'000;
  return out;
}

TEST(ForeignProfile, DefaultsAreWrittenOutAndReadBack) {
  std::set<std::string> digests;
  for (const SchemeInfo* scheme : foreign_schemes()) {
    const auto profile = ForeignProfile::parse(least_profile(*scheme).dump());
    ASSERT_TRUE(profile) << profile.error().describe();
    const auto again = ForeignProfile::parse(profile->pretty_json());
    ASSERT_TRUE(again) << again.error().describe();
    EXPECT_EQ(*again, *profile);
    EXPECT_EQ(again->digest(), profile->digest());
    digests.insert(profile->digest());
    EXPECT_EQ(find_foreign_scheme(scheme->id), scheme);
  }
  EXPECT_EQ(digests.size(), foreign_schemes().size());
}

struct BadProfile {
  const char* json;
  ErrorCode code;
  const char* field;
  const char* says;
};

TEST(ForeignProfile, RefusesWhatASchemeCannotWorkWith) {
  const BadProfile cases[] = {
      {R"({"scheme":"hf-kgw/1","vocabSize":1000,"gamma":"0/4"})", ErrorCode::kInvalidInput, "gamma",
       "between 0 and 1"},
      {R"({"scheme":"hf-kgw/1","vocabSize":1000,"gamma":"4/4"})", ErrorCode::kInvalidInput, "gamma",
       "between 0 and 1"},
      {R"({"scheme":"hf-kgw/1","vocabSize":1000,"gamma":0.25})", ErrorCode::kInvalidInput, "gamma",
       "fraction"},
      {R"({"scheme":"hf-kgw/1","vocabSize":3,"gamma":"1/4"})", ErrorCode::kInvalidInput, "gamma",
       "no green token"},
      {R"({"scheme":"hf-kgw/1"})", ErrorCode::kInvalidInput, "vocabSize", "lists were drawn for"},
      {R"({"scheme":"hf-kgw/1","vocabSize":214748364})", ErrorCode::kInvalidInput, "vocabSize",
       "214748363"},
      {R"({"scheme":"hf-kgw/1","vocabSize":1000,"device":"cuda"})", ErrorCode::kUnsupported,
       "device", "CUDA"},
      {R"({"scheme":"hf-kgw/1","vocabSize":1000,"delta":0})", ErrorCode::kInvalidInput, "delta",
       "above 0"},
      {R"({"scheme":"hf-kgw/1","vocabSize":1000,"prf":"minhash"})", ErrorCode::kInvalidInput, "prf",
       "lefthash or selfhash"},
      {R"({"scheme":"hf-kgw/1","vocabSize":1000,"firstPosition":0})", ErrorCode::kInvalidInput,
       "firstPosition", "number 1"},
      {R"({"scheme":"hf-kgw/1","vocabSize":1000,"depth":30})", ErrorCode::kInvalidInput, "depth",
       "not a parameter"},
      {R"({"scheme":"hf-synthid/1","depth":0})", ErrorCode::kInvalidInput, "depth", "1"},
      {R"({"scheme":"hf-synthid/1","depth":65})", ErrorCode::kInvalidInput, "depth", "64"},
      {R"({"scheme":"hf-synthid/1","tableSize":16777217})", ErrorCode::kInvalidInput, "tableSize",
       "16777216"},
      {R"({"scheme":"textseal/1","contextWidth":11})", ErrorCode::kInvalidInput, "contextWidth",
       "10"},
      {R"({"scheme":"vllm-gumbel/philox4x32-10-v1","contextWidth":0})", ErrorCode::kInvalidInput,
       "contextWidth", "1"},
      {R"({"scheme":"vllm-dual-gumbel/philox4x32-10-v1","mixing":"1/1"})", ErrorCode::kInvalidInput,
       "mixing", "between 0 and 1"},
      {R"({"scheme":"vllm-gumbel/philox4x32-10-v1","contextwidth":4})", ErrorCode::kInvalidInput,
       "contextwidth", ""},
      {R"({"scheme":"vllm-gumbel/1"})", ErrorCode::kUnsupported, "scheme", "does not know"},
      {R"({"scheme":"vllm-gumbel/philox4x32-10-v1","dedup":"v1"})", ErrorCode::kInvalidInput,
       "dedup", "none, tuple or context"},
  };
  for (const BadProfile& bad : cases) {
    const auto profile = ForeignProfile::parse(bad.json);
    ASSERT_FALSE(profile) << bad.json;
    EXPECT_EQ(profile.error().code, bad.code) << bad.json;
    EXPECT_EQ(profile.error().field, bad.field) << profile.error().describe();
    EXPECT_NE(profile.error().message.find(bad.says), std::string::npos)
        << profile.error().describe();
  }
}

TEST(ForeignProfile, DefaultsFollowTheSource) {
  const auto first = [](const char* text) {
    return ForeignProfile::parse(text).value().parameters().first_position;
  };
  EXPECT_EQ(first(R"({"scheme":"hf-kgw/1","vocabSize":9,"contextWidth":4,"prf":"selfhash"})"), 3U);
  EXPECT_EQ(first(R"({"scheme":"hf-kgw/1","vocabSize":9,"contextWidth":4})"), 4U);
  EXPECT_EQ(first(R"({"scheme":"hf-synthid/1","contextWidth":2})"), 2U);
  EXPECT_EQ(first(R"({"scheme":"vllm-gumbel/philox4x32-10-v1"})"), 0U);
  EXPECT_EQ(first(R"({"scheme":"vllm-gumbel/philox4x32-10-v1","prompt":"included"})"), 4U);
  EXPECT_EQ(first(R"({"scheme":"three-bricks-greenlist/1","vocabSize":9,"contextWidth":2})"), 3U);
  const auto simple =
      ForeignProfile::parse(R"({"scheme":"lm-watermarking/1","vocabSize":9,"prf":"additive"})");
  EXPECT_EQ(simple->parameters().context_width, 1U);
  EXPECT_FALSE(simple->parameters().self_salt);
  for (const auto& [prf, width] : {std::pair{"minhash", 4U}, std::pair{"skipgram", 5U},
                                   std::pair{"minskipgram", 4U}, std::pair{"position", 1U}}) {
    const std::string text =
        R"({"scheme":"lm-watermarking/1","vocabSize":9,"prf":")" + std::string(prf) + "\"}";
    EXPECT_EQ(ForeignProfile::parse(text)->parameters().context_width, width) << prf;
  }
}

struct BadKey {
  const char* profile;
  const char* key;
  ErrorCode code;
  const char* says;
};

TEST(ForeignMark, RefusesKeysThatTheSchemeDoesNotTake) {
  const BadKey cases[] = {
      {R"({"scheme":"vllm-gumbel/philox4x32-10-v1"})", "int:-1", ErrorCode::kKey, "negative"},
      {R"({"scheme":"vllm-gumbel/philox4x32-10-v1"})", "hex:2a", ErrorCode::kKey, "int:"},
      {R"({"scheme":"vllm-gumbel/philox4x32-10-v1"})", "ints:1,2", ErrorCode::kKey, "int:"},
      {R"({"scheme":"sglang-gumbel/1"})", "int:42", ErrorCode::kKey, "hex:"},
      {R"({"scheme":"sglang-gumbel/1"})", "hex:0123456789abcdef0", ErrorCode::kKey, "16"},
      {R"({"scheme":"sglang-dual-gumbel/1"})", "hex:0123456789abcdef", ErrorCode::kKey, "32"},
      {R"({"scheme":"hf-synthid/1"})", "ints:1,2,3", ErrorCode::kMismatch, "depth is 30"},
      {R"({"scheme":"hf-synthid/1","depth":1})", "int:9223372036854775808", ErrorCode::kKey,
       "2^63 - 1"},
      {R"({"scheme":"lm-watermarking/1","vocabSize":9,"prf":"noncomm"})", "int:9223372036854775808",
       ErrorCode::kKey, "2^63 - 1"},
      {R"({"scheme":"three-bricks-greenlist/1","vocabSize":9})", "int:-1", ErrorCode::kKey,
       "negative"},
      {R"({"scheme":"textseal/1"})", "ints:1,2,3", ErrorCode::kKey, "both keys"},
      {R"({"scheme":"lm-watermarking/1","vocabSize":9,"prf":"minskipgram","contextWidth":1,"selfSalt":false})",
       "int:1", ErrorCode::kMismatch, "pairs"},
  };
  for (const BadKey& bad : cases) {
    const auto profile = ForeignProfile::parse(bad.profile);
    ASSERT_TRUE(profile) << profile.error().describe();
    const auto mark = ForeignMark::create(*profile, ForeignKey::parse(bad.key).value());
    ASSERT_FALSE(mark) << bad.profile << bad.key;
    EXPECT_EQ(mark.error().code, bad.code);
    EXPECT_NE(mark.error().message.find(bad.says), std::string::npos) << mark.error().message;
  }
}

// torch reads a key from 2^63 on as the negative number of the same bits.
TEST(ForeignMark, LargeKeysAreNegativeOnesForTensors) {
  const std::vector<TokenId> contexts = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  const std::vector<TokenId> tokens = {10, 20, 30};
  for (const char* profile :
       {R"({"scheme":"hf-kgw/1","vocabSize":64,"prf":"selfhash","contextWidth":4})",
        R"({"scheme":"lm-watermarking/1","vocabSize":64})"})
    EXPECT_EQ(raw_values(*mark_of(profile, "int:18446744073709551609"), 0, contexts, tokens),
              raw_values(*mark_of(profile, "int:-7"), 0, contexts, tokens))
        << profile;
}

// TextSeal compares in single precision: level 6407 of 8,191 is not below .7822 there.
TEST(ForeignMark, TextSealsGreenLevelsAreDecidedInSinglePrecision) {
  std::vector<TokenId> tokens(30'000);
  for (TokenId id = 0; id < tokens.size(); ++id) tokens[id] = id;
  const std::vector<TokenId> contexts(tokens.size(), 7);
  const auto levels =
      raw_values(*mark_of(R"({"scheme":"textseal/1"})", "int:42"), 0, contexts, tokens);
  std::uint64_t at_edge = 0;
  for (const auto& [gamma, value] : {std::pair{"3911/5000", 0.7822}, std::pair{"1/2", 0.5},
                                     std::pair{"1234/8191", 1234.0 / 8191}}) {
    const std::string profile =
        R"({"scheme":"textseal/1","prf":"greenlist","gamma":")" + std::string(gamma) + "\"}";
    const auto green = raw_values(*mark_of(profile, "int:42"), 0, contexts, tokens);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const bool below = static_cast<float>(levels[i]) / 8191.0F < static_cast<float>(value);
      EXPECT_EQ(green[i] != 0, below) << gamma << " " << levels[i];
      at_edge += levels[i] == 6407 || levels[i] == 1234 ? 1U : 0U;
    }
  }
  EXPECT_GE(at_edge, 6U);
}

TEST(ForeignMark, SaysWhenItsLawIsAModel) {
  const auto reasons = [](const char* profile, const char* key) {
    return model_reasons(ForeignProfile::parse(profile).value(), ForeignKey::parse(key).value());
  };
  using Codes = std::vector<std::string>;
  const char* const gumbel = R"({"scheme":"vllm-gumbel/philox4x32-10-v1"})";
  EXPECT_EQ(reasons(gumbel, "int:42"), Codes{"public-key"});
  EXPECT_EQ(reasons(gumbel, "int:43"), Codes{"small-key"});
  EXPECT_EQ(reasons(gumbel, "int:281474976710655"), Codes{"small-key"});
  EXPECT_EQ(reasons(gumbel, "int:281474976710656"), Codes{});
  EXPECT_EQ(reasons(R"({"scheme":"sglang-gumbel/1"})", "hex:0123456789abcdef"),
            Codes{"small-key-space"});
  EXPECT_EQ(reasons(R"({"scheme":"sglang-dual-gumbel/1"})", "hex:0123456789abcdeffedcba9876543210"),
            Codes{});
  EXPECT_EQ(reasons(R"({"scheme":"textseal/1"})", "int:42"), (Codes{"weak-prf", "public-key"}));
  EXPECT_EQ(reasons(R"({"scheme":"hf-synthid/1","depth":2})", "ints:654,400"),
            (Codes{"weak-prf", "public-key"}));
  EXPECT_EQ(reasons(R"({"scheme":"hf-kgw/1","vocabSize":9})", "int:9223372036854775807"),
            Codes{"small-key-space"});
}

TEST(ForeignKey, ReadsWhatOwnersWrite) {
  const auto key =
      ForeignKey::parse("# a key\n#id:lab-2026\n\n  ints:654,-3,18446744073709551615\r\n");
  ASSERT_TRUE(key);
  EXPECT_EQ(key->name(), "lab-2026");
  EXPECT_EQ(key->form(), ForeignKey::Form::kIntegers);
  ASSERT_EQ(key->integers().size(), 3U);
  EXPECT_EQ(key->integers()[1], (KeyInteger{~std::uint64_t{0} - 2, true}));
  EXPECT_EQ(key->integers()[2], (KeyInteger{~std::uint64_t{0}, false}));
  EXPECT_EQ(ForeignKey::parse("hex:0123ABcd")->text(), "0123abcd");
  EXPECT_EQ(ForeignKey::parse("text:a b:c")->text(), "a b:c");
  EXPECT_EQ(ForeignKey::parse("int:-9223372036854775808")->integers()[0].bits,
            std::uint64_t{1} << 63);
  EXPECT_EQ(ForeignKey::parse("int:-0")->integers()[0], KeyInteger{});
  EXPECT_TRUE(ForeignKey::is_one("# x\nint:1"));
  EXPECT_FALSE(ForeignKey::is_one("# int:1\nCM-SECRET-KEY-1ABC"));
}

TEST(ForeignKey, RefusesWithoutRepeating) {
  const std::pair<const char*, std::uint64_t> cases[] = {{"int:12345x", 4},
                                                         {"int:", 4},
                                                         {"int:1,2", 0},
                                                         {"ints:7777,,3", 10},
                                                         {"hex:77zz", 4},
                                                         {"hex:", 4},
                                                         {"text:", 5},
                                                         {"77777", 0},
                                                         {"int:7\nint:8", 6},
                                                         {"int:18446744073709551616", 4},
                                                         {"int:-9223372036854775809", 4},
                                                         {"#id:\nint:7", 4}};
  for (const auto& [text, offset] : cases) {
    const auto key = ForeignKey::parse(text);
    ASSERT_FALSE(key) << text;
    EXPECT_EQ(key.error().code, ErrorCode::kKey);
    EXPECT_EQ(key.error().offset, offset) << text;
    EXPECT_EQ(key.error().message.find("777"), std::string::npos);
  }
  EXPECT_FALSE(ForeignKey::parse("# nothing\n"));
}

TEST(ForeignKey, DecoysHaveTheForm) {
  const std::array<std::uint8_t, 4> seed = {1, 2, 3, 4};
  for (const char* text : {"int:42", "ints:1,2,3", "hex:0123", "text:secret"}) {
    const auto key = ForeignKey::parse(text).value();
    const ForeignKey decoy = key.decoy(seed, 7);
    EXPECT_EQ(decoy.form(), key.form());
    EXPECT_EQ(decoy.integers().size(), key.integers().size());
    EXPECT_EQ(decoy.text().size(), key.text().size());
    for (const KeyInteger& value : decoy.integers()) EXPECT_EQ(value.bits >> 63, 0U);
    const ForeignKey again = key.decoy(seed, 7);
    EXPECT_TRUE(again.integers() == decoy.integers() && again.text() == decoy.text());
    const ForeignKey other = key.decoy(seed, 8);
    EXPECT_FALSE(other.integers() == decoy.integers() && other.text() == decoy.text());
  }
}

TEST(ForeignKey, DecoysAreAsLargeAsTheKeyWhereThatLeavesEnough) {
  const std::array<std::uint8_t, 4> seed = {1, 2, 3, 4};
  const auto largest = [&](const std::string& text) {
    std::uint64_t out = 0;
    for (std::uint64_t i = 0; i < 50; ++i) {
      const ForeignKey decoy = ForeignKey::parse(text).value().decoy(seed, i);
      for (const KeyInteger& value : decoy.integers()) out = std::max(out, value.bits);
    }
    return out;
  };
  std::string thirteen = "ints:990";  // 10 bits
  for (int i = 1; i < 13; ++i) thirteen += ",3";
  EXPECT_LT(largest(thirteen), 1'024U);
  EXPECT_GT(largest(thirteen), 1'000U);
  EXPECT_GT(largest(thirteen.substr(0, thirteen.size() - 2)), std::uint64_t{1} << 60);
  EXPECT_GT(largest("int:42"), std::uint64_t{1} << 60);
}

TEST(AnyProfile, IsOursOrAnothers) {
  EXPECT_TRUE(
      std::holds_alternative<Profile>(parse_profile(Profile::defaults().canonical_json()).value()));
  EXPECT_TRUE(std::holds_alternative<ForeignProfile>(
      parse_profile(R"({"scheme":"sglang-gumbel/1"})").value()));
  EXPECT_EQ(parse_profile(R"({"scheme":"nobody/1"})").error().code, ErrorCode::kUnsupported);
  EXPECT_FALSE(parse_profile("[]"));
}

}  // namespace
}  // namespace countermark
