// SPDX-License-Identifier: Apache-2.0
// Speed of the hot paths, beside the plainest loop over the same data in the same run.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>

#include "corpora/answer.h"
#include "corpora/model_folder.h"
#include "verifier/detect/tape.h"
#include "verifier/io/load.h"
#include "verifier/stats/tail.h"
#include "watermark/sampler.h"

namespace countermark {
namespace {

constexpr std::size_t kVocabulary = 151'936;

std::uint64_t next_random(std::uint64_t& state) {
  std::uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// Logits of a peaked, model-like row: the sum of four uniforms, scaled.
std::vector<float> random_row(std::size_t size) {
  std::uint64_t state = 1;
  std::vector<float> row(size);
  for (float& logit : row) {
    double sum = 0;
    for (int i = 0; i < 4; ++i) sum += static_cast<double>(next_random(state) >> 11) * 0x1p-53;
    logit = static_cast<float>(8 * sum);
  }
  return row;
}

std::vector<TokenId> random_tokens(std::size_t count, std::uint32_t vocabulary) {
  std::uint64_t state = 2;
  std::vector<TokenId> tokens(count);
  for (TokenId& token : tokens) token = static_cast<TokenId>(next_random(state) % vocabulary);
  return tokens;
}

EpochKey bench_key() { return *EpochKey::create(Secret<32>(), "bench", "1"); }
NativeMark bench_mark() { return *NativeMark::create(bench_key(), Profile::defaults()); }

void PlainMaximumPass(benchmark::State& state) {
  const auto row = random_row(kVocabulary);
  for (auto _ : state) {
    float largest = row[0];
    for (const float logit : row) largest = std::max(largest, logit);
    benchmark::DoNotOptimize(largest);
  }
}
BENCHMARK(PlainMaximumPass)->Unit(benchmark::kMicrosecond);

void Sample(benchmark::State& state, std::size_t vocabulary, SamplingOptions options, bool marked) {
  const auto row = random_row(vocabulary);
  const NativeMark mark = bench_mark();
  Response response(mark, {"cohort", "account"}, "nonce", Secret<16>(), 1'024);
  for (const TokenId token : random_tokens(16, 1'000)) response.commit(token);
  SamplerWorkspace workspace;
  for (auto _ : state)
    benchmark::DoNotOptimize(sample({row}, options, response, {}, marked ? 0 : 1, workspace));
}
BENCHMARK_CAPTURE(Sample, top_k_50_top_p_95_marked, kVocabulary, {1, 50, 0.95, 0}, true)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Sample, top_k_50_top_p_95_unmarked, kVocabulary, {1, 50, 0.95, 0}, false)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Sample, untruncated_marked, kVocabulary, {}, true)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Sample, fifty_candidates_marked, 50, {}, true)->Unit(benchmark::kMicrosecond);

void AesBlocks(benchmark::State& state, const Kernel* kernel) {
  const Aes128 aes(Secret<16>(), *kernel);
  std::vector<Block> blocks(1'024);
  for (auto _ : state) {
    aes.encrypt(blocks, blocks);
    benchmark::DoNotOptimize(blocks.data());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(blocks.size()));
}

// A document of 1,000 tokens: route, tape, and the sum of the shared layer's scores.
void ScoreDocument(benchmark::State& state) {
  const NativeMark mark = bench_mark();
  const auto tokens = random_tokens(1'000, 5'000);
  const Tag tag = mark.tag(0, "", 0);
  for (auto _ : state) {
    detect::Tape tape(mark);
    tape.add(tokens);
    benchmark::DoNotOptimize(detect::tally(tape, 0, tag));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(tokens.size()));
}
BENCHMARK(ScoreDocument);

void ScoreAccounts(benchmark::State& state) {
  constexpr int kAccounts = 100;
  const NativeMark mark = bench_mark();
  detect::Tape tape(mark);
  tape.add(random_tokens(2'700, 100'000));
  std::vector<Tag> tags;
  for (int i = 0; i < kAccounts; ++i) tags.push_back(mark.tag(2, std::to_string(i), 0));
  for (auto _ : state)
    for (const Tag& tag : tags) benchmark::DoNotOptimize(detect::tally(tape, 2, tag));
  state.SetItemsProcessed(state.iterations() * kAccounts *
                          static_cast<std::int64_t>(tape.layer(2).tokens.size()));
}
BENCHMARK(ScoreAccounts);

void GammaTail(benchmark::State& state) {
  const auto n = static_cast<std::uint64_t>(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(stats::gamma_tail(n, (n + n / 4) << 20));
}
BENCHMARK(GammaTail)->Arg(100)->Arg(1'000)->Arg(1'000'000)->Unit(benchmark::kMicrosecond);

void Tokenize(benchmark::State& state) {
  const std::string folder = corpora::model_folder();
  const Profile profile = *io::load_profile(folder + "/profile.json");
  const auto tokenizer = io::load_tokenizer_of(profile, folder + "/profile.json", "");
  std::string text;
  const auto lines = io::load_lines(folder + "/../prompts.txt");
  for (const std::string& line : *lines) text += line + " ";
  for (auto _ : state) benchmark::DoNotOptimize((*tokenizer)->encode(text));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(Tokenize);

// The embedded model with the sampler: tokens a second on one core.
void WriteAnswer(benchmark::State& state) {
  const std::string folder = corpora::model_folder();
  const auto model = corpora::LanguageModel::load(folder + "/weights.safetensors");
  const NativeMark mark = bench_mark();
  corpora::Generation generation(*model);
  corpora::AnswerRequest request;
  request.max_tokens = 200;
  request.may_end = false;
  for (auto _ : state)
    benchmark::DoNotOptimize(corpora::write_answer(generation, *model, mark, request));
  state.SetItemsProcessed(state.iterations() * 200);
}
BENCHMARK(WriteAnswer)->Unit(benchmark::kMillisecond);

const bool kKernelsRegistered = [] {
  for (const Kernel* kernel : all_kernels())
    if (kernel->supported() != 0)
      benchmark::RegisterBenchmark((std::string("AesBlocks/") + kernel->name).c_str(), AesBlocks,
                                   kernel);
  return true;
}();

}  // namespace
}  // namespace countermark
