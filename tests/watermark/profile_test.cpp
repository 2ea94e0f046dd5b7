// SPDX-License-Identifier: Apache-2.0
// Which profiles are accepted, under which name they go (their digest), and what every broken
// rule is answered with. JSON's own rules are tested with the JSON reader.
#include "watermark/profile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/support/random.h"

namespace countermark::tests {
namespace {

const std::string kDigest(64, 'a');

// A valid profile in which the tests replace one piece of text by another.
const std::string kValid =
    R"({"scheme": "countermark/1",)"
    R"( "layers": [{"name": "shared", "width": 2, "share": 40000, "slots": 1},)"
    R"( {"name": "account", "width": 3, "share": 25536, "slots": 8}],)"
    R"( "tokenizer": {"name": "demo", "sha256": ")" +
    kDigest + R"(", "file": "demo.json"}})";

std::string replaced(const std::string& from, const std::string& to) {
  std::string text = kValid;
  const std::size_t at = text.find(from);
  EXPECT_NE(at, text.npos) << from;
  EXPECT_EQ(text.find(from, at + 1), text.npos) << from << " is not unique";
  return text.replace(at, from.size(), to);
}

TEST(Profile, DefaultsAreTheSpecificationsAndRoundTrip) {
  const Profile profile = Profile::defaults();
  const std::vector<Layer> expected = {{LayerKind::kShared, 2, 32768, 1},
                                       {LayerKind::kCohort, 2, 8192, 1},
                                       {LayerKind::kAccount, 3, 24576, 8}};
  EXPECT_EQ(profile.layers(), expected);
  EXPECT_FALSE(profile.tokenizer().has_value());
  EXPECT_EQ(Profile::parse(profile.canonical_json()).value(), profile);
  EXPECT_EQ(Profile::parse(profile.pretty_json()).value(), profile);
  EXPECT_EQ(Profile::create(expected, std::nullopt).value(), profile);
}

TEST(Profile, CanonicalFormAndDigestArePinned) {
  EXPECT_EQ(Profile::defaults().canonical_json(),
            R"({"layers":[{"name":"shared","share":32768,"slots":1,"width":2},)"
            R"({"name":"cohort","share":8192,"slots":1,"width":2},)"
            R"({"name":"account","share":24576,"slots":8,"width":3}],)"
            R"("scheme":"countermark/1"})");
  // printf %s '…' | sha256sum
  EXPECT_EQ(Profile::defaults().digest(),
            "9b291a190bb09a8ec73fa69e7fd31e6a69caa3a2508a49f4ab8f2b68163c0776");
  EXPECT_EQ(Profile::parse(kValid).value().canonical_json(),
            R"({"layers":[{"name":"shared","share":40000,"slots":1,"width":2},)"
            R"({"name":"account","share":25536,"slots":8,"width":3}],)"
            R"("scheme":"countermark/1",)"
            R"("tokenizer":{"file":"demo.json","name":"demo","sha256":")" +
                kDigest + R"("}})");
}

TEST(Profile, DigestIgnoresOrderOfKeysWhiteSpaceAndEscapes) {
  const std::string reordered =
      "\t{\"tokenizer\":\r\n{\"file\":\"demo.json\",\"sha256\":\"" + kDigest +
      R"(","name":"\u0064emo"},"layers":[{"slots":1,"share":40000,"width":2,"name":"shared"},)"
      R"({"width":3,"name":"account","slots":8,"share":25536}],"scheme":"countermark\/1"} )"
      "\n";
  EXPECT_EQ(Profile::parse(reordered).value(), Profile::parse(kValid).value());
  EXPECT_EQ(Profile::parse(reordered).value().digest(), Profile::parse(kValid).value().digest());
}

TEST(Profile, DigestTellsEveryFieldApart) {
  const std::string digest = Profile::parse(kValid).value().digest();
  for (const auto& [from, to] :
       {std::pair{R"("width": 2)", R"("width": 1)"}, std::pair{R"("slots": 8)", R"("slots": 7)"},
        std::pair{R"("shared")", R"("cohort")"}, std::pair{R"("demo")", R"("Demo")"},
        std::pair{R"("demo.json")", R"("other.json")"}, std::pair{R"(, "file": "demo.json")", ""},
        std::pair{"aaaaaaaaaa\"", "aaaaaaaaab\""}}) {
    const auto profile = Profile::parse(replaced(from, to));
    ASSERT_TRUE(profile.has_value()) << profile.error().describe();
    EXPECT_NE(profile->digest(), digest) << to;
  }
}

TEST(Profile, AcceptsTheLimits) {
  for (const auto& [from, to] :
       {std::pair{R"("width": 3)", R"("width": 16)"}, std::pair{R"("width": 2)", R"("width": 1)"},
        std::pair{R"("width": 2)", R"("width": 3)"},
        std::pair{R"("slots": 8)", R"("slots": 65536)"}, std::pair{R"("account")", R"("shared")"}})
    EXPECT_TRUE(Profile::parse(replaced(from, to)).has_value()) << to;
  std::vector<Layer> sixteen(16, Layer{LayerKind::kAccount, 16, 0, 65536});
  sixteen[15].share = kShareTotal;
  const auto profile = Profile::create(sixteen, std::nullopt);
  ASSERT_TRUE(profile.has_value()) << profile.error().describe();
  EXPECT_EQ(profile->layers(), sixteen);
}

TEST(Profile, LayersOfAKind) {
  const Profile profile = Profile::create({{LayerKind::kShared, 1, 1, 1},
                                           {LayerKind::kAccount, 2, 2, 1},
                                           {LayerKind::kShared, 2, 65533, 1}},
                                          std::nullopt)
                              .value();
  EXPECT_EQ(profile.layers_of(LayerKind::kShared), (std::vector<std::uint8_t>{0, 2}));
  EXPECT_EQ(profile.layers_of(LayerKind::kAccount), (std::vector<std::uint8_t>{1}));
  EXPECT_TRUE(profile.layers_of(LayerKind::kCohort).empty());
}

struct BrokenRule {
  const char* from;
  const char* to;
  ErrorCode code;
  const char* field;
  // Between which two pieces of the changed text the offset lies.
  const char* at;
};

TEST(Profile, EveryBrokenRuleNamesItsFieldAndOffset) {
  constexpr ErrorCode kBad = ErrorCode::kInvalidInput;
  const BrokenRule rules[] = {
      {"countermark/1", "countermark/2", ErrorCode::kUnsupported, "scheme", "\"scheme\""},
      {"countermark/1", "countermark/1-draft", ErrorCode::kUnsupported, "scheme", "\"scheme\""},
      {"\"countermark/1\"", "1", kBad, "scheme", "\"scheme\""},
      {"\"scheme\"", "\"Scheme\"", kBad, "Scheme", "\"Scheme\""},
      {"{\"scheme\": \"countermark/1\",", "{", kBad, "scheme", "{ \"layers\""},
      {"\"tokenizer\"", "\"layers\"", kBad, "layers", "\"layers\": {"},
      {"\"tokenizer\"", "\"tokeniser\"", kBad, "tokeniser", "\"tokeniser\""},
      {"\"layers\"", "\"layer\"", kBad, "layer", "\"layer\""},
      {"\"slots\": 8", "\"slots\": 8, \"key\": 1", kBad, "layers[1].key", "\"key\""},
      {"\"slots\": 8", "\"slots\": 8, \"slots\": 8", kBad, "slots", "\"slots\": 8}"},
      {", \"slots\": 8", "", kBad, "layers[1].slots", "{\"name\": \"account\""},
      {"\"account\"", "\"Account\"", kBad, "layers[1].name", "\"name\": \"Account\""},
      {"\"account\"", "null", kBad, "layers[1].name", "\"name\": null"},
      {"\"width\": 2", "\"width\": 0", kBad, "layers[0].width", "\"width\": 0"},
      {"\"width\": 2", "\"width\": 4", kBad, "layers[1].width", "\"width\": 3"},
      {"\"width\": 3", "\"width\": 17", kBad, "layers[1].width", "\"width\": 17"},
      {"\"width\": 3", "\"width\": 3.0", kBad, "layers[1].width", "\"width\": 3.0"},
      {"\"width\": 3", "\"width\": \"3\"", kBad, "layers[1].width", "\"width\": \"3\""},
      {"\"width\": 3", "\"width\": -3", kBad, "layers[1].width", "\"width\": -3"},
      {"\"width\": 3", "\"width\": 4294967299", kBad, "layers[1].width", "\"width\": 4294967299"},
      {"\"slots\": 1", "\"slots\": 0", kBad, "layers[0].slots", "\"slots\": 0"},
      {"\"slots\": 1", "\"slots\": 65537", kBad, "layers[0].slots", "\"slots\": 65537"},
      {"40000", "65537", kBad, "layers[0].share", "\"share\": 65537"},
      {"40000", "40001", kBad, "layers", "\"layers\""},
      {"40000", "39999", kBad, "layers", "\"layers\""},
      {"{\"name\": \"shared\", \"width\": 2, \"share\": 40000, \"slots\": 1}", "7", kBad,
       "layers[0]", "7"},
      {"\"tokenizer\": {", "\"tokenizer\": {\"size\": 1, ", kBad, "tokenizer.size", "\"size\""},
      {"\"name\": \"demo\", ", "", kBad, "tokenizer.name", "\"tokenizer\""},
      {"\"demo\"", "\"\"", kBad, "tokenizer.name", "\"name\": \"\""},
      {"\"demo.json\"", "7", kBad, "tokenizer.file", "\"file\""},
      {"aaaaaaaaaa\"", "aaaaaaaaa\"", kBad, "tokenizer.sha256", "\"sha256\""},
      {"aaaaaaaaaa\"", "aaaaaaaaaaa\"", kBad, "tokenizer.sha256", "\"sha256\""},
      {"aaaaaaaaaa\"", "aaaaaaaaaA\"", kBad, "tokenizer.sha256", "\"sha256\""},
      {"aaaaaaaaaa\"", "aaaaaaaaag\"", kBad, "tokenizer.sha256", "\"sha256\""},
  };
  for (const BrokenRule& rule : rules) {
    std::string text = replaced(rule.from, rule.to);
    SCOPED_TRACE(text);
    const auto profile = Profile::parse(text);
    ASSERT_FALSE(profile.has_value());
    EXPECT_EQ(profile.error().code, rule.code) << profile.error().describe();
    EXPECT_EQ(profile.error().field, rule.field) << profile.error().describe();
    ASSERT_TRUE(profile.error().offset.has_value());
    // The offset lies in the member, from its key to two bytes behind the given piece.
    const std::size_t at = text.rfind(rule.at);
    ASSERT_NE(at, text.npos) << rule.at;
    EXPECT_GE(*profile.error().offset, at);
    EXPECT_LE(*profile.error().offset, at + std::string(rule.at).size() + 2);
  }
}

TEST(Profile, ADraftProfileIsToldWhatToDo) {
  const auto profile = Profile::parse(replaced("countermark/1", "countermark/1-draft"));
  ASSERT_FALSE(profile.has_value());
  EXPECT_NE(profile.error().describe().find("make a new profile"), std::string::npos);
}

TEST(Profile, OtherShapesAreRefused) {
  for (const char* text :
       {"", " ", "null", "[]", "7", "\"countermark/1\"", "{}", "{\"layers\":[]}",
        R"({"scheme":"countermark/1"})", R"({"scheme":"countermark/1","layers":[]})",
        R"({"scheme":"countermark/1","layers":{}})", R"({"scheme":"countermark/1","layers":[{}]})",
        R"({"scheme":"countermark/1","layers":[[1]]})",
        R"({"scheme":"countermark/1","layers":null})"}) {
    const auto profile = Profile::parse(text);
    ASSERT_FALSE(profile.has_value()) << text;
    EXPECT_EQ(profile.error().code, ErrorCode::kInvalidInput) << text;
    EXPECT_TRUE(profile.error().offset.has_value()) << text;
  }
  EXPECT_FALSE(Profile::parse(kValid + ",").has_value());
  EXPECT_FALSE(Profile::parse(kValid + kValid).has_value());
  EXPECT_FALSE(Profile::parse(replaced("\"slots\": 8}]", "\"slots\": 8},]")).has_value());
  EXPECT_FALSE(Profile::parse(replaced("\"slots\": 8", "\"slots\": 8,")).has_value());
  EXPECT_FALSE(Profile::parse(replaced("\"tokenizer\": {", "\"tokenizer\": null, \"x\": {")));
}

TEST(Profile, SeventeenLayersAreRefused) {
  std::vector<Layer> layers(17, Layer{LayerKind::kShared, 1, 0, 1});
  layers[0].share = kShareTotal;
  const auto profile = Profile::create(layers, std::nullopt);
  ASSERT_FALSE(profile.has_value());
  EXPECT_EQ(profile.error().field, "layers");
  layers.pop_back();
  EXPECT_TRUE(Profile::create(layers, std::nullopt).has_value());
}

TEST(Profile, CreateFollowsTheSameRules) {
  const Layer whole{LayerKind::kShared, 1, kShareTotal, 1};
  const auto field = [](std::vector<Layer> layers, std::optional<TokenizerReference> tokenizer) {
    const auto profile = Profile::create(std::move(layers), std::move(tokenizer));
    EXPECT_FALSE(profile.has_value());
    return profile ? "" : profile.error().field;
  };
  EXPECT_EQ(field({}, std::nullopt), "layers");
  EXPECT_EQ(field({{LayerKind::kShared, 0, kShareTotal, 1}}, std::nullopt), "layers[0].width");
  EXPECT_EQ(field({{LayerKind::kShared, 17, kShareTotal, 1}}, std::nullopt), "layers[0].width");
  EXPECT_EQ(field({{LayerKind::kShared, 1, kShareTotal, 0}}, std::nullopt), "layers[0].slots");
  EXPECT_EQ(field({{LayerKind::kShared, 1, 0xFFFFFFFF, 1}, whole}, std::nullopt),
            "layers[0].share");
  EXPECT_EQ(field({whole, whole}, std::nullopt), "layers");
  EXPECT_EQ(field({whole}, TokenizerReference{"", kDigest, ""}), "tokenizer.name");
  EXPECT_EQ(field({whole}, TokenizerReference{"t", "", ""}), "tokenizer.sha256");
  EXPECT_EQ(field({whole}, TokenizerReference{"\xFF", kDigest, ""}), "tokenizer.name");
  EXPECT_EQ(field({whole}, TokenizerReference{"t", kDigest, "\xC3"}), "tokenizer.file");
  EXPECT_EQ(field({whole}, TokenizerReference{"t", std::string(63, 'a') + "\xFF", ""}),
            "tokenizer.sha256");
  const TokenizerReference odd{"caf\xC3\xA9 \"\\\n", kDigest, std::string("a\0b", 3)};
  const auto profile = Profile::create({whole}, odd);
  ASSERT_TRUE(profile.has_value()) << profile.error().describe();
  EXPECT_EQ(profile->tokenizer(), odd);
  EXPECT_EQ(Profile::parse(profile->pretty_json()).value(), *profile);
}

TEST(Profile, TruncatedAnywhereIsRefused) {
  for (const std::string& text : {kValid, Profile::defaults().canonical_json()})
    for (std::size_t size = 0; size < text.size(); ++size)
      EXPECT_FALSE(Profile::parse(std::string_view(text).substr(0, size)).has_value()) << size;
}

// Whatever bytes come, either an error or a profile that round-trips.
TEST(Profile, DamagedTextNeverYieldsAnInvalidProfile) {
  SplitMix64 random(1);
  int accepted = 0;
  for (int i = 0; i < 40'000; ++i) {
    std::string text = kValid;
    for (std::uint32_t changes = 1 + random.below(3); changes > 0; --changes) {
      const std::size_t at = random.below(static_cast<std::uint32_t>(text.size()));
      switch (random.below(4)) {
        case 0:
          text[at] = static_cast<char>(random.below(256));
          break;
        case 1:
          text[at] = "{}[]\",:0123456789 "[random.below(18)];
          break;
        case 2:
          text.erase(at, 1 + random.below(4));
          break;
        default:
          text.insert(at, text.substr(random.below(static_cast<std::uint32_t>(at + 1)), 5));
      }
    }
    const auto profile = Profile::parse(text);
    if (!profile) continue;
    ++accepted;
    std::uint64_t shares = 0;
    for (const Layer& layer : profile->layers()) shares += layer.share;
    EXPECT_EQ(shares, kShareTotal);
    EXPECT_EQ(Profile::parse(profile->canonical_json()).value(), *profile);
  }
  EXPECT_GT(accepted, 0);
}

}  // namespace
}  // namespace countermark::tests
