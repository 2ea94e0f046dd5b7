// SPDX-License-Identifier: Apache-2.0
// The C interface: the draws of the C++ one, statuses instead of crashes, structs that grow.
#include <gtest/gtest.h>

#include <countermark.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/toy_engine.h"
#include "watermark/version.h"

namespace countermark::tests {
namespace {

template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* handle) const {
    kFree(handle);
  }
};
using ServiceHandle = std::unique_ptr<cm_service, Free<cm_service_free>>;
using ResponseHandle = std::unique_ptr<cm_response, Free<cm_response_free>>;
using WorkspaceHandle = std::unique_ptr<cm_workspace, Free<cm_workspace_free>>;

class CApi : public testing::Test {
 protected:
  cm_service_options service_options() {
    cm_service_options options = CM_INIT(cm_service_options);
    options.key = key_text_.data();
    options.key_size = key_text_.size();
    options.may_leak_timing = 1;  // wherever the tests run
    return options;
  }

  ServiceHandle serve(const cm_service_options& options) {
    cm_service* service = nullptr;
    EXPECT_EQ(cm_service_create(&options, &service, &error_), CM_OK) << error_.message;
    return ServiceHandle(service);
  }
  ServiceHandle serve() { return serve(service_options()); }

  cm_response_options response_options() {
    cm_response_options options = CM_INIT(cm_response_options);
    options.account = "account";
    options.cohort = "cohort";
    options.nonce = reinterpret_cast<const std::uint8_t*>("nonce");
    options.nonce_size = 5;
    options.plain_key = plain_key_.data();
    options.max_tokens = 300;
    return options;
  }

  ResponseHandle respond(const ServiceHandle& service, const cm_response_options& options) {
    cm_response* response = nullptr;
    EXPECT_EQ(cm_response_create(service.get(), &options, &response, &error_), CM_OK)
        << error_.message;
    return ResponseHandle(response);
  }
  ResponseHandle respond(const ServiceHandle& service) {
    return respond(service, response_options());
  }

  WorkspaceHandle workspace() {
    cm_workspace* workspace = nullptr;
    EXPECT_EQ(cm_workspace_create(8, 1'000, 8, &workspace, &error_), CM_OK);
    return WorkspaceHandle(workspace);
  }

  // The same response without the interface.
  Response reference() {
    return {mark_, {"cohort", "account"}, "nonce", Secret<16>(plain_key_), 300};
  }

  static cm_row row_of(const ResponseHandle& response, const std::vector<float>& logits) {
    cm_row row = CM_INIT(cm_row);
    row.response = response.get();
    row.logits = logits.data();
    row.size = logits.size();
    row.temperature = 1;
    return row;
  }

  ToyModel model_{1'000, 6};
  EpochKey key_ = SplitMix64(1).epoch_key();
  std::string key_text_ = "# an epoch key\n" + key_.to_text() + "\n";
  NativeMark mark_ = make_mark(key_, Profile::defaults());
  std::array<std::uint8_t, 16> plain_key_{1, 2, 3};
  cm_error error_ = CM_INIT(cm_error);
};

TEST_F(CApi, SaysItsVersion) {
  EXPECT_EQ(cm_abi_version(), static_cast<std::uint32_t>(CM_ABI_VERSION));
  EXPECT_EQ(cm_version(), kVersion);
  EXPECT_STREQ(cm_kind_name(CM_SHORT_CONTEXT), "short-context");
  EXPECT_STREQ(cm_kind_name(CM_KINDS), "");
}

TEST_F(CApi, DrawsWhatTheSamplerDraws) {
  const auto service = serve();
  const auto scratch = workspace();
  SplitMix64 random(5);
  for (const SamplingOptions& options :
       {SamplingOptions{}, {0.7, 50, 0.95, 0}, {1.3, 0, 0.9, 0.02}, {0}}) {
    const auto response = respond(service);
    Response expected = reference();
    SamplerWorkspace sampler;
    for (int step = 0; step < 200; ++step) {
      const auto logits = model_.logits(expected.tokens());
      cm_row row = row_of(response, logits);
      row.temperature = options.temperature;
      row.top_k = options.top_k;
      row.top_p = options.top_p;
      row.min_p = options.min_p;
      row.attempt = random.below(8) == 0 ? 1 : 0;
      cm_draw draw;
      ASSERT_EQ(cm_sample(service.get(), scratch.get(), &row, 1, &draw, &error_), CM_OK);
      const Draw wanted = *sample({logits}, options, expected, {}, row.attempt, sampler);
      ASSERT_EQ(draw.token, wanted.token);
      ASSERT_EQ(draw.kind, static_cast<std::uint32_t>(wanted.kind));
      ASSERT_EQ(draw.layer, wanted.layer);
      ASSERT_EQ(draw.status, CM_OK);
      expected.commit(wanted.token);
      ASSERT_EQ(cm_commit(response.get(), draw.token), CM_OK);
      if (step % 50 == 20) {
        expected.start_channel();
        ASSERT_EQ(cm_start_channel(response.get()), CM_OK);
      }
      if (step % 50 == 40) {
        const std::size_t back = expected.mark_point() - 5;
        EXPECT_EQ(cm_mark_point(response.get()), expected.mark_point());
        expected.rewind(back);
        ASSERT_EQ(cm_rewind(response.get(), back), CM_OK);
      }
    }
  }
}

TEST_F(CApi, EveryTypeAndListsOfCandidates) {
  const auto service = serve();
  const auto scratch = workspace();
  const auto response = respond(service);
  Response expected = reference();
  for (const TokenId token : {1u, 2u, 3u}) {
    expected.commit(token);
    cm_commit(response.get(), token);
  }
  SplitMix64 random(3);
  std::vector<std::uint16_t> bits(1'000);
  std::vector<TokenId> ids(1'000);
  std::vector<float> logits(1'000);
  for (std::size_t i = 0; i < bits.size(); ++i) {
    bits[i] = static_cast<std::uint16_t>(0x3c00 + random.below(0x800));
    ids[i] = static_cast<TokenId>(7 * i + 3);
    logits[i] = static_cast<float>(9 * random.unit());
  }
  SamplerWorkspace sampler;
  for (const bool listed : {false, true}) {
    const TokenSpan list = listed ? TokenSpan(ids) : TokenSpan();
    const LogitsRow rows[] = {
        {logits, list}, LogitsRow::f16(bits, list), LogitsRow::bf16(bits, list)};
    for (std::uint32_t type = CM_F32; type <= CM_BF16; ++type) {
      cm_row row = row_of(response, logits);
      row.type = type;
      if (type != CM_F32) row.logits = bits.data();
      row.ids = listed ? ids.data() : nullptr;
      row.top_k = 40;
      cm_draw draw;
      ASSERT_EQ(cm_sample(service.get(), scratch.get(), &row, 1, &draw, &error_), CM_OK);
      EXPECT_EQ(draw.token, sample(rows[type], {1, 40}, expected, {}, 0, sampler)->token);
    }
  }
}

// Draft trees of several responses in one call, with a refused row among them.
TEST_F(CApi, BatchesAreThoseOfTheSampler) {
  const auto service = serve();
  const auto scratch = workspace();
  SplitMix64 random(9);
  const auto first = respond(service);
  const auto second = respond(service);
  Response expected_first = reference();
  Response expected_second = reference();
  for (const TokenId token : {5u, 6u, 7u}) {
    expected_first.commit(token);
    cm_commit(first.get(), token);
  }
  for (int round = 0; round < 50; ++round) {
    DraftTrees trees;
    trees.grow(model_, expected_first, 1 + random.below(10), random);
    trees.grow(model_, expected_second, 1 + random.below(10), random);
    std::vector<cm_row> rows;
    for (const BatchRow& from : trees.rows) {
      cm_row row = row_of(from.response == &expected_first ? first : second, {});
      row.logits = from.logits.logits.data;
      row.size = from.logits.logits.size;
      row.parent = from.parent == BatchRow::kNoParent ? 0 : from.parent + 1;
      row.draft = from.draft;
      rows.push_back(row);
    }
    std::vector<Result<Draw>> expected(rows.size());
    BatchWorkspace batch;
    sample_batch(trees.rows, batch, expected);
    std::vector<cm_draw> draws(rows.size());
    ASSERT_EQ(cm_sample(service.get(), scratch.get(), rows.data(),
                        static_cast<std::uint32_t>(rows.size()), draws.data(), &error_),
              CM_OK);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(draws[i].token, expected[i]->token);
      EXPECT_EQ(draws[i].kind, static_cast<std::uint32_t>(expected[i]->kind));
    }
    // One row in the middle goes wrong; its neighbours do not.
    const std::vector<float> nothing(10, std::numeric_limits<float>::quiet_NaN());
    rows.insert(rows.begin(), row_of(first, nothing));
    for (cm_row& row : rows) row.parent += row.parent == 0 ? 0 : 1;
    draws.resize(rows.size());
    EXPECT_EQ(cm_sample(service.get(), scratch.get(), rows.data(),
                        static_cast<std::uint32_t>(rows.size()), draws.data(), &error_),
              CM_NO_CANDIDATE);
    EXPECT_EQ(error_.status, CM_NO_CANDIDATE);
    EXPECT_EQ(draws[0].status, CM_NO_CANDIDATE);
    for (std::size_t i = 1; i < rows.size(); ++i) {
      EXPECT_EQ(draws[i].status, CM_OK);
      EXPECT_EQ(draws[i].token, expected[i - 1]->token);
    }
  }
}

TEST_F(CApi, WordsAreThoseOfTheMark) {
  const auto service = serve();
  const auto response = respond(service);
  for (std::uint32_t token = 10; token < 14; ++token) cm_commit(response.get(), token);
  const std::vector<TokenId> tokens = {0, 1, 2, 3, 4, 99, 0xffffffff};
  std::vector<std::uint32_t> words(tokens.size()), expected(tokens.size());
  for (const std::vector<TokenId>& path : {std::vector<TokenId>{}, {20, 21}}) {
    cm_draw how;
    ASSERT_EQ(cm_words(response.get(), path.data(), static_cast<std::uint32_t>(path.size()), 0,
                       tokens.data(), tokens.size(), words.data(), &how),
              CM_OK);
    ASSERT_EQ(how.kind, static_cast<std::uint32_t>(CM_MARKED));
    std::vector<TokenId> context = {10, 11, 12, 13};
    context.insert(context.end(), path.begin(), path.end());
    const Route route = *mark_.route(context);
    EXPECT_EQ(how.layer, route.layer);
    Response same = reference();
    mark_.words(route, *same.tag(route.layer), tokens, expected);
    EXPECT_EQ(words, expected);
  }
  // Unmarked ones are the plain key's.
  ASSERT_EQ(
      cm_words(response.get(), nullptr, 0, 1, tokens.data(), tokens.size(), words.data(), nullptr),
      CM_OK);
  EXPECT_NE(words, expected);
  EXPECT_EQ(cm_words(nullptr, nullptr, 0, 0, nullptr, 0, nullptr, nullptr), CM_INVALID_ARGUMENT);
}

TEST_F(CApi, ABadStartIsNoStart) {
  cm_service* service = nullptr;
  const auto refused = [&](const cm_service_options& options) {
    error_ = CM_INIT(cm_error);
    service = reinterpret_cast<cm_service*>(1);
    const std::int32_t status = cm_service_create(&options, &service, &error_);
    EXPECT_EQ(service, nullptr);
    EXPECT_EQ(status, error_.status);
    EXPECT_GT(std::strlen(error_.message), 5U);
    EXPECT_EQ(std::string(error_.message).find("CM-SECRET"), std::string::npos);
    return status;
  };
  cm_service_options options = service_options();
  options.key = "CM-SECRET-KEY-1nonsense";
  options.key_size = 23;
  EXPECT_EQ(refused(options), CM_KEY);
  options = service_options();
  options.key = nullptr;
  EXPECT_EQ(refused(options), CM_KEY);
  const std::string master = MasterKey(SplitMix64(4).secret<32>()).to_text();
  options = service_options();
  options.key = master.data();
  options.key_size = master.size();
  EXPECT_EQ(refused(options), CM_KEY);
  options = service_options();
  options.profile = "{}";
  options.profile_size = 2;
  EXPECT_EQ(refused(options), CM_INVALID_INPUT);
  options = service_options();
  options.policy = 2;
  EXPECT_EQ(refused(options), CM_INVALID_ARGUMENT);
  options = service_options();
  options.struct_size = 4;
  EXPECT_EQ(refused(options), CM_INVALID_ARGUMENT);
  EXPECT_EQ(cm_service_create(nullptr, &service, nullptr), CM_INVALID_ARGUMENT);
  EXPECT_EQ(cm_service_create(&options, nullptr, nullptr), CM_INVALID_ARGUMENT);
}

TEST_F(CApi, BadRowsGetAStatus) {
  const auto service = serve();
  const auto scratch = workspace();
  const auto response = respond(service);
  const auto logits = model_.logits({});
  const auto status_of = [&](auto change) {
    cm_row row = row_of(response, logits);
    change(row);
    cm_draw draw = {};
    error_ = CM_INIT(cm_error);
    const std::int32_t status = cm_sample(service.get(), scratch.get(), &row, 1, &draw, &error_);
    EXPECT_EQ(status, error_.status) << error_.message;
    return status;
  };
  EXPECT_EQ(status_of([](cm_row&) {}), CM_OK);
  EXPECT_EQ(status_of([](cm_row& row) { row.response = nullptr; }), CM_INVALID_ARGUMENT);
  EXPECT_EQ(status_of([](cm_row& row) { row.logits = nullptr; }), CM_INVALID_ARGUMENT);
  EXPECT_EQ(status_of([](cm_row& row) { row.type = 3; }), CM_INVALID_ARGUMENT);
  EXPECT_EQ(status_of([](cm_row& row) { row.temperature = -1; }), CM_INVALID_ARGUMENT);
  EXPECT_EQ(status_of([](cm_row& row) { row.top_p = 2; }), CM_INVALID_ARGUMENT);
  EXPECT_EQ(status_of([](cm_row& row) { row.parent = 1; }), CM_INVALID_ARGUMENT);
  EXPECT_EQ(status_of([](cm_row& row) { row.size = 0; }), CM_NO_CANDIDATE);
  EXPECT_EQ(status_of([](cm_row& row) { row.struct_size = 12; }), CM_INVALID_ARGUMENT);
  // Of two rows the second is no row: neither was drawn, and both say so.
  cm_row rows[2] = {row_of(response, logits), row_of(response, logits)};
  rows[1].struct_size = 12;
  cm_draw draws[2] = {{9, CM_OK, 0, 0}, {9, CM_OK, 0, 0}};
  EXPECT_EQ(cm_sample(service.get(), scratch.get(), rows, 2, draws, &error_), CM_INVALID_ARGUMENT);
  for (const cm_draw& draw : draws) EXPECT_EQ(draw.status, CM_INTERNAL);
  const auto other = serve();
  EXPECT_EQ(cm_sample(other.get(), scratch.get(), rows, 1, draws, &error_), CM_INVALID_ARGUMENT);
  EXPECT_EQ(cm_sample(service.get(), scratch.get(), nullptr, 0, nullptr, nullptr), CM_OK);
  EXPECT_EQ(cm_sample(service.get(), scratch.get(), nullptr, 1, nullptr, nullptr),
            CM_INVALID_ARGUMENT);
}

TEST_F(CApi, ResponsesHaveAnEnd) {
  const auto service = serve();
  cm_response_options options = response_options();
  options.max_tokens = 2;
  const auto response = respond(service, options);
  EXPECT_EQ(cm_commit(response.get(), 1), CM_OK);
  EXPECT_EQ(cm_commit(response.get(), 2), CM_OK);
  EXPECT_EQ(cm_commit(response.get(), 3), CM_FULL);
  EXPECT_EQ(cm_rewind(response.get(), 3), CM_INVALID_ARGUMENT);
  EXPECT_EQ(cm_rewind(response.get(), 1), CM_OK);
  EXPECT_EQ(cm_commit(response.get(), 3), CM_OK);
  for (int i = 0; i < 64; ++i) EXPECT_EQ(cm_start_channel(response.get()), CM_OK);
  EXPECT_EQ(cm_start_channel(response.get()), CM_FULL);
  cm_response* none = nullptr;
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1} << 40}) {
    options.max_tokens = size;
    EXPECT_EQ(cm_response_create(service.get(), &options, &none, &error_), CM_INVALID_ARGUMENT);
  }
  EXPECT_EQ(cm_response_create(nullptr, &options, &none, nullptr), CM_INVALID_ARGUMENT);
  EXPECT_EQ(cm_response_copy(nullptr, &none, nullptr), CM_INVALID_ARGUMENT);
}

TEST_F(CApi, CopiesGoOnAlike) {
  const auto service = serve();
  const auto scratch = workspace();
  const auto response = respond(service);
  const auto step = [&](const ResponseHandle& on, std::vector<TokenId>& said) {
    const auto logits = model_.logits(said);
    const cm_row row = row_of(on, logits);
    cm_draw draw;
    EXPECT_EQ(cm_sample(service.get(), scratch.get(), &row, 1, &draw, &error_), CM_OK);
    cm_commit(on.get(), draw.token);
    said.push_back(draw.token);
  };
  std::vector<TokenId> said;
  for (int i = 0; i < 50; ++i) step(response, said);
  cm_response* made = nullptr;
  ASSERT_EQ(cm_response_copy(response.get(), &made, &error_), CM_OK);
  const ResponseHandle copy(made);
  std::vector<TokenId> other = said;
  for (int i = 0; i < 50; ++i) step(copy, other);
  for (int i = 0; i < 50; ++i) step(response, said);
  EXPECT_EQ(said, other);
}

TEST_F(CApi, RecordsOfAResponse) {
  const auto service = serve();
  const auto response = respond(service);
  EXPECT_EQ(cm_response_key_id(response.get()), key_.key_id());
  EXPECT_STREQ(cm_response_epoch(response.get()), "epoch");
  EXPECT_EQ(cm_response_slot(response.get(), 2), mark_.slot(2, "nonce"));
  EXPECT_EQ(cm_response_slot(response.get(), 3), UINT32_MAX);
}

TEST_F(CApi, KeysChangeAndMarkingIsSwitched) {
  const auto service = serve();
  const auto scratch = workspace();
  const auto kind_of_next = [&](const ResponseHandle& response) {
    const auto logits = model_.logits({});
    const cm_row row = row_of(response, logits);
    cm_draw draw;
    EXPECT_EQ(cm_sample(service.get(), scratch.get(), &row, 1, &draw, &error_), CM_OK);
    return draw.kind;
  };
  const auto begun = [&] {
    auto response = respond(service);
    for (std::uint32_t token = 0; token < 3; ++token) cm_commit(response.get(), token);
    return response;
  };
  const auto before = begun();
  EXPECT_EQ(cm_service_set_key(service.get(), "x", 1, &error_), CM_KEY);
  const EpochKey next = EpochKey::create(SplitMix64(8).secret<32>(), "model", "next").value();
  const EpochKey other = EpochKey::create(SplitMix64(8).secret<32>(), "other", "next").value();
  std::string text = other.to_text();
  EXPECT_EQ(cm_service_set_key(service.get(), text.data(), text.size(), &error_), CM_MISMATCH);
  text = next.to_text();
  EXPECT_EQ(cm_service_set_key(service.get(), text.data(), text.size(), &error_), CM_OK);
  const auto after = begun();
  EXPECT_STREQ(cm_response_epoch(before.get()), "epoch");
  EXPECT_STREQ(cm_response_epoch(after.get()), "next");
  EXPECT_EQ(kind_of_next(before), static_cast<std::uint32_t>(CM_MARKED));
  cm_service_revoke_key(service.get());
  EXPECT_EQ(kind_of_next(after), static_cast<std::uint32_t>(CM_MARKED));
  const auto without = begun();
  EXPECT_EQ(kind_of_next(without), static_cast<std::uint32_t>(CM_FAILED));
  EXPECT_STREQ(cm_response_key_id(without.get()), "");
  EXPECT_STREQ(cm_response_epoch(without.get()), "");
  EXPECT_EQ(cm_response_slot(without.get(), 0), UINT32_MAX);
  cm_service_set_marking(service.get(), 0);
  EXPECT_EQ(kind_of_next(before), static_cast<std::uint32_t>(CM_OFF));
  cm_service_set_marking(service.get(), 1);
  EXPECT_EQ(kind_of_next(before), static_cast<std::uint32_t>(CM_MARKED));

  cm_counters counters = CM_INIT(cm_counters);
  ASSERT_EQ(cm_service_counters(service.get(), &counters), CM_OK);
  EXPECT_EQ(counters.draws[CM_MARKED], 3U);
  EXPECT_EQ(counters.draws[CM_OFF], 1U);
  EXPECT_EQ(counters.draws[CM_FAILED], 1U);
  EXPECT_EQ(counters.responses, 3U);
  EXPECT_EQ(counters.key_changes, 2U);
}

TEST_F(CApi, RefusesByPolicyAndLogs) {
  cm_service_options options = service_options();
  options.policy = CM_REFUSE;
  std::vector<std::string> lines;
  options.user = &lines;
  options.log = [](void* user, const char* line) {
    static_cast<std::vector<std::string>*>(user)->emplace_back(line);
  };
  const auto service = serve(options);
  cm_service_revoke_key(service.get());
  cm_response* response = nullptr;
  const cm_response_options wanted = response_options();
  EXPECT_EQ(cm_response_create(service.get(), &wanted, &response, &error_), CM_KEY);
  EXPECT_EQ(response, nullptr);
  EXPECT_EQ(lines.size(), 1U);
}

TEST_F(CApi, TextsAreCutToTheirRoom) {
  const auto service = serve();
  const std::size_t size = cm_service_describe(service.get(), nullptr, 0);
  std::string whole(size + 1, 'x');
  EXPECT_EQ(cm_service_describe(service.get(), whole.data(), whole.size()), size);
  EXPECT_EQ(whole.back(), '\0');
  EXPECT_TRUE(whole.starts_with("countermark "));
  std::string cut(8, 'x');
  EXPECT_EQ(cm_service_describe(service.get(), cut.data(), cut.size()), size);
  EXPECT_EQ(cut, std::string("counter") + '\0');
  std::string metrics(cm_service_metrics(service.get(), nullptr, 0) + 1, 'x');
  cm_service_metrics(service.get(), metrics.data(), metrics.size());
  EXPECT_NE(metrics.find("countermark_draws_total{kind=\"marked\"} 0\n"), std::string::npos);
}

// Structs of programs that know fewer fields, and of programs that know more.
TEST_F(CApi, StructsMayGrow) {
  const auto service = serve();
  const auto scratch = workspace();
  const auto response = respond(service);
  const auto logits = model_.logits({});
  struct Larger {
    cm_row row;
    std::uint64_t of_a_later_version;
  };
  Larger rows[2] = {{row_of(response, logits), 1}, {row_of(response, logits), 1}};
  for (Larger& row : rows) row.row.struct_size = sizeof(Larger);
  cm_draw draws[2];
  ASSERT_EQ(cm_sample(service.get(), scratch.get(), &rows[0].row, 2, draws, &error_), CM_OK);
  EXPECT_EQ(draws[0].token, draws[1].token);

  cm_row smaller = row_of(response, logits);
  smaller.struct_size = offsetof(cm_row, attempt) + 4;  // knows neither parent nor draft
  smaller.parent = 77;
  ASSERT_EQ(cm_sample(service.get(), scratch.get(), &smaller, 1, draws, &error_), CM_OK);
  EXPECT_EQ(draws[0].token, draws[1].token);

  struct {
    std::uint32_t struct_size = 40;
    std::uint32_t reserved = 0;
    std::uint64_t draws[4];
    std::uint64_t untouched = 99;
  } few;
  ASSERT_EQ(cm_service_counters(service.get(), reinterpret_cast<cm_counters*>(&few)), CM_OK);
  EXPECT_EQ(few.struct_size, 40U);
  EXPECT_EQ(few.untouched, 99U);

  struct {
    std::uint32_t struct_size = 16;
    std::int32_t status = 0;
    char message[8];
    char untouched = 'x';
  } brief;
  cm_service* none = nullptr;
  EXPECT_NE(cm_service_create(nullptr, &none, reinterpret_cast<cm_error*>(&brief)), CM_OK);
  EXPECT_EQ(std::strlen(brief.message), 7U);
  EXPECT_EQ(brief.untouched, 'x');
}

}  // namespace
}  // namespace countermark::tests
