// SPDX-License-Identifier: Apache-2.0
// A service under load while its key changes all the time: every response is drawn under the one
// key that it began with, every token as that key alone would draw it, and no draw is lost.
//
// Each step draws one row of 50 candidates; the same draw is then made without the service, under
// the key whose id the response names.
//
// Usage: study_swap STEPS
#include <chrono>
#include <map>
#include <mutex>

#include "tests/studies/common.h"
#include "watermark/service.h"

namespace {

using namespace countermark;
using namespace countermark::studies;

constexpr std::uint64_t kTokens = 100;  // of a response
constexpr std::uint64_t kKeys = 16;
constexpr std::size_t kCandidates = 50;

// Logits that depend on the last token.
std::vector<float> logits_after(TokenSpan tokens) {
  std::uint32_t state = tokens.empty() ? 1 : tokens.back() * 2654435761U + 1;
  std::vector<float> out(kCandidates);
  for (float& logit : out) {
    state = state * 1664525U + 1013904223U;
    logit = static_cast<float>(state >> 8) * 0x1p-22F;
  }
  return out;
}

struct Found {
  std::uint64_t steps = 0;
  std::uint64_t marked = 0;
  std::uint64_t lost = 0;   // draws that were errors
  std::uint64_t other = 0;  // draws that the response's key would not make
  std::uint64_t mixed = 0;  // responses whose key id changed
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) return std::fprintf(stderr, "usage: study_swap STEPS\n"), 2;
  const std::uint64_t steps = std::strtoull(arguments[1], nullptr, 10);
  const Profile profile = Profile::defaults();
  std::vector<EpochKey> keys;
  std::map<std::string, NativeMark> marks;
  for (std::uint64_t i = 0; i < kKeys; ++i) {
    keys.push_back(study_key("swap", i));
    marks.emplace(keys[i].key_id(), need(NativeMark::create(keys[i], profile)));
  }
  ServiceOptions options;
  options.may_leak_timing = true;
  const auto service = need(Service::create(keys[0], profile, options));

  std::atomic<bool> done{false};
  std::uint64_t changes = 0;
  std::jthread changing([&] {
    for (; !done; ++changes) {
      if (!service->set_key(keys[changes % kKeys])) std::abort();
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  });

  std::mutex mutex;
  Found all;
  std::map<std::string, std::uint64_t> responses_by_key;
  in_parallel(steps / kTokens, "responses", [&](std::uint64_t index) {
    thread_local BatchWorkspace workspace;
    thread_local SamplerWorkspace alone;
    const std::string nonce = std::to_string(index);
    ResponseOptions wanted{{"cohort", "account"}, nonce, study_plain_key("swap", index), kTokens};
    Response response = need(service->respond(wanted));
    const std::string key_id = response.mark().key_id();
    Response expected(marks.at(key_id), wanted.identity, nonce, *wanted.plain_key, kTokens);
    Found found;
    std::vector<Result<Draw>> out(1);
    for (std::uint64_t t = 0; t < kTokens; ++t) {
      const std::vector<float> logits = logits_after(response.tokens());
      const BatchRow row{{logits}, {}, &response};
      service->sample({&row, 1}, workspace, out);
      const Draw draw = need(sample({logits}, {}, expected, {}, 0, alone));
      ++found.steps;
      found.lost += out[0] ? 0U : 1U;
      if (!out[0]) continue;
      found.marked += out[0]->kind == DrawKind::kMarked ? 1U : 0U;
      found.other += out[0]->token == draw.token && out[0]->kind == draw.kind ? 0U : 1U;
      response.commit(out[0]->token);
      expected.commit(draw.token);
    }
    found.mixed += response.mark().key_id() == key_id ? 0U : 1U;
    const std::scoped_lock lock(mutex);
    all.steps += found.steps;
    all.marked += found.marked;
    all.lost += found.lost;
    all.other += found.other;
    all.mixed += found.mixed;
    ++responses_by_key[key_id];
  });
  done = true;
  changing.join();

  std::uint64_t counted = 0;
  for (const std::uint64_t draws : service->counters().draws) counted += draws;
  const auto show = [](const char* what, std::uint64_t value) {
    std::printf("%-42s %12llu\n", what, static_cast<unsigned long long>(value));
  };
  show("steps", all.steps);
  show("marked draws", all.marked);
  show("changes of the key meanwhile", changes);
  show("keys that began responses", responses_by_key.size());
  show("draws lost", all.lost);
  show("draws that are not the response's key's", all.other);
  show("responses whose key changed", all.mixed);
  Checks checks;
  checks.add("no draw is lost", all.lost == 0 && all.steps == steps / kTokens * kTokens);
  checks.add("no draw is another key's", all.other == 0 && all.mixed == 0);
  checks.add("every draw is counted", counted == all.steps);
  checks.add("every key began a response", responses_by_key.size() == kKeys || steps < 1'000'000);
  return checks.exit_code();
}
