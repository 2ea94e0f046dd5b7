// SPDX-License-Identifier: Apache-2.0
// The sampler for llama.cpp's chains, called as llama.cpp calls it: through the table of its
// interface. Inside the real library it is tested by python/tests/test_llama_cpp.py.
#include <gtest/gtest.h>

#include <countermark.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/toy_engine.h"

// As in llama.h, of the oldest version that is served.
extern "C" {
struct llama_token_data {
  std::int32_t id;
  float logit;
  float p;
};
struct llama_token_data_array {
  llama_token_data* data;
  std::size_t size;
  std::int64_t selected;
  bool sorted;
};
struct llama_sampler_i {
  const char* (*name)(const llama_sampler*);
  void (*accept)(llama_sampler*, std::int32_t);
  void (*apply)(llama_sampler*, llama_token_data_array*);
  void (*reset)(llama_sampler*);
  llama_sampler* (*clone)(const llama_sampler*);
  void (*free)(llama_sampler*);
  void* later[26];
};
struct llama_sampler {
  llama_sampler_i* iface;
  void* ctx;
};

static llama_sampler* init_sampler(llama_sampler_i* iface, void* ctx) {
  return new llama_sampler{iface, ctx};
}
static llama_sampler* init_nothing(llama_sampler_i*, void*) { return nullptr; }
}

namespace countermark::tests {
namespace {

struct FreeSampler {
  void operator()(llama_sampler* sampler) const {
    sampler->iface->free(sampler);
    delete sampler;
  }
};
using Sampler = std::unique_ptr<llama_sampler, FreeSampler>;

struct FreeService {
  void operator()(cm_service* service) const { cm_service_free(service); }
};

class LlamaSampler : public testing::Test {
 protected:
  void SetUp() override { serve(CM_SERVE_UNMARKED); }

  void serve(cm_policy policy) {
    cm_service_options options = CM_INIT(cm_service_options);
    options.key = key_text_.data();
    options.key_size = key_text_.size();
    options.policy = policy;
    options.may_leak_timing = 1;
    cm_service* service = nullptr;
    ASSERT_EQ(cm_service_create(&options, &service, &error_), CM_OK) << error_.message;
    service_.reset(service);
  }

  cm_response_options options() {
    cm_response_options options = CM_INIT(cm_response_options);
    options.account = "account";
    options.cohort = "cohort";
    options.nonce = reinterpret_cast<const std::uint8_t*>("nonce");
    options.nonce_size = 5;
    options.plain_key = plain_key_.data();
    options.max_tokens = 300;
    return options;
  }

  Sampler sampler(const cm_response_options& options) {
    llama_sampler* out = nullptr;
    EXPECT_EQ(cm_llama_sampler_create(service_.get(), &options, init_sampler, &out, &error_), CM_OK)
        << error_.message;
    return Sampler(out);
  }
  Sampler sampler() { return sampler(options()); }

  Response reference() {
    return {mark_, {"cohort", "account"}, "nonce", Secret<16>(plain_key_), 300};
  }

  // What llama_sampler_sample does, without the accept.
  static TokenId apply(const Sampler& sampler, const std::vector<float>& logits,
                       const std::vector<TokenId>& ids = {}) {
    std::vector<llama_token_data> data;
    for (std::size_t i = 0; i < logits.size(); ++i)
      data.push_back({static_cast<std::int32_t>(ids.empty() ? i : ids[i]), logits[i], 0});
    llama_token_data_array array{data.data(), data.size(), -1, false};
    sampler->iface->apply(sampler.get(), &array);
    EXPECT_EQ(array.size, logits.size());
    EXPECT_GE(array.selected, 0);
    double total = 0;
    for (std::size_t i = 0; i < data.size(); ++i) {
      EXPECT_TRUE(data[i].logit == logits[i] || std::isnan(logits[i]));
      total += data[i].p;
    }
    EXPECT_NEAR(total, 1, 1e-4);
    return static_cast<TokenId>(data[static_cast<std::size_t>(array.selected)].id);
  }

  static void accept(const Sampler& sampler, TokenId token) {
    sampler->iface->accept(sampler.get(), static_cast<std::int32_t>(token));
  }

  std::vector<TokenId> write(const Sampler& sampler, std::vector<TokenId> tokens,
                             std::size_t length) const {
    while (tokens.size() < length) {
      tokens.push_back(apply(sampler, model_.logits(tokens)));
      accept(sampler, tokens.back());
    }
    return tokens;
  }

  cm_counters counters() const {
    cm_counters out = CM_INIT(cm_counters);
    EXPECT_EQ(cm_service_counters(service_.get(), &out), CM_OK);
    return out;
  }

  ToyModel model_{500, 6};
  EpochKey key_ = SplitMix64(1).epoch_key();
  std::string key_text_ = key_.to_text() + "\n";
  NativeMark mark_ = make_mark(key_, Profile::defaults());
  std::array<std::uint8_t, 16> plain_key_{1, 2, 3};
  cm_error error_ = CM_INIT(cm_error);
  std::unique_ptr<cm_service, FreeService> service_;
};

TEST_F(LlamaSampler, DrawsWhatTheSamplerDraws) {
  const Sampler chain_end = sampler();
  EXPECT_STREQ(chain_end->iface->name(chain_end.get()), "countermark");
  for (const void* later : chain_end->iface->later) EXPECT_EQ(later, nullptr);
  Response expected = reference();
  SamplerWorkspace workspace;
  SplitMix64 random(5);
  for (int step = 0; step < 300; ++step) {
    std::vector<float> logits = model_.logits(expected.tokens());
    std::vector<TokenId> ids;
    if (step % 2 == 1) {
      // What a truncation leaves, in any order; some entries masked by a grammar.
      logits.resize(30);
      for (TokenId i = 0; i < 30; ++i) ids.push_back((i * 37 + 11) % 500);
      for (std::size_t masked = 0; masked < 5; ++masked)
        logits[random.below(30)] = -std::numeric_limits<float>::infinity();
      logits[random.below(30)] = std::numeric_limits<float>::quiet_NaN();
    }
    const Draw wanted = *sample({logits, ids}, {}, expected, {}, 0, workspace);
    ASSERT_EQ(apply(chain_end, logits, ids), wanted.token);
    // A grammar may have it applied again, to other candidates and to the same ones.
    apply(chain_end, {1, 2, 3});
    ASSERT_EQ(apply(chain_end, logits, ids),
              sample({logits, ids}, {}, expected, {}, 2, workspace)->token);
    accept(chain_end, wanted.token);
    expected.commit(wanted.token);
  }
}

// As llama.cpp's own servers do: the chain without the grammar, then, if the grammar forbids what
// was drawn, the chain behind it. Of the tokens A, B, C with .5, .3, .2 top-k leaves two, A is
// forbidden: C comes with 5/8 of 2/5. With the noise of the first draw B, which lost to A, would be
// too rare.
TEST_F(LlamaSampler, AGrammarsRedrawKeepsTheLaw) {
  constexpr int kResponses = 20000;
  const float a = std::log(.5F), b = std::log(.3F), c = std::log(.2F);
  SplitMix64 random(11);
  for (const bool is_marked : {false, true}) {
    int third = 0;
    for (int i = 0; i < kResponses; ++i) {
      cm_response_options wanted = options();
      wanted.plain_key = nullptr;
      wanted.max_tokens = 10;
      const Sampler chain_end = sampler(wanted);
      for (int before = 0; is_marked && before < 4; ++before) {
        apply(chain_end, {a, b});
        accept(chain_end, static_cast<TokenId>(random.below(1u << 30)));
      }
      TokenId token = apply(chain_end, {a, b}, {0, 1});
      if (token == 0) token = apply(chain_end, {b, c}, {1, 2});
      third += token == 2 ? 1 : 0;
    }
    EXPECT_NEAR(third / double{kResponses}, .25, 5 * std::sqrt(.25 * .75 / kResponses))
        << is_marked;
  }
  EXPECT_GT(counters().draws[CM_MARKED], 0.9 * kResponses);
}

TEST_F(LlamaSampler, ThePromptIsNoPartOfTheResponse) {
  const Sampler chain_end = sampler();
  for (const TokenId token : {9u, 8u, 7u, 6u}) accept(chain_end, token);
  const auto first = write(chain_end, {}, 1);
  EXPECT_EQ(counters().draws[CM_SHORT_CONTEXT], 1u);
  const auto answer = write(chain_end, first, 100);
  const Sampler without_prompt = sampler();
  EXPECT_EQ(write(without_prompt, {}, 100), answer);
}

TEST_F(LlamaSampler, AResetBeginsAnotherResponse) {
  const Sampler chain_end = sampler();
  chain_end->iface->reset(chain_end.get());  // before anything was drawn: nothing to leave behind
  const auto first = write(chain_end, {}, 100);
  EXPECT_EQ(write(sampler(), {}, 100), first);
  chain_end->iface->reset(chain_end.get());
  for (const TokenId token : {9u, 8u, 7u, 6u}) accept(chain_end, token);
  const auto second = write(chain_end, {}, 100);
  EXPECT_NE(second, first);
  EXPECT_EQ(counters().responses, 3u);
  // Without a key it is unmarked, and says so.
  cm_service_revoke_key(service_.get());
  chain_end->iface->reset(chain_end.get());
  EXPECT_NE(write(chain_end, {}, 100), second);
  EXPECT_EQ(counters().draws[CM_FAILED], 100u);
}

TEST_F(LlamaSampler, AResetCannotRefuse) {
  serve(CM_REFUSE);
  const Sampler chain_end = sampler();
  write(chain_end, {}, 10);
  cm_service_revoke_key(service_.get());
  chain_end->iface->reset(chain_end.get());
  const auto second = write(chain_end, {}, 50);
  chain_end->iface->reset(chain_end.get());
  EXPECT_NE(write(chain_end, {}, 50), second);
  EXPECT_EQ(counters().refused, 2u);
  EXPECT_EQ(counters().draws[CM_OFF], 100u);
  llama_sampler* none = nullptr;
  const cm_response_options wanted = options();
  EXPECT_EQ(cm_llama_sampler_create(service_.get(), &wanted, init_sampler, &none, &error_), CM_KEY);
  EXPECT_EQ(none, nullptr);
}

TEST_F(LlamaSampler, AClonesDrawsAreTheSameAndItsOwn) {
  Sampler chain_end = sampler();
  const auto begun = write(chain_end, {}, 40);
  const Sampler copy(chain_end->iface->clone(chain_end.get()));
  const auto whole = write(copy, begun, 200);
  accept(chain_end, 5);  // goes another way
  chain_end.reset();
  EXPECT_EQ(write(sampler(), {}, 200), whole);
  const Sampler again(copy->iface->clone(copy.get()));
  EXPECT_EQ(write(again, whole, 250), write(copy, whole, 250));
  // Before the first draw it still waits for its prompt.
  const Sampler fresh = sampler();
  const Sampler copied(fresh->iface->clone(fresh.get()));
  for (const TokenId token : {9u, 8u, 7u, 6u}) accept(copied, token);
  EXPECT_EQ(write(copied, {}, 200), whole);
}

TEST_F(LlamaSampler, GoesOnUnmarkedWhenItIsFull) {
  cm_response_options wanted = options();
  wanted.max_tokens = 20;
  const Sampler chain_end = sampler(wanted);
  // One context, so that noise that repeated itself would show.
  std::vector<TokenId> tokens;
  for (int step = 0; step < 200; ++step) {
    tokens.push_back(apply(chain_end, std::vector<float>(100, 0)));
    accept(chain_end, tokens.back());
  }
  EXPECT_EQ(counters().draws[CM_OFF], 179u);  // the 21st is drawn before it finds no place
  const std::vector<TokenId> early(tokens.begin(), tokens.begin() + 20);
  for (std::size_t at = 20; at + 20 <= tokens.size(); at += 20)
    EXPECT_FALSE(std::equal(early.begin(), early.end(), tokens.begin() + static_cast<int>(at)));
}

TEST_F(LlamaSampler, OddRows) {
  const Sampler chain_end = sampler();
  llama_token_data_array nothing{nullptr, 0, 0, false};
  chain_end->iface->apply(chain_end.get(), &nothing);
  EXPECT_EQ(nothing.selected, -1);
  const float none = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(apply(chain_end, {none, none}, {3, 4}), 3u);
  EXPECT_EQ(counters().errors, 1u);
  EXPECT_EQ(apply(chain_end, {none, 1, none}, {3, 4, 5}), 4u);
  EXPECT_EQ(apply(chain_end, {7}, {9}), 9u);
  EXPECT_EQ(counters().draws[CM_ONE_CANDIDATE], 2u);
  EXPECT_EQ(apply(chain_end, {1, -none, 2}), 1u);
}

TEST_F(LlamaSampler, RefusesWhatItCannotUse) {
  llama_sampler* out = nullptr;
  cm_response_options wanted = options();
  EXPECT_EQ(cm_llama_sampler_create(service_.get(), &wanted, init_sampler, nullptr, &error_),
            CM_INVALID_ARGUMENT);
  EXPECT_EQ(cm_llama_sampler_create(service_.get(), &wanted, nullptr, &out, &error_),
            CM_INVALID_ARGUMENT);
  EXPECT_EQ(cm_llama_sampler_create(nullptr, &wanted, init_sampler, &out, &error_),
            CM_INVALID_ARGUMENT);
  EXPECT_EQ(cm_llama_sampler_create(service_.get(), &wanted, init_nothing, &out, &error_),
            CM_INTERNAL);
  wanted.max_tokens = 0;
  EXPECT_EQ(cm_llama_sampler_create(service_.get(), &wanted, init_sampler, &out, &error_),
            CM_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace countermark::tests
