// SPDX-License-Identifier: Apache-2.0
// Speed of the hot paths, beside the plainest loop over the same data in the same run.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>

#include "corpora/answer.h"
#include "corpora/model_folder.h"
#include "verifier/detect/tape.h"
#include "verifier/io/load.h"
#include "verifier/stats/tail.h"
#include "watermark/portable_math.h"
#include "watermark/prf/green_list.h"
#include "watermark/prf/murmur3.h"
#include "watermark/prf/philox.h"
#include "watermark/prf/synthid_hash.h"
#include "watermark/prf/textseal_hash.h"
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

// The row of every benchmark: two rows in other pages of memory may be as far apart in speed as
// what is compared.
const std::vector<float>& bench_row() {
  static const std::vector<float> kRow = random_row(kVocabulary);
  return kRow;
}

std::vector<TokenId> random_tokens(std::size_t count, std::uint32_t vocabulary) {
  std::uint64_t state = 2;
  std::vector<TokenId> tokens(count);
  for (TokenId& token : tokens) token = static_cast<TokenId>(next_random(state) % vocabulary);
  return tokens;
}

EpochKey bench_key() { return *EpochKey::create(Secret<32>(), "bench", "1"); }
NativeMark bench_mark() { return *NativeMark::create(bench_key(), Profile::defaults()); }

// The largest entry, by the widest vectors of the machine and enough of them side by side: the
// least that any sampler must do with a row.
__attribute__((target_clones("avx512f", "avx2", "default"))) float largest_of(const float* row,
                                                                              std::size_t size) {
  using Vector = Lanes<64>::F32;
  Vector largest[8];
  for (Vector& lane : largest) lane = Vector{} + row[0];
  std::size_t i = 0;
  for (; i + 128 <= size; i += 128)
    for (std::size_t v = 0; v < 8; ++v) {
      Vector x;
      std::memcpy(&x, row + i + 16 * v, sizeof x);
      largest[v] = x > largest[v] ? x : largest[v];
    }
  float out = row[0];
  for (const Vector& vector : largest)
    for (std::size_t lane = 0; lane < 16; ++lane) out = std::max(out, vector[lane]);
  for (; i < size; ++i) out = std::max(out, row[i]);
  return out;
}

void PlainMaximumPass(benchmark::State& state) {
  const std::vector<float>& row = bench_row();
  for (auto _ : state) {
    benchmark::DoNotOptimize(largest_of(row.data(), row.size()));
    benchmark::ClobberMemory();
  }
}
BENCHMARK(PlainMaximumPass)->Unit(benchmark::kMicrosecond);

void Sample(benchmark::State& state, SamplingOptions options) {
  const std::vector<float>& row = bench_row();
  const NativeMark mark = bench_mark();
  Response response(mark, {"cohort", "account"}, "nonce", Secret<16>(), 1'024);
  for (const TokenId token : random_tokens(16, 1'000)) response.commit(token);
  SamplerWorkspace workspace;
  for (auto _ : state) benchmark::DoNotOptimize(sample({row}, options, response, {}, 0, workspace));
}
BENCHMARK_CAPTURE(Sample, top_k_50_top_p_95, {1, 50, 0.95, 0})->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Sample, untruncated, {})->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Sample, top_p_95, {1, 0, 0.95, 0})->Unit(benchmark::kMicrosecond);

// Fifty candidates as an engine hands them over: with the draw, and up to it. The difference is the
// mark, in the first-level cache, where the row's memory does not hide it.
struct Fifty {
  Fifty()
      : logits(bench_row().begin(), bench_row().begin() + 50),
        ids(random_tokens(50, kVocabulary)) {}
  std::vector<float> logits;
  std::vector<TokenId> ids;
};

void SampleFifty(benchmark::State& state) {
  const Fifty fifty;
  const NativeMark mark = bench_mark();
  Response response(mark, {"cohort", "account"}, "nonce", Secret<16>(), 1'024);
  for (const TokenId token : random_tokens(16, 1'000)) response.commit(token);
  SamplerWorkspace workspace;
  for (auto _ : state)
    benchmark::DoNotOptimize(sample({fifty.logits, fifty.ids}, {}, response, {}, 0, workspace));
}
BENCHMARK(SampleFifty);

void TruncateFifty(benchmark::State& state) {
  const Fifty fifty;
  const Kernel& kernel = **active_kernel();
  TruncationWorkspace workspace;
  Distribution distribution;
  for (auto _ : state)
    benchmark::DoNotOptimize(
        truncate({fifty.logits, fifty.ids}, {}, kernel, workspace, distribution));
}
BENCHMARK(TruncateFifty);

void Commit(benchmark::State& state) {
  const NativeMark mark = bench_mark();
  const auto tokens = random_tokens(1'000, 1'000);
  Response response(mark, {"cohort", "account"}, "nonce", Secret<16>(), tokens.size());
  for (auto _ : state) {
    for (const TokenId token : tokens) response.commit(token);
    response.rewind(0);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(tokens.size()));
}
BENCHMARK(Commit);

void AesBlocks(benchmark::State& state, const Kernel* kernel) {
  const Aes128 aes(Secret<16>(), *kernel);
  std::vector<Block> blocks(1'024);
  for (auto _ : state) {
    aes.encrypt(blocks, blocks);
    benchmark::DoNotOptimize(blocks.data());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(blocks.size()));
}

// A document of 1,000 tokens: route, tape, and the score of every tuple under one tag a layer.
void ScoreDocument(benchmark::State& state) {
  const NativeMark mark = bench_mark();
  const auto tokens = random_tokens(1'000, 5'000);
  std::vector<Tag> tags;
  for (std::uint8_t i = 0; i < 3; ++i) tags.push_back(mark.tag(i, "identity", 0));
  detect::Tape tape(mark);
  for (auto _ : state) {
    tape.clear();
    tape.add(tokens);
    for (std::uint8_t i = 0; i < 3; ++i) benchmark::DoNotOptimize(detect::tally(tape, i, tags[i]));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(tokens.size()));
}
BENCHMARK(ScoreDocument);

// 1,000 tuples of the account layer, under the tags of 24,000 accounts.
void ScoreAccounts(benchmark::State& state) {
  constexpr std::size_t kTuples = 1'000, kAccounts = 24'000;
  const NativeMark mark = bench_mark();
  detect::Tape tape(mark);
  tape.add(random_tokens(4'000, 100'000));
  std::vector<Tag> tags;
  for (std::size_t i = 0; i < kAccounts; ++i) tags.push_back(mark.tag(2, std::to_string(i), 0));
  const auto& tuples = tape.layer(2);
  std::vector<std::uint64_t> sums(kAccounts);
  for (auto _ : state) {
    mark.tallies(2, std::span(tuples.states).first(kTuples),
                 TokenSpan(tuples.tokens).first(kTuples), tags, sums);
    benchmark::DoNotOptimize(sums.data());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kTuples * kAccounts));
}
BENCHMARK(ScoreAccounts)->Unit(benchmark::kMillisecond);

void GammaTail(benchmark::State& state) {
  const auto n = static_cast<std::uint64_t>(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(stats::gamma_tail(n, (n + n / 4) << 20));
}
BENCHMARK(GammaTail)->Arg(100)->Arg(1'000)->Arg(1'000'000)->Unit(benchmark::kMicrosecond);

void Tokenize(benchmark::State& state) {
  const std::string folder = corpora::model_folder();
  const Profile profile = *io::load_profile(folder + "/profile.json");
  const auto tokenizer = io::load_tokenizer_of(profile.tokenizer(), folder + "/profile.json", "");
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

// The PRFs of other systems' marks on the tuples of a text, in items a second: contexts of four
// tokens, absorbed anew for every tuple.
struct Tuples {
  explicit Tuples(std::size_t count)
      : contexts(random_tokens(4 * count, kVocabulary)),
        tokens(random_tokens(count, kVocabulary)),
        words(count),
        hashes(count),
        bits(count),
        inputs(count),
        states(count) {}

  std::vector<TokenId> contexts, tokens;
  std::vector<std::uint32_t> words;
  std::vector<std::uint64_t> hashes, bits;
  std::vector<std::int64_t> inputs;
  std::vector<PhiloxBlock> states;
};

template <typename Prf>
void foreign_prf(benchmark::State& state, const Prf& prf) {
  Tuples tuples(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    prf(tuples);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void Vllm(benchmark::State& state) {
  foreign_prf(state, [](Tuples& tuples) {
    vllm_states(42, 4, tuples.contexts, tuples.states);
    vllm_words(42, 0, tuples.states, tuples.tokens, tuples.words);
  });
}
BENCHMARK(Vllm)->Arg(200)->Arg(10'000);

void Sbw(benchmark::State& state) {
  foreign_prf(state, [](Tuples& tuples) { sbw_words(tuples.hashes, tuples.tokens, tuples.words); });
}
BENCHMARK(Sbw)->Arg(200)->Arg(10'000);

void Sglang(benchmark::State& state) {
  foreign_prf(state, [](Tuples& tuples) {
    sglang_context_hashes(4, tuples.contexts, tuples.words);
    sglang_words(42, tuples.words, tuples.tokens, tuples.words);
  });
}
BENCHMARK(Sglang)->Arg(200)->Arg(10'000);

std::vector<std::int64_t> thirty_keys() {
  const std::vector<TokenId> numbers = random_tokens(30, 1'000);
  return {numbers.begin(), numbers.end()};
}

void SynthId(benchmark::State& state) {
  foreign_prf(state, [keys = thirty_keys()](Tuples& tuples) {
    synthid_context_hashes(1, 4, tuples.contexts, tuples.hashes);
    synthid_bits(tuples.hashes, tuples.tokens, keys, tuples.bits);
  });
}
BENCHMARK(SynthId)->Arg(200)->Arg(10'000);

void SynthIdByTable(benchmark::State& state) {
  foreign_prf(state,
              [keys = thirty_keys(), table = *SynthIdTable::create(0, 65'536)](Tuples& tuples) {
                synthid_context_hashes(1, 4, tuples.contexts, tuples.hashes);
                table.bits(tuples.hashes, tuples.tokens, keys, tuples.bits);
              });
}
BENCHMARK(SynthIdByTable)->Arg(200)->Arg(10'000);

void TextSeal(benchmark::State& state) {
  foreign_prf(state, [](Tuples& tuples) {
    for (std::size_t i = 0; i < tuples.inputs.size(); ++i)
      tuples.inputs[i] =
          textseal_input(42, TokenSpan(tuples.contexts).subspan(4 * i, 4), tuples.tokens[i]);
    textseal_levels(tuples.inputs, tuples.words);
  });
}
BENCHMARK(TextSeal)->Arg(200)->Arg(10'000);

// Lists of a quarter of GPT-2's vocabulary.
constexpr std::uint32_t kListVocabulary = 50'257;
constexpr std::uint32_t kListSize = kListVocabulary / 4;

void GreenBits(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  const std::vector<TokenId> seeds = random_tokens(count, 1U << 31);
  const std::vector<TokenId> tokens = random_tokens(count, kListVocabulary);
  std::vector<std::uint8_t> out(count);
  for (auto _ : state) {
    green_bits(seeds, tokens, kListVocabulary, kListSize, out);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(GreenBits)->Arg(200)->Arg(2'000)->Unit(benchmark::kMicrosecond);

// The same by shuffling, a seed at a time.
void GreenBitsByShuffling(benchmark::State& state) {
  const std::vector<TokenId> seeds = random_tokens(16, 1U << 31);
  std::vector<std::uint32_t> order(kListVocabulary);
  for (auto _ : state)
    for (const std::uint32_t seed : seeds) {
      std::mt19937 generator(seed);
      std::iota(order.begin(), order.end(), 0U);
      for (std::uint32_t i = 0; i + 1 < kListVocabulary; ++i)
        std::swap(order[i],
                  order[i + static_cast<std::uint32_t>(generator()) % (kListVocabulary - i)]);
      benchmark::DoNotOptimize(order.data());
    }
  state.SetItemsProcessed(state.iterations() * 16);
}
BENCHMARK(GreenBitsByShuffling)->Unit(benchmark::kMicrosecond);

// Tokens of few seeds: 2,000 of as many seeds each as the argument says.
void GreenBitsOfFewSeeds(benchmark::State& state) {
  constexpr std::size_t kCount = 2'000;
  const std::vector<TokenId> all = random_tokens(kCount, 1U << 31);
  std::vector<TokenId> seeds;
  for (std::size_t i = 0; i < kCount; ++i)
    seeds.push_back(all[i / static_cast<std::size_t>(state.range(0))]);
  const std::vector<TokenId> tokens = random_tokens(kCount, kListVocabulary);
  std::vector<std::uint8_t> out(kCount);
  for (auto _ : state) {
    green_bits(seeds, tokens, kListVocabulary, kListSize, out);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * std::int64_t{kCount});
}
BENCHMARK(GreenBitsOfFewSeeds)->Arg(8)->Arg(12)->Arg(100)->Unit(benchmark::kMicrosecond);

const bool kKernelsRegistered = [] {
  if (const auto active = active_kernel()) benchmark::AddCustomContext("kernel", (*active)->name);
  for (const Kernel* kernel : all_kernels())
    if (kernel->supported() != 0)
      benchmark::RegisterBenchmark((std::string("AesBlocks/") + kernel->name).c_str(), AesBlocks,
                                   kernel);
  return true;
}();

}  // namespace
}  // namespace countermark
