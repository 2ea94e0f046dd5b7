// SPDX-License-Identifier: Apache-2.0
#include "watermark/service.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <sstream>

#include "tests/support/toy_engine.h"

namespace countermark::tests {
namespace {

constexpr std::string_view kNonce = "nonce";

class ServiceTest : public testing::Test {
 protected:
  std::unique_ptr<Service> serve(FailurePolicy policy = FailurePolicy::kServeUnmarked) {
    ServiceOptions options;
    options.policy = policy;
    options.may_leak_timing = true;  // wherever the tests run
    options.log = [this](std::string_view line) { lines_.emplace_back(line); };
    return Service::create(key_, Profile::defaults(), options).value();
  }

  ResponseOptions wanted(std::size_t max_tokens = 200) {
    return {{"cohort", "account"}, kNonce, SplitMix64(7).secret<16>(), max_tokens};
  }

  // Draws until the response has `length` tokens, with the kinds of the draws.
  std::vector<DrawKind> run(Service& service, Response& response, std::size_t length) {
    std::vector<DrawKind> kinds;
    std::vector<Result<Draw>> out(1);
    while (response.tokens().size() < length) {
      const auto logits = model_.logits(response.tokens());
      const BatchRow row{{logits}, {}, &response};
      service.sample({&row, 1}, workspace_, out);
      kinds.push_back(out[0]->kind);
      response.commit(out[0]->token);
    }
    return kinds;
  }

  static std::vector<TokenId> tokens(const Response& response) {
    return {response.tokens().begin(), response.tokens().end()};
  }

  // What a response under this key says, without a service.
  std::vector<TokenId> expected(const EpochKey& key, std::size_t length) {
    const NativeMark mark = make_mark(key, Profile::defaults());
    Response response(mark, {"cohort", "account"}, kNonce, SplitMix64(7).secret<16>(), 200);
    decode(model_, response, length);
    return tokens(response);
  }

  ToyModel model_{1'000};
  EpochKey key_ = SplitMix64(1).epoch_key();
  EpochKey next_ = EpochKey::create(SplitMix64(2).secret<32>(), "model", "next").value();
  BatchWorkspace workspace_;
  std::vector<std::string> lines_;
};

TEST_F(ServiceTest, DrawsAsItsMarkDoes) {
  const auto service = serve();
  Response response = service->respond(wanted()).value();
  const auto kinds = run(*service, response, 100);
  EXPECT_EQ(tokens(response), expected(key_, 100));
  const Counters counted = service->counters();
  for (std::size_t kind = 0; kind < kDrawKinds; ++kind)
    EXPECT_EQ(counted.draws[kind], static_cast<std::uint64_t>(std::count(
                                       kinds.begin(), kinds.end(), static_cast<DrawKind>(kind))));
  EXPECT_GT(counted.draws[0], 90U);
  EXPECT_EQ(counted.responses, 1U);
  EXPECT_EQ(counted.errors, 0U);
  EXPECT_TRUE(lines_.empty());
}

TEST_F(ServiceTest, AResponseKeepsItsKey) {
  const auto service = serve();
  Response before = service->respond(wanted()).value();
  run(*service, before, 50);
  EXPECT_EQ(service->key_id(), key_.key_id());
  ASSERT_TRUE(service->set_key(next_));
  EXPECT_EQ(service->key_id(), next_.key_id());
  Response after = service->respond(wanted()).value();
  run(*service, after, 100);
  run(*service, before, 100);
  service->revoke_key();
  EXPECT_EQ(service->key_id(), "");
  run(*service, after, 150);
  run(*service, before, 150);
  EXPECT_EQ(tokens(before), expected(key_, 150));
  EXPECT_EQ(tokens(after), expected(next_, 150));
  EXPECT_EQ(before.mark().epoch_id(), "epoch");
  EXPECT_EQ(after.mark().epoch_id(), "next");
  EXPECT_EQ(service->counters().key_changes, 2U);
}

TEST_F(ServiceTest, AKeyOfAnotherModelChangesNothing) {
  const auto service = serve();
  const EpochKey other = EpochKey::create(SplitMix64(3).secret<32>(), "other", "next").value();
  EXPECT_EQ(service->set_key(other).error().code, ErrorCode::kMismatch);
  EXPECT_EQ(service->key_id(), key_.key_id());
  EXPECT_EQ(service->counters().key_changes, 0U);
}

TEST_F(ServiceTest, WithoutAKeyItServesUnmarked) {
  const auto service = serve();
  service->revoke_key();
  Response response = service->respond(wanted()).value();
  const auto kinds = run(*service, response, 50);
  EXPECT_EQ(std::count(kinds.begin(), kinds.end(), DrawKind::kFailed), 50);
  EXPECT_NE(tokens(response), expected(key_, 50));
  // Many of them are one line.
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(service->respond(wanted()));
  EXPECT_EQ(lines_, std::vector<std::string>{"no key: responses are served unmarked"});
  EXPECT_EQ(service->counters().refused, 0U);

  ASSERT_TRUE(service->set_key(next_));
  Response marked = service->respond(wanted()).value();
  run(*service, marked, 50);
  EXPECT_EQ(tokens(marked), expected(next_, 50));
  // What began without a key ends without one.
  const auto rest = run(*service, response, 60);
  EXPECT_EQ(std::count(rest.begin(), rest.end(), DrawKind::kFailed), 10);
}

TEST_F(ServiceTest, WithoutAKeyItRefuses) {
  const auto service = serve(FailurePolicy::kRefuse);
  service->revoke_key();
  EXPECT_EQ(service->respond(wanted()).error().code, ErrorCode::kKey);
  EXPECT_EQ(service->counters().refused, 1U);
  EXPECT_EQ(service->counters().responses, 0U);
  EXPECT_EQ(lines_, std::vector<std::string>{"no key: responses are refused"});
  // Nobody wanted this one marked.
  ResponseOptions unmarked = wanted();
  unmarked.marked = false;
  EXPECT_TRUE(service->respond(unmarked));
}

TEST_F(ServiceTest, MarkingIsSwitchedBetweenDraws) {
  const auto service = serve();
  Response response = service->respond(wanted()).value();
  run(*service, response, 40);
  service->set_marking(false);
  EXPECT_FALSE(service->is_marking());
  const auto off = run(*service, response, 80);
  EXPECT_EQ(std::count(off.begin(), off.end(), DrawKind::kOff), 40);
  service->set_marking(true);
  const auto on = run(*service, response, 120);
  EXPECT_GT(std::count(on.begin(), on.end(), DrawKind::kMarked), 30);
  // The contexts of the unmarked stretch are known: the same history as for these tokens at once.
  Response again = service->respond(wanted()).value();
  for (const TokenId token : response.tokens()) again.commit(token);
  EXPECT_EQ(again.history().size(), response.history().size());
  EXPECT_EQ(service->counters().draws[static_cast<std::size_t>(DrawKind::kOff)], 40U);
}

TEST_F(ServiceTest, AnOperatorMayLeaveAResponseUnmarked) {
  const auto service = serve();
  ResponseOptions options = wanted();
  options.marked = false;
  Response response = service->respond(options).value();
  const auto kinds = run(*service, response, 30);
  EXPECT_EQ(std::count(kinds.begin(), kinds.end(), DrawKind::kOff), 30);
}

TEST_F(ServiceTest, WhatIsNotGivenIsRandom) {
  const auto service = serve();
  ResponseOptions options;
  options.max_tokens = 50;
  Response a = service->respond(options).value();
  Response b = service->respond(options).value();
  std::set<std::uint32_t> slots;
  for (int i = 0; i < 100; ++i) slots.insert(service->respond(options)->slot(2));
  EXPECT_EQ(slots.size(), 8U);
  run(*service, a, 50);
  run(*service, b, 50);
  EXPECT_NE(tokens(a), tokens(b));
}

TEST_F(ServiceTest, ARowWithoutADrawIsCountedAndReportedOnce) {
  const auto service = serve();
  Response response = service->respond(wanted()).value();
  const std::vector<float> nothing(10, std::numeric_limits<float>::quiet_NaN());
  const auto logits = model_.logits({});
  const std::vector<BatchRow> rows = {{{nothing}, {}, &response}, {{logits}, {}, &response}};
  std::vector<Result<Draw>> out(2);
  for (int i = 0; i < 3; ++i) service->sample(rows, workspace_, out);
  EXPECT_EQ(out[0].error().code, ErrorCode::kNoCandidate);
  EXPECT_TRUE(out[1]);
  EXPECT_EQ(service->counters().errors, 3U);
  ASSERT_EQ(lines_.size(), 1U);
  EXPECT_NE(lines_[0].find("a row without a draw"), std::string::npos);
  // Which keeps nothing else from the log.
  service->revoke_key();
  const Response without = service->respond(wanted()).value();
  ASSERT_EQ(lines_.size(), 2U);
  EXPECT_EQ(lines_[1], "no key: responses are served unmarked");
  EXPECT_EQ(without.mark().key_id() + without.mark().epoch_id(), "");
}

TEST_F(ServiceTest, CountsDrawsThatWereMadeElsewhere) {
  const auto service = serve();
  std::array<std::uint64_t, kDrawKinds> draws{};
  draws[static_cast<std::size_t>(DrawKind::kMarked)] = 7;
  draws[static_cast<std::size_t>(DrawKind::kFailed)] = 2;
  for (int i = 0; i < 2; ++i) service->add_draws(draws, 3);
  const Counters counted = service->counters();
  EXPECT_EQ(counted.draws[static_cast<std::size_t>(DrawKind::kMarked)], 14U);
  EXPECT_EQ(counted.draws[static_cast<std::size_t>(DrawKind::kFailed)], 4U);
  EXPECT_EQ(counted.errors, 6U);
  EXPECT_TRUE(lines_.empty());
}

TEST_F(ServiceTest, SaysWhatRuns) {
  const auto service = serve(FailurePolicy::kRefuse);
  const std::string line = service->describe();
  for (const std::string& part :
       {std::string("countermark "), std::string("scheme=countermark/1"),
        "profile=" + Profile::defaults().digest(), std::string("model=model"),
        std::string("epoch=epoch"), "key=" + key_.key_id(),
        "kernel=" + std::string((*active_kernel())->name), std::string("policy=refuse"),
        std::string("marking=on")})
    EXPECT_NE(line.find(part), std::string::npos) << part << " in " << line;
  EXPECT_EQ(line.find('\n'), std::string::npos);
  service->revoke_key();
  service->set_marking(false);
  EXPECT_NE(service->describe().find("epoch=- key=-"), std::string::npos);
  EXPECT_NE(service->describe().find("marking=off"), std::string::npos);
}

// Every sample once, below a HELP and a TYPE of its family.
TEST_F(ServiceTest, MetricsAreInPrometheusFormat) {
  const EpochKey odd =
      EpochKey::create(SplitMix64(1).secret<32>(), "a \"model\"\\", "line\nfeed").value();
  ServiceOptions options;
  options.may_leak_timing = true;
  const auto service = Service::create(odd, Profile::defaults(), options).value();
  Response response = service->respond(wanted()).value();
  run(*service, response, 20);
  std::map<std::string, double> samples;
  std::string family;
  std::istringstream text(service->metrics());
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with("# ")) {
      std::istringstream words(line);
      std::string hash, what;
      words >> hash >> what >> family;
      EXPECT_TRUE(what == "HELP" || what == "TYPE");
      continue;
    }
    const std::size_t end = line.rfind(' ');
    EXPECT_TRUE(line.starts_with(family)) << line;
    EXPECT_TRUE(samples.emplace(line.substr(0, end), std::stod(line.substr(end))).second) << line;
  }
  EXPECT_EQ(samples.at("countermark_responses_total"), 1);
  EXPECT_EQ(samples.at("countermark_marking"), 1);
  EXPECT_EQ(samples.at("countermark_key_loaded"), 1);
  double draws = 0;
  for (std::size_t kind = 0; kind < kDrawKinds; ++kind)
    draws += samples.at("countermark_draws_total{kind=\"" +
                        std::string(draw_kind_name(static_cast<DrawKind>(kind))) + "\"}");
  EXPECT_EQ(draws, 20);
  const auto info = std::find_if(samples.begin(), samples.end(), [](const auto& sample) {
    return sample.first.starts_with("countermark_info{");
  });
  ASSERT_NE(info, samples.end());
  EXPECT_NE(info->first.find("model=\"a \\\"model\\\"\\\\\",epoch=\"line\\nfeed\""),
            std::string::npos)
      << info->first;
}

TEST_F(ServiceTest, AKernelThatLeaksTimingHasToBeAllowed) {
  const Kernel& kernel = **active_kernel();
  const auto service = Service::create(key_, Profile::defaults());
  EXPECT_EQ(service.has_value(), kernel.constant_time != 0);
  if (!service) {
    EXPECT_EQ(service.error().code, ErrorCode::kUnsupported);
  }
}

}  // namespace
}  // namespace countermark::tests
