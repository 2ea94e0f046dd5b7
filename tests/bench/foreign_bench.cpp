// SPDX-License-Identifier: Apache-2.0
// Reading other systems' marks: from tokens to a tally, and line-ups, for every scheme by its
// defaults.
#include <benchmark/benchmark.h>

#include "verifier/detect/foreign_detector.h"
#include "verifier/detect/foreign_tape.h"

namespace countermark {
namespace {

constexpr std::uint32_t kVocabulary = 50'257;

// The scheme by its defaults, under a key of the form that it takes.
struct Scheme {
  ForeignProfile profile;
  ForeignKey key;
};

Scheme scheme_of(const SchemeInfo& info) {
  std::string json = R"({"scheme":")" + std::string(info.id) + "\"";
  if (info.has(Field::kVocabSize)) json += ",\"vocabSize\":" + std::to_string(kVocabulary);
  ForeignProfile profile = ForeignProfile::parse(json + "}").value();
  std::string key = "int:81985529216486895";
  if (info.key_form == ForeignKey::Form::kHex) {
    key = "hex:0123456789abcdef";
    if (info.has(Field::kMixing)) key += "fedcba9876543210";
  } else if (info.key_form == ForeignKey::Form::kIntegers && info.has(Field::kDepth)) {
    key = "ints:";
    for (unsigned depth = 0; depth < profile.parameters().depth; ++depth)
      key += (depth == 0 ? "" : ",") + std::to_string(1'000'003 * (depth + 1));
  }
  return {std::move(profile), ForeignKey::parse(key).value()};
}

std::vector<TokenId> random_tokens(std::size_t count) {
  std::uint64_t state = 2;
  std::vector<TokenId> tokens(count);
  for (TokenId& token : tokens) {
    state = state * 6'364'136'223'846'793'005 + 1'442'695'040'888'963'407;
    token = static_cast<TokenId>((state >> 33) % kVocabulary);
  }
  return tokens;
}

// Tokens to tally.
void ForeignTally(benchmark::State& state, const SchemeInfo* info) {
  const auto [profile, key] = scheme_of(*info);
  const SharedForeignMark mark = ForeignMark::create(profile, key).value();
  const detect::TokenText text = {{random_tokens(static_cast<std::size_t>(state.range(0))), true}};
  for (auto _ : state)
    benchmark::DoNotOptimize(detect::tally(*mark, detect::collect(profile, text).value()));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

// What comes before any key.
void ForeignCollect(benchmark::State& state) {
  const ForeignProfile profile = scheme_of(*foreign_schemes()[0]).profile;
  const detect::TokenText text = {{random_tokens(static_cast<std::size_t>(state.range(0))), true}};
  for (auto _ : state) benchmark::DoNotOptimize(detect::collect(profile, text).value());
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(ForeignCollect)->Arg(1'000)->Arg(100'000);

// The key among decoys, in decoys a second, over 200 tokens.
void ForeignLineUp(benchmark::State& state, const SchemeInfo* info) {
  const auto [profile, key] = scheme_of(*info);
  const auto decoys = static_cast<std::uint32_t>(state.range(0));
  const auto detector = detect::ForeignDetector::create(key, profile, {}, decoys);
  const detect::TokenText text = {{random_tokens(204), true}};
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
