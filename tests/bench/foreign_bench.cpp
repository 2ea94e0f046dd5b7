// SPDX-License-Identifier: Apache-2.0
// Reading other systems' marks: from tokens to a tally, and line-ups, for every scheme by its
// defaults.
#include <benchmark/benchmark.h>

#include "tests/support/foreign.h"
#include "verifier/detect/foreign_detector.h"
#include "verifier/detect/foreign_tape.h"

namespace countermark {
namespace {

constexpr std::uint32_t kVocabulary = 50'257;

// The scheme by its defaults, under a key that it takes.
struct Scheme {
  explicit Scheme(const SchemeInfo& info)
      : profile(tests::foreign_profile(info, kVocabulary)),
        key(tests::random_foreign_key(profile, random)) {}

  tests::RandomNumbers random{1};
  ForeignProfile profile;
  ForeignKey key;
};

detect::TokenText random_text(std::int64_t tokens) {
  tests::RandomNumbers random(2);
  return {{tests::random_ids(random, static_cast<std::size_t>(tokens), kVocabulary), true}};
}

// Tokens to tally.
void ForeignTally(benchmark::State& state, const SchemeInfo* info) {
  const Scheme scheme(*info);
  const SharedForeignMark mark = ForeignMark::create(scheme.profile, scheme.key).value();
  const detect::TokenText text = random_text(state.range(0));
  for (auto _ : state)
    benchmark::DoNotOptimize(detect::tally(*mark, detect::collect(scheme.profile, text).value()));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

// What comes before any key.
void ForeignCollect(benchmark::State& state) {
  const ForeignProfile profile = Scheme(*foreign_schemes()[0]).profile;
  const detect::TokenText text = random_text(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(detect::collect(profile, text).value());
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(ForeignCollect)->Arg(1'000)->Arg(100'000);

// The key among decoys, in decoys a second, over 200 tokens.
void ForeignLineUp(benchmark::State& state, const SchemeInfo* info) {
  const Scheme scheme(*info);
  const auto decoys = static_cast<std::uint32_t>(state.range(0));
  const auto detector = detect::ForeignDetector::create(scheme.key, scheme.profile, {}, decoys);
  const detect::TokenText text = random_text(200);
  for (auto _ : state) benchmark::DoNotOptimize(detector->detect(text));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

const bool kSchemesRegistered = [] {
  for (const SchemeInfo* info : foreign_schemes()) {
    const std::string id(info->id);
    const bool lists = info->has(Field::kVocabSize);
    auto* tally = benchmark::RegisterBenchmark(("ForeignTally/" + id).c_str(), ForeignTally, info);
    tally->Arg(1'000);
    if (!lists) tally->Arg(100'000);
    benchmark::RegisterBenchmark(("ForeignLineUp/" + id).c_str(), ForeignLineUp, info)
        ->Arg(lists ? 20 : 20'000)
        ->Unit(benchmark::kMillisecond);
  }
  return true;
}();

}  // namespace
}  // namespace countermark
