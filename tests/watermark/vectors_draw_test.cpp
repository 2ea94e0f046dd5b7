// SPDX-License-Identifier: Apache-2.0
// Known answers for what the sampler decides: the plan of every draw of scripted responses, and
// the token of every draw that a response can reach.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cmath>
#include <map>
#include <optional>
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

void check_histories(const Kernel* kernel) {
  const json file = load_vectors("history");
  const json profiles = load_vectors("route").at("profiles");
  ASSERT_GE(file.at("cases").size(), 20u);
  const std::vector<float> logits(2, 0);
  SamplerWorkspace workspace;
  std::map<std::string, int> plans;
  for (const json& script : file.at("cases")) {
    const NativeMark mark =
        NativeMark::create(key_of(file), profile_of(profiles.at(script.at("profile"))), kernel)
            .value();
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
      } else if (name == "channel") {
        EXPECT_TRUE(response.start_channel());
      } else {
        ASSERT_EQ(name, "mark");
        EXPECT_EQ(response.mark_point(), op.at("mark"));
      }
      EXPECT_EQ(response.tokens().size(), op.at("length"));
      EXPECT_EQ(response.history().size(), op.at("entries"));

      const Draw draw = sample({logits}, {}, response, path, 0, workspace).value();
      EXPECT_STREQ(draw_kind_name(draw.kind), draw_kind_name(kPlans.at(op.at("plan"))));
      std::vector<TokenId> all(response.channel().begin(), response.channel().end());
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

TEST(Vectors, History) {
  for (const Kernel* kernel : supported_kernels()) check_histories(kernel);
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

// The candidates [id, p] of a vector file as a row. It carries ln p in single precision, which no
// case is close enough to a tie to notice; the cases that are ties have equal probabilities.
struct Row {
  std::vector<TokenId> ids{};
  std::vector<float> logits{};
};

Row row_of(const json& candidates) {
  Row row;
  for (const json& candidate : candidates) {
    row.ids.push_back(candidate.at(0));
    const double p = std::stod(candidate.at(1).get<std::string>());
    row.logits.push_back(static_cast<float>(std::log(p)));
  }
  return row;
}

// The specification's word of an unmarked draw, from AES alone: the sampler does not show its own.
std::uint32_t plain_word(const Aes128& cipher, TokenId token, std::uint64_t position,
                         std::uint32_t attempt) {
  Block block;
  store_le32(block.data(), token >> 2);
  store_le32(block.data() + 4, static_cast<std::uint32_t>(position));
  store_le32(block.data() + 8, static_cast<std::uint32_t>(position >> 32));
  store_le32(block.data() + 12, attempt);
  return load_le32(cipher.encrypt(block).data() + std::size_t{4} * (token & 3));
}

// A path of any length that costs no memory: the pages of a mapping that nobody writes.
class LongPath {
 public:
  explicit LongPath(std::uint64_t tokens) : tokens_(tokens) {
    memory_ = mmap(nullptr, tokens * sizeof(TokenId), PROT_READ,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  }
  ~LongPath() {
    if (mapped()) munmap(memory_, tokens_ * sizeof(TokenId));
  }
  LongPath(const LongPath&) = delete;
  LongPath& operator=(const LongPath&) = delete;
  bool mapped() const { return memory_ != MAP_FAILED; }
  TokenSpan span() const { return {static_cast<const TokenId*>(memory_), tokens_}; }

 private:
  std::uint64_t tokens_;
  void* memory_;
};

constexpr std::uint64_t kLongestPath = (std::uint64_t{1} << 32) + 1000;

void check_draws(const Kernel* kernel) {
  const json file = load_vectors("draw");
  ASSERT_GE(file.at("cases").size(), 122u);
  std::size_t marked = 0, plain = 0, beyond_32_bits = 0, out_of_reach = 0;
  SamplerWorkspace workspace;
  for (const json& expected : file.at("cases")) {
    SCOPED_TRACE(expected.dump());
    const std::uint32_t attempt = expected.at("attempt");
    const std::uint64_t position = std::stoull(expected.at("position").get<std::string>());
    const Secret<16> plain_key(unhex_array<16>(expected.at("plainKey")));
    const bool is_marked = expected.at("marked");
    const Row row = row_of(expected.at("candidates"));
    std::vector<std::uint32_t> words(row.ids.size());

    std::vector<TokenId> context;
    Identity identity;
    std::uint8_t layer = 0;
    if (expected.contains("context")) {
      context = expected.at("context").get<std::vector<TokenId>>();
      layer = expected.at("layer");
      identity.account = unhex(expected.at("identity"));
    }
    const bool has_context = !context.empty();
    const auto width = static_cast<unsigned>(context.size());
    const LayerKind kind = identity.account.empty() ? LayerKind::kShared : LayerKind::kAccount;
    const NativeMark mark =
        NativeMark::create(key_of(file), only_layer(has_context ? width : kMaxWidth, layer, kind),
                           kernel)
            .value();
    const std::string nonce =
        has_context ? nonce_of(mark, layer, expected.at("slot")) : std::string();
    // Without room in the history a draw is plain, whatever its position.
    Response response(mark, identity, nonce, plain_key, 1000, is_marked ? 1000 : 0);
    if (has_context) {
      const Route route = mark.route(context).value();
      EXPECT_EQ(to_hex(Bytes(route.state)), expected.at("S"));
      EXPECT_EQ(to_hex(Bytes(response.tag(layer).value())), expected.at("TAG"));
      if (is_marked) mark.words(route, *response.tag(layer), row.ids, words);
    }
    if (!is_marked) {
      const Aes128 cipher(plain_key, mark.kernel());
      for (std::size_t i = 0; i < words.size(); ++i)
        words[i] = plain_word(cipher, row.ids[i], position, attempt);
    }
    EXPECT_EQ(json(words), expected.at("words"));

    // A marked draw does not depend on the position, a plain one on nothing else.
    std::optional<LongPath> path;
    if (is_marked) {
      for (const TokenId token : context) response.commit(token);
    } else if (position <= 1000) {
      for (std::uint64_t i = 0; i < position; ++i) response.commit(5);
    } else {
      if (position <= kLongestPath) path.emplace(position);
      if (!path || !path->mapped()) {
        ++out_of_reach;
        std::size_t best = 0;
        const auto arrival = [&](std::size_t i) {
          return -std::log((words[i] + 0.5) * 0x1p-32) / std::exp(double{row.logits[i]});
        };
        for (std::size_t i = 1; i < words.size(); ++i)
          if (arrival(i) < arrival(best)) best = i;
        EXPECT_EQ(row.ids[best], expected.at("token"));
        continue;
      }
      ++beyond_32_bits;
    }
    const TokenSpan drafts = path ? path->span() : TokenSpan();
    const Draw draw =
        sample({row.logits, row.ids}, {}, response, drafts, attempt, workspace).value();
    EXPECT_EQ(draw.token, expected.at("token"));
    EXPECT_EQ(draw.kind == DrawKind::kMarked, is_marked);
    ++(is_marked ? marked : plain);
  }
  EXPECT_GE(marked, 39u);
  EXPECT_GE(plain, 49u + beyond_32_bits);
  EXPECT_EQ(out_of_reach + beyond_32_bits, 34u);
}

TEST(Vectors, Draw) {
  for (const Kernel* kernel : supported_kernels()) check_draws(kernel);
}

const std::map<std::string, DrawKind> kKinds = {
    {"mark", DrawKind::kMarked},         {"short", DrawKind::kShortContext},
    {"repeated", DrawKind::kRepeated},   {"full", DrawKind::kHistoryFull},
    {"identity", DrawKind::kNoIdentity}, {"redraw", DrawKind::kRedraw},
    {"one", DrawKind::kOneCandidate}};

void check_responses(const Kernel* kernel) {
  const json file = load_vectors("response");
  ASSERT_GE(file.at("cases").size(), 6u);
  SamplerWorkspace workspace;
  std::map<std::string, int> kinds;
  for (const json& script : file.at("cases")) {
    const NativeMark mark =
        NativeMark::create(key_of(file), profile_of(file.at("profiles").at(script.at("layers"))),
                           kernel)
            .value();
    Response response(mark, {script.at("cohort"), script.at("account")}, unhex(script.at("nonce")),
                      Secret<16>(unhex_array<16>(script.at("plainKey"))), 1000,
                      script.at("capacity"));
    for (std::uint8_t layer = 0; layer < mark.layers().size(); ++layer) {
      const json& tags = script.at("tags");
      ASSERT_EQ(response.tag(layer).has_value(), tags.contains(std::to_string(layer)));
      if (response.tag(layer)) {
        EXPECT_EQ(to_hex(Bytes(*response.tag(layer))), tags.at(std::to_string(layer)));
      }
    }
    std::size_t step = 0;
    for (const json& op : script.at("ops")) {
      SCOPED_TRACE(script.at("name").get<std::string>() + ", step " + std::to_string(step++));
      const std::string name = op.at("op");
      if (name == "commit") {
        EXPECT_TRUE(response.commit(op.at("token")));
      } else if (name == "channel") {
        EXPECT_TRUE(response.start_channel());
      } else if (name == "rewind") {
        response.rewind(op.at("to"));
      } else {
        ASSERT_EQ(name, "draw");
        const std::vector<TokenId> path = op.at("path");
        const Row row = row_of(file.at("rows").at(std::to_string(op.at("row").get<int>())));
        const Draw draw =
            sample({row.logits, row.ids}, {}, response, path, op.at("attempt"), workspace).value();
        EXPECT_STREQ(draw_kind_name(draw.kind), draw_kind_name(kKinds.at(op.at("kind"))));
        EXPECT_EQ(draw.token, op.at("token"));
        EXPECT_EQ(draw.kind == DrawKind::kMarked ? json(draw.layer) : json(), op.at("layer"));
        ++kinds[op.at("kind")];
      }
    }
  }
  for (const auto& [name, kind] : kKinds) EXPECT_GE(kinds[name], 5) << name;
}

TEST(Vectors, Response) {
  for (const Kernel* kernel : supported_kernels()) check_responses(kernel);
}

}  // namespace
}  // namespace countermark::tests
