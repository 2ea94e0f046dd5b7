// SPDX-License-Identifier: Apache-2.0
// Known answers for what the sampler decides: the plan of every draw of scripted responses, and
// the token of every draw that a response can reach.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "tests/support/vectors.h"
#include "watermark/sampler.h"

namespace countermark::tests {
namespace {

using nlohmann::json;

const std::map<std::string, DrawKind> kPlans = {{"mark", DrawKind::kMarked},
                                                {"short", DrawKind::kShortContext},
                                                {"repeated", DrawKind::kRepeated},
                                                {"full", DrawKind::kHistoryFull}};

TEST(Vectors, History) {
  const json file = load_vectors("history");
  const json profiles = load_vectors("route").at("profiles");
  ASSERT_GE(file.at("cases").size(), 16u);
  const std::vector<float> logits(2, 0);
  SamplerWorkspace workspace;
  std::map<std::string, int> plans;
  for (const json& script : file.at("cases")) {
    const NativeMark mark =
        NativeMark::create(key_of(file), profile_of(profiles.at(script.at("profile")))).value();
    Response response(mark, {"cohort", "account"}, "nonce", Secret<16>(), 1000,
                      script.at("capacity"));
    std::size_t step = 0;
    for (const json& op : script.at("ops")) {
      SCOPED_TRACE(script.at("name").get<std::string>() + ", step " + std::to_string(step++));
      const std::string name = op.at("op");
      std::vector<TokenId> path;
      if (name == "commit") {
        EXPECT_TRUE(response.commit(op.at("token")));
      } else if (name == "rewind") {
        response.rewind(op.at("to"));
      } else if (name == "plan") {
        path = op.at("path").get<std::vector<TokenId>>();
      } else {
        ASSERT_EQ(name, "mark");
        EXPECT_EQ(response.mark_point(), op.at("mark"));
      }
      EXPECT_EQ(response.tokens().size(), op.at("length"));
      EXPECT_EQ(response.history().size(), op.at("entries"));

      const Draw draw = sample({logits}, {}, response, path, 0, workspace).value();
      EXPECT_STREQ(draw_kind_name(draw.kind), draw_kind_name(kPlans.at(op.at("plan"))));
      std::vector<TokenId> all(response.tokens().begin(), response.tokens().end());
      all.insert(all.end(), path.begin(), path.end());
      const auto route = mark.route(all);
      EXPECT_EQ(route ? json(route->layer) : json(), op.at("layer"));
      if (draw.kind == DrawKind::kMarked) {
        EXPECT_EQ(draw.layer, op.at("layer").get<int>());
      }
      ++plans[op.at("plan")];
    }
  }
  for (const auto& [name, kind] : kPlans) EXPECT_GE(plans[name], 20) << name;
}

// A profile under which every context of `width` goes to `layer`.
Profile only_layer(unsigned width, std::size_t layer, LayerKind kind) {
  std::vector<Layer> layers(layer, Layer{LayerKind::kShared, width, 0, 1});
  layers.push_back({kind, width, kShareTotal, 8});
  return Profile::create(layers, std::nullopt).value();
}

// A nonce that chooses the slot.
std::string nonce_of(const NativeMark& mark, std::uint8_t layer, std::uint32_t slot) {
  for (int i = 0;; ++i)
    if (mark.slot(layer, std::to_string(i)) == slot) return std::to_string(i);
}

// The row carries ln p in single precision, which no case of the file is close enough to a tie to
// notice; the cases that are ties have equal probabilities. Positions beyond 1000 are out of reach.
TEST(Vectors, Draw) {
  const json file = load_vectors("draw");
  ASSERT_GE(file.at("cases").size(), 122u);
  std::size_t marked = 0, plain = 0, out_of_reach = 0;
  SamplerWorkspace workspace;
  for (const json& expected : file.at("cases")) {
    SCOPED_TRACE(expected.dump());
    const std::uint32_t attempt = expected.at("attempt");
    const std::uint64_t position = std::stoull(expected.at("position").get<std::string>());
    std::vector<TokenId> ids;
    std::vector<float> logits;
    for (const json& candidate : expected.at("candidates")) {
      ids.push_back(candidate.at(0));
      logits.push_back(static_cast<float>(std::log(std::stod(candidate.at(1).get<std::string>()))));
    }
    const bool has_context = expected.contains("context");
    std::vector<TokenId> context;
    if (has_context) context = expected.at("context").get<std::vector<TokenId>>();

    std::vector<TokenId> committed;
    if (expected.at("marked").get<bool>()) {
      committed = context;  // a marked draw does not depend on the position
    } else {
      // A plain draw depends on the position alone; only a response of that length reaches it.
      if (position > 1000) {
        ++out_of_reach;
        continue;
      }
      committed.assign(position, 5);
    }
    const std::uint8_t layer = has_context ? expected.at("layer").get<std::uint8_t>() : 0;
    const std::string identity = has_context ? unhex(expected.at("identity")) : "";
    const LayerKind kind = identity.empty() ? LayerKind::kShared : LayerKind::kAccount;
    const unsigned width =
        expected.at("marked") ? static_cast<unsigned>(context.size()) : kMaxWidth;
    const NativeMark mark =
        NativeMark::create(key_of(file), only_layer(width, layer, kind)).value();
    const std::string nonce =
        has_context ? nonce_of(mark, layer, expected.at("slot")) : std::string();
    // Without a history every draw is plain, whatever its position.
    Response response(mark, {"", identity}, nonce,
                      Secret<16>(unhex_array<16>(expected.at("plainKey"))), 1000,
                      expected.at("marked") ? 1000 : 0);
    for (const TokenId token : committed) response.commit(token);

    const Draw draw = sample({logits, ids}, {}, response, {}, attempt, workspace).value();
    EXPECT_EQ(draw.token, expected.at("token"));
    EXPECT_EQ(draw.kind == DrawKind::kMarked, expected.at("marked").get<bool>());
    if (draw.kind == DrawKind::kMarked) {
      EXPECT_EQ(to_hex(Bytes(response.tag(layer).value())), expected.at("TAG"));
      EXPECT_EQ(to_hex(Bytes(mark.route(context).value().state)), expected.at("S"));
      ++marked;
    } else {
      ++plain;
    }
  }
  EXPECT_GE(marked, 39u);
  EXPECT_GE(plain, 49u);
  EXPECT_LE(out_of_reach, 34u);
}

}  // namespace
}  // namespace countermark::tests
