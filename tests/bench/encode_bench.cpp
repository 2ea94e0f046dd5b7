// SPDX-License-Identifier: Apache-2.0
// Text to ids, for each vocabulary that is at hand: with an encoder that is new (cold) and with one
// that has met the text before (warm), and what the parts of it take alone.
//
// The text is the sources of Python's manual (Debian's python3-doc): English, with code in it. For
// python/studies/tokenizer_speed.py, COUNTERMARK_BENCH_DOCUMENTS may name a file of documents, each
// ended by a byte of zero, which are encoded one by one.
#include <benchmark/benchmark.h>
#include <isa-l/crc.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "verifier/io/file.h"
#include "verifier/text/bpe_model.h"
#include "verifier/text/pretokenizer.h"
#include "verifier/text/tokenizer.h"
#include "verifier/text/unicode_text.h"

namespace countermark::text {
namespace {

constexpr const char* kText = "/usr/share/doc/python3.11/html/_sources";

const std::string& bench_text() {
  static const std::string kAll = [] {
    std::vector<std::string> files;
    if (std::filesystem::exists(kText))
      for (const auto& entry : std::filesystem::recursive_directory_iterator(kText))
        if (entry.path().extension() == ".txt") files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    std::string all;
    for (const std::string& file : files) all += io::read_file(file).value_or("");
    return all;
  }();
  return kAll;
}

void report(benchmark::State& state, std::size_t bytes, std::size_t ids) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
  state.counters["bytes/id"] = static_cast<double>(bytes) / static_cast<double>(ids);
}

struct Vocabulary {
  const char* file;  // under ../shared/data/tokenizers
  const char* name;
};

// Null, with the benchmark skipped, where something is not at hand.
const Tokenizer* tokenizer_of(const Vocabulary& vocabulary, benchmark::State& state) {
  static std::map<std::string, Result<std::unique_ptr<const Tokenizer>>> loaded;
  const char* const given = std::getenv("COUNTERMARK_TEST_DATA");
  const std::string path =
      std::string(given != nullptr ? given : COUNTERMARK_SOURCE_DIR "/../shared/data") +
      "/tokenizers/" + vocabulary.file;
  const auto known = loaded.find(path + vocabulary.name);
  const auto& tokenizer =
      known != loaded.end()
          ? known->second
          : loaded.emplace(path + vocabulary.name, load_tokenizer(path, vocabulary.name))
                .first->second;
  if (!tokenizer) state.SkipWithError(tokenizer.error().describe().c_str());
  if (bench_text().empty()) state.SkipWithError("the text is not installed");
  return tokenizer && !bench_text().empty() ? tokenizer->get() : nullptr;
}

void encode_cold(benchmark::State& state, const Vocabulary& vocabulary) {
  const Tokenizer* const tokenizer = tokenizer_of(vocabulary, state);
  if (tokenizer == nullptr) return;
  std::vector<TokenId> ids;
  for (auto _ : state)
    if (!tokenizer->encoder()->encode(bench_text(), ids)) state.SkipWithError("no ids");
  report(state, bench_text().size(), ids.size());
}

void encode_warm(benchmark::State& state, const Vocabulary& vocabulary) {
  const Tokenizer* const tokenizer = tokenizer_of(vocabulary, state);
  if (tokenizer == nullptr) return;
  const auto encoder = tokenizer->encoder();
  std::vector<TokenId> ids;
  for (int i = 0; i < 2; ++i)
    if (!encoder->encode(bench_text(), ids)) return state.SkipWithError("no ids");
  for (auto _ : state) benchmark::DoNotOptimize(encoder->encode(bench_text(), ids));
  report(state, bench_text().size(), ids.size());
}

std::vector<std::string_view> bench_documents() {
  static const std::string kAll = [] {
    const char* const file = std::getenv("COUNTERMARK_BENCH_DOCUMENTS");
    return file == nullptr ? "" : io::read_file(file).value_or("");
  }();
  std::vector<std::string_view> documents;
  for (std::size_t at = 0, end = 0; (end = kAll.find('\0', at)) != kAll.npos; at = end + 1)
    documents.emplace_back(&kAll[at], end - at);
  return documents;
}

// Times the first pass of an encoder, or its second one. That these are the ids of other libraries
// is seen by their CRC-32.
void encode_documents(benchmark::State& state, const Vocabulary& vocabulary, bool is_warm) {
  const auto documents = bench_documents();
  const Tokenizer* const tokenizer = tokenizer_of(vocabulary, state);
  if (tokenizer == nullptr) return;
  if (documents.empty()) return state.SkipWithError("COUNTERMARK_BENCH_DOCUMENTS names none");
  std::vector<TokenId> ids;
  const auto encode_all = [&](Encoder& encoder, const auto& see) {
    for (const std::string_view document : documents) {
      if (!encoder.encode(document, ids)) state.SkipWithError("no ids");
      see();
    }
  };
  std::size_t bytes = 0;
  for (const std::string_view document : documents) bytes += document.size();
  for (auto _ : state) {
    state.PauseTiming();
    auto encoder = tokenizer->encoder();
    if (is_warm) encode_all(*encoder, [] {});
    state.ResumeTiming();
    encode_all(*encoder, [] {});
    state.PauseTiming();
    encoder.reset();
    state.ResumeTiming();
  }
  std::size_t count = 0;
  std::uint32_t crc = 0;
  encode_all(*tokenizer->encoder(), [&] {
    count += ids.size();
    crc = crc32_gzip_refl(crc, reinterpret_cast<const unsigned char*>(ids.data()),
                          ids.size() * sizeof(TokenId));
  });
  report(state, bytes, count);
  state.counters["crc32"] = crc;
}

// One piece of as many bytes as the argument says: what merging takes when there is no end to it.
std::string hard_text(const std::string& kind, std::size_t size) {
  std::string text;
  text.reserve(size + kind.size());
  std::uint64_t state = 1;
  while (text.size() < size) {
    if (kind == "random") {
      state = state * 6364136223846793005 + 1442695040888963407;
      text += static_cast<char>('a' + (state >> 33) % 26);
    } else {
      text += kind;
    }
  }
  return text;
}

void encode_hard(benchmark::State& state, const Vocabulary& vocabulary, const std::string& kind) {
  const Tokenizer* const tokenizer = tokenizer_of(vocabulary, state);
  if (tokenizer == nullptr) return;
  const std::string text = hard_text(kind, static_cast<std::size_t>(state.range(0)));
  const auto encoder = tokenizer->encoder();
  std::vector<TokenId> ids;
  for (auto _ : state)
    if (!encoder->encode(text, ids)) state.SkipWithError("no ids");
  report(state, text.size(), ids.size());
}

void check_utf8(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(check_text(bench_text()));
  report(state, bench_text().size(), 1);
}

const int kRegistered = [] {
  benchmark::RegisterBenchmark("check_utf8", check_utf8);
  for (const Vocabulary& vocabulary :
       {Vocabulary{"gguf/gpt-2.gguf", ""}, Vocabulary{"llama3.tiktoken.model", "llama3"},
        Vocabulary{"llama3.tiktoken.model", "qwen2"}, Vocabulary{"gguf/deepseek-llm.gguf", ""},
        Vocabulary{"gguf/starcoder.gguf", ""}, Vocabulary{"gguf/falcon.gguf", ""},
        Vocabulary{"gguf/llama-spm.gguf", ""}, Vocabulary{"gguf/phi-3.gguf", ""}}) {
    const std::string label = *vocabulary.name != '\0'
                                  ? vocabulary.name
                                  : std::filesystem::path(vocabulary.file).stem().string();
    const auto add = [&](const std::string& test, const auto& run) {
      return benchmark::RegisterBenchmark((test + "/" + label).c_str(), run)
          ->Unit(benchmark::kMillisecond);
    };
    add("encode_cold", [vocabulary](auto& state) { encode_cold(state, vocabulary); });
    add("encode_warm", [vocabulary](auto& state) { encode_warm(state, vocabulary); });
    add("encode_documents_cold",
        [vocabulary](auto& state) { encode_documents(state, vocabulary, false); });
    add("encode_documents_warm",
        [vocabulary](auto& state) { encode_documents(state, vocabulary, true); });
    for (const std::string kind : {"a", "ab", "random"})
      add("encode_hard/" + kind,
          [vocabulary, kind](auto& state) { encode_hard(state, vocabulary, kind); })
          ->RangeMultiplier(10)
          ->Range(1'000'000, 100'000'000);
  }
  return 0;
}();

}  // namespace
}  // namespace countermark::text
