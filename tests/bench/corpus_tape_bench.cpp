// SPDX-License-Identifier: Apache-2.0
// The corpus tape a record, beside copying the same bytes and std::sort on them. One lane; the
// argument is the percentage of records that a document before has.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "tests/support/random_numbers.h"
#include "verifier/scan/assign.h"
#include "verifier/scan/corpus_tape.h"

namespace {

namespace scan = countermark::scan;

constexpr std::size_t kDocuments = 10'000;
constexpr std::size_t kTuples = 1'000;  // of a document

struct Record {
  std::uint64_t fingerprint;
  std::uint32_t document;
  std::uint32_t score;
};

const std::vector<std::uint64_t>& fingerprints(std::int64_t repeated) {
  static std::vector<std::uint64_t> all;
  static std::int64_t made = -1;
  if (made == repeated) return all;
  made = repeated;
  all.clear();
  countermark::tests::RandomNumbers random(1);
  for (std::size_t i = 0; i < kDocuments * kTuples; ++i) {
    const bool repeats = i > kTuples && random.below(100) < static_cast<std::uint32_t>(repeated);
    all.push_back(repeats ? all[random.below(static_cast<std::uint32_t>(i - kTuples))]
                          : random.next());
  }
  return all;
}

scan::CorpusTape open_tape() {
  return scan::CorpusTape::open({.settings = {"", {1}, {}}, .max_memory = std::uint64_t{4} << 30})
      .value();
}

void fill(scan::CorpusTape& tape, const std::vector<std::uint64_t>& all) {
  scan::CorpusTape::Writer writer = tape.writer();
  const std::vector<std::uint32_t> scores(kTuples, 1'000'000);
  countermark::tests::RandomNumbers random(2);
  for (std::uint64_t i = 0; i < kDocuments; ++i) {
    const auto number = writer.add(
        {.content_hash = random.next(), .place = {0, i}, .own = {{kTuples, 1'000'000 * kTuples}}});
    const std::span<const std::uint64_t> own = std::span(all).subspan(i * kTuples, kTuples);
    if (!writer.append(0, *number, own, scores)) std::abort();
  }
}

void a_record(benchmark::State& state) {
  state.counters["record"] = benchmark::Counter(
      static_cast<double>(kDocuments * kTuples),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

// Into fresh memory, pages and all.
void TapeAppend(benchmark::State& state) {
  const auto& all = fingerprints(state.range(0));
  for (auto _ : state) {
    scan::CorpusTape tape = open_tape();
    fill(tape, all);
    state.PauseTiming();
    { const scan::CorpusTape gone = std::move(tape); }
    state.ResumeTiming();
  }
  a_record(state);
}
BENCHMARK(TapeAppend)->Arg(0)->Unit(benchmark::kMillisecond);

void TapeFinish(benchmark::State& state) {
  const auto& all = fingerprints(state.range(0));
  for (auto _ : state) {
    state.PauseTiming();
    {
      scan::CorpusTape tape = open_tape();
      fill(tape, all);
      state.ResumeTiming();
      benchmark::DoNotOptimize(tape.finish()->totals()[0]);
      state.PauseTiming();
    }
    state.ResumeTiming();
  }
  a_record(state);
}
BENCHMARK(TapeFinish)->Arg(0)->Arg(10)->Arg(50)->Unit(benchmark::kMillisecond);

std::vector<Record> records(const std::vector<std::uint64_t>& all) {
  std::vector<Record> out(all.size());
  for (std::size_t i = 0; i < all.size(); ++i)
    out[i] = {all[i], static_cast<std::uint32_t>(i / kTuples), 1'000'000};
  return out;
}

// Into fresh memory, as an append is.
void CopyRecords(benchmark::State& state) {
  const std::vector<Record> from = records(fingerprints(0));
  for (auto _ : state) {
    auto* const to = static_cast<Record*>(std::malloc(from.size() * sizeof(Record)));
    std::memcpy(to, from.data(), from.size() * sizeof(Record));
    benchmark::DoNotOptimize(to[from.size() / 2]);
    benchmark::ClobberMemory();
    state.PauseTiming();
    std::free(to);
    state.ResumeTiming();
  }
  a_record(state);
}
BENCHMARK(CopyRecords)->Unit(benchmark::kMillisecond);

void SortRecords(benchmark::State& state) {
  const std::vector<Record> from = records(fingerprints(0));
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<Record> sorted = from;
    state.ResumeTiming();
    std::sort(sorted.begin(), sorted.end(),
              [](const Record& a, const Record& b) { return a.fingerprint < b.fingerprint; });
    benchmark::DoNotOptimize(sorted[0]);
  }
  a_record(state);
}
BENCHMARK(SortRecords)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
