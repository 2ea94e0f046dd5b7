// SPDX-License-Identifier: Apache-2.0
// Known answers: every case of the reference's files on keys, contexts, routes, streams, words,
// scores and documents, with every kernel. Histories and draws: vectors_draw_test.cpp.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "tests/support/vectors.h"
#include "verifier/detect/tape.h"
#include "watermark/prf/hash.h"

namespace countermark::tests {
namespace {

using nlohmann::json;

// Loads a file and pins how many cases it had when this test was written.
json load_at_least(const std::string& topic, std::size_t cases) {
  json file = load_vectors(topic);
  EXPECT_GE(file.at("cases").size(), cases) << "cases were lost from " << topic;
  return file;
}

template <typename Array>
std::string hex(const Array& bytes) {
  return to_hex(Bytes(bytes));
}

std::string hex_state(const std::optional<Route>& route) { return hex(route.value().state); }

// A mark whose layers 0 to 15 all exist, the first of which takes every position.
Profile sixteen_layers(unsigned width, std::uint32_t slots) {
  std::vector<Layer> layers(kMaxLayers, Layer{LayerKind::kShared, width, 0, slots});
  layers[0].share = kShareTotal;
  return Profile::create(layers, std::nullopt).value();
}

NativeMark mark_of(const EpochKey& key, const Profile& profile, const Kernel* kernel) {
  return NativeMark::create(key, profile, kernel).value();
}

// The scheme is frozen: other vectors are another scheme.
TEST(Vectors, FilesAreTheFrozenOnes) {
  const std::string folder = std::string(COUNTERMARK_VECTORS_DIR) + "/";
  std::ifstream pins(folder + "countermark-1.sha256");
  std::string digest, name;
  std::size_t files = 0;
  for (; pins >> digest >> name; ++files) {
    std::ifstream file(folder + name, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    EXPECT_EQ(hex(sha256(bytes)), digest) << name;
  }
  EXPECT_EQ(files, 10u);
}

void expect_keys(const EpochKey& key, const json& expected) {
  EXPECT_EQ(key.key_id(), expected.at("keyId"));
  EXPECT_EQ(hex(key.context_key().view()), expected.at("Kctx"));
  ASSERT_EQ(expected.at("Kcand").size(), kMaxLayers);
  for (std::size_t i = 0; i < kMaxLayers; ++i)
    EXPECT_EQ(hex(key.candidate_key(static_cast<std::uint8_t>(i)).view()),
              expected.at("Kcand").at(i));
  EXPECT_EQ(hex(key.stream_key().view()), expected.at("Kstr"));
  EXPECT_EQ(hex(key.slot_key().view()), expected.at("Kslot"));
}

TEST(Vectors, Keys) {
  const json file = load_at_least("keys", 12);
  std::size_t cases = 0;
  for (const json& expected : file.at("cases")) {
    ++cases;
    const EpochKey key = key_of(expected);
    const auto model = expected.at("model").get<std::string>();
    const auto epoch = expected.at("epoch").get<std::string>();
    SCOPED_TRACE(model);
    expect_keys(key, expected);
    // The epoch's bytes have no accessor; a key made of the expected ones is the same key.
    const Secret<32> bytes(unhex_array<32>(expected.at("EPOCH")));
    const EpochKey direct = EpochKey::create(bytes, model, epoch).value();
    expect_keys(direct, expected);
    EXPECT_EQ(direct.to_text(), key.to_text());
  }
  EXPECT_GE(cases, 12u);
}

TEST(Vectors, Context) {
  const json file = load_at_least("context", 124);
  for (const Kernel* kernel : supported_kernels()) {
    for (unsigned width = 1; width <= kMaxWidth; ++width) {
      const NativeMark mark = mark_of(key_of(file), sixteen_layers(width, 1), kernel);
      std::size_t cases = 0;
      for (const json& expected : file.at("cases")) {
        std::vector<TokenId> tokens = expected.at("context");
        if (tokens.size() != width) continue;
        ++cases;
        EXPECT_EQ(hex_state(mark.route(tokens)), expected.at("S")) << expected;
        // What lies further back does not matter.
        tokens.insert(tokens.begin(), 99);
        EXPECT_EQ(hex_state(mark.route(tokens)), expected.at("S")) << expected;
      }
      EXPECT_GE(cases, width == 1 ? 4u : 8u);
    }
  }
}

TEST(Vectors, Route) {
  const json file = load_at_least("route", 309);
  for (const Kernel* kernel : supported_kernels()) {
    std::size_t coins = 0;
    std::size_t cases = 0;
    for (const auto& [name, table] : file.at("profiles").items()) {
      const NativeMark mark = mark_of(key_of(file), profile_of(table), kernel);
      for (const json& expected : file.at("cases")) {
        if (expected.at("profile") != name) continue;
        ++cases;
        SCOPED_TRACE(expected.dump());
        const std::vector<TokenId> tokens = expected.at("tokens");
        const auto route = mark.route(tokens);
        ASSERT_EQ(route.has_value(), !expected.at("layer").is_null());
        ASSERT_EQ(route.has_value(), !expected.at("S").is_null());
        if (route) {
          EXPECT_EQ(route->layer, expected.at("layer").get<int>());
          EXPECT_EQ(route->width, mark.layers()[route->layer].width);
          EXPECT_EQ(hex(route->state), expected.at("S"));
          EXPECT_EQ(route->width, expected.at("coins").back().at(0));
        }
        std::uint64_t open = kShareTotal;
        for (const json& coin : expected.at("coins")) {
          const NativeMark single = mark_of(key_of(file), sixteen_layers(coin.at(0), 1), kernel);
          const std::uint32_t c = load_le32(single.route(tokens).value().state.data() + 12);
          EXPECT_EQ(c, coin.at(1));
          EXPECT_EQ(open, coin.at(2));
          EXPECT_EQ((c * open) >> 32, coin.at(3));
          for (const Layer& layer : mark.layers())
            if (layer.width == coin.at(0)) open -= layer.share;
          ++coins;
        }
      }
    }
    EXPECT_EQ(cases, file.at("cases").size());
    EXPECT_GE(coins, 309u);
  }
}

TEST(Vectors, Stream) {
  const json file = load_at_least("stream", 86);
  std::size_t tags = 0, slots = 0, sets = 0;
  for (const json& expected : file.at("cases")) {
    SCOPED_TRACE(expected.dump());
    const std::string kind = expected.at("kind");
    const std::uint8_t layer = expected.at("layer");
    const NativeMark mark =
        mark_of(key_of(file), sixteen_layers(1, expected.value("slots", 1U)), nullptr);
    if (kind == "tag") {
      ++tags;
      EXPECT_EQ(hex(mark.tag(layer, unhex(expected.at("identity")), expected.at("slot"))),
                expected.at("TAG"));
    } else if (kind == "slot") {
      ++slots;
      EXPECT_EQ(mark.slot(layer, unhex(expected.at("nonce"))), expected.at("slot"));
    } else {
      ASSERT_EQ(kind, "all-tags");
      ++sets;
      std::string all;
      for (std::uint32_t slot = 0; slot < expected.at("slots"); ++slot)
        for (const std::uint8_t byte : mark.tag(layer, unhex(expected.at("identity")), slot))
          all += static_cast<char>(byte);
      EXPECT_EQ(hex(sha256(all)), expected.at("sha256"));
    }
  }
  EXPECT_GE(tags, 45u);
  EXPECT_GE(slots, 40u);
  EXPECT_EQ(sets, 1u);
}

TEST(Vectors, Word) {
  const json file = load_at_least("word", 54);
  for (const Kernel* kernel : supported_kernels()) {
    for (const json& expected : file.at("cases")) {
      SCOPED_TRACE(expected.dump());
      const std::vector<TokenId> context = expected.at("context");
      const auto width = static_cast<unsigned>(context.size());
      const NativeMark mark = mark_of(key_of(file), sixteen_layers(width, 1), kernel);
      Route route = mark.route(context).value();
      EXPECT_EQ(hex(route.state), expected.at("S"));
      route.layer = expected.at("layer");
      const Tag tag = mark.tag(route.layer, unhex(expected.at("identity")), expected.at("slot"));
      const std::array<TokenId, 1> token{expected.at("token").get<TokenId>()};
      std::array<std::uint32_t, 1> word{};
      mark.words(route, tag, token, word);
      EXPECT_EQ(word[0], expected.at("word"));
      EXPECT_EQ(exponential_score(word[0]), expected.at("score"));
      word[0] = 0;
      mark.words(route.layer, std::span(&route.state, 1), token, tag, word);
      EXPECT_EQ(word[0], expected.at("word"));
    }
  }
}

TEST(Vectors, Score) {
  const json file = load_at_least("score", 499);
  std::size_t cases = 0;
  for (const json& expected : file.at("cases")) {
    EXPECT_EQ(exponential_score(expected.at("word")), expected.at("score")) << expected;
    ++cases;
  }
  EXPECT_GE(cases, 499u);
}

TEST(Vectors, Document) {
  const json file = load_at_least("document", 8);
  std::size_t scored = 0;
  for (const Kernel* kernel : supported_kernels()) {
    const NativeMark mark = mark_of(key_of(file), profile_of(file.at("layers")), kernel);
    for (const json& expected : file.at("cases")) {
      SCOPED_TRACE(expected.at("name").get<std::string>());
      const std::vector<TokenId> tokens = expected.at("tokens");
      detect::Tape tape(mark);
      tape.add(tokens);
      EXPECT_EQ(tape.tokens(), tokens.size());

      ASSERT_EQ(expected.at("layer").size(), tokens.size());
      std::vector<int> first(tokens.size());
      for (std::size_t t = 0; t < tokens.size(); ++t) {
        const auto route = mark.route(TokenSpan(tokens).first(t));
        EXPECT_EQ(route ? json(route->layer) : json(), expected.at("layer").at(t)) << t;
      }
      for (std::uint8_t layer = 0; layer < mark.layers().size(); ++layer) {
        EXPECT_EQ(tape.layer(layer).tokens.size(), expected.at("n").at(layer));
        for (std::size_t i = 0; i < tape.layer(layer).tokens.size(); ++i) {
          const std::uint64_t position = tape.layer(layer).positions.at(i);
          EXPECT_EQ(tape.layer(layer).tokens[i], tokens.at(position));
          EXPECT_EQ(expected.at("layer").at(position), layer);
          ++first.at(position);
          ++scored;
        }
      }
      EXPECT_EQ(json(first), expected.at("first"));

      EXPECT_GE(expected.at("tallies").size(), 19u);
      for (const json& stream : expected.at("tallies")) {
        const std::uint8_t layer = stream.at("layer");
        const Tag tag = mark.tag(layer, unhex(stream.at("identity")), stream.at("slot"));
        const detect::Tally tally = detect::tally(tape, layer, tag);
        EXPECT_EQ(tally.n, stream.at("n")) << stream;
        EXPECT_EQ(std::to_string(tally.sum), stream.at("sum")) << stream;
        std::uint64_t sum = 0;
        for (const std::uint32_t score : detect::scores(tape, layer, tag)) sum += score;
        EXPECT_EQ(sum, tally.sum);
      }
    }
  }
  EXPECT_GE(scored, 400u);
}

}  // namespace
}  // namespace countermark::tests
