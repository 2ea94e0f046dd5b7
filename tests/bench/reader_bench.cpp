// SPDX-License-Identifier: Apache-2.0
// JSON Lines from a file to documents, plain and compressed, beside a plain read and memchr over
// the same bytes. 64 MiB of records of 4 KiB, which the system's cache holds.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/compress.h"
#include "tests/support/random_numbers.h"
#include "verifier/io/file.h"
#include "verifier/io/temporary_folder.h"
#include "verifier/text/raw_records.h"

namespace countermark {
namespace {

constexpr std::size_t kBytes = std::size_t{64} << 20;
constexpr std::size_t kRecord = 4096;

// Words of a small vocabulary, escapes and letters of two bytes among them.
std::string make_lines() {
  tests::RandomNumbers random(1);
  std::vector<std::string> words;
  for (int i = 0; i < 5000; ++i) {
    std::string word;
    for (std::uint32_t letters = 2 + random.below(9); letters > 0; --letters)
      word += static_cast<char>('a' + random.below(26));
    if (i % 50 == 0) word += "\\n";
    if (i % 60 == 0) word += "\\\"";
    if (i % 40 == 0) word += "\xc3\xa4";
    words.push_back(word + " ");
  }
  std::string lines;
  for (int i = 0; lines.size() < kBytes; ++i) {
    const std::size_t start = lines.size();
    lines += R"({"id": "doc-)" + std::to_string(i) + R"(", "source": {"n": )" + std::to_string(i) +
             R"(}, "text": ")";
    while (lines.size() - start < kRecord) lines += words[random.below(5000)];
    lines += "\"}\n";
  }
  return lines;
}

// The same lines in three files, removed at the end.
struct Files {
  Files() {
    const auto write = [this](const char* name, const std::string& bytes) {
      std::ofstream(folder / name, std::ios::binary) << bytes;
    };
    write("a.jsonl", lines);
    write("a.jsonl.gz", gzip(lines));
    write("a.jsonl.zst", zstd(lines));
  }

  std::string lines = make_lines();
  io::TemporaryFolder owned = io::TemporaryFolder::create().value();
  std::filesystem::path folder = owned.path();
};

const Files& files() {
  static const Files kFiles;
  return kFiles;
}

void set_bytes(benchmark::State& state) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(files().lines.size()));
}

void PlainRead(benchmark::State& state) {
  const std::string path = (files().folder / "a.jsonl").string();
  std::string buffer(std::size_t{1} << 18, '\0');
  for (auto _ : state) {
    auto input = io::Input::open(path).value();
    while (input.read(buffer).value() > 0) benchmark::DoNotOptimize(buffer.data());
  }
  set_bytes(state);
}
BENCHMARK(PlainRead);

void LineFeeds(benchmark::State& state) {
  const std::string& lines = files().lines;
  for (auto _ : state) {
    const char* at = lines.data();
    const char* const end = at + lines.size();
    while (const void* feed = std::memchr(at, '\n', static_cast<std::size_t>(end - at))) {
      at = static_cast<const char*>(feed) + 1;
      benchmark::DoNotOptimize(at);
    }
  }
  set_bytes(state);
}
BENCHMARK(LineFeeds);

// What the reading thread of a scan does; and, with `parse`, the work of all its threads on one.
void ReadRecords(benchmark::State& state, const char* name, bool parse) {
  const std::string path = (files().folder / name).string();
  text::Batch batch;
  text::RecordParser parser({});
  for (auto _ : state) {
    auto source = text::RecordSource::create({path}, {}).value();
    while (source.next(batch).value())
      for (const text::RawRecord& record : batch.records)
        if (parse) benchmark::DoNotOptimize(parser.parse(batch, record).value());
  }
  set_bytes(state);
}
BENCHMARK_CAPTURE(ReadRecords, plain_raw, "a.jsonl", false);
BENCHMARK_CAPTURE(ReadRecords, plain, "a.jsonl", true);
BENCHMARK_CAPTURE(ReadRecords, gzip_raw, "a.jsonl.gz", false);
BENCHMARK_CAPTURE(ReadRecords, gzip, "a.jsonl.gz", true);
BENCHMARK_CAPTURE(ReadRecords, zstd_raw, "a.jsonl.zst", false);
BENCHMARK_CAPTURE(ReadRecords, zstd, "a.jsonl.zst", true);

// Parsing alone, out of the cache.
void ParseRecords(benchmark::State& state) {
  text::Batch batch;
  text::RecordParser parser({});
  auto source = text::RecordSource::create({(files().folder / "a.jsonl").string()}, {}).value();
  std::int64_t bytes = 0;
  source.next(batch).value();
  for (const text::RawRecord& record : batch.records)
    bytes += static_cast<std::int64_t>(record.bytes.size());
  for (auto _ : state)
    for (const text::RawRecord& record : batch.records)
      benchmark::DoNotOptimize(parser.parse(batch, record).value());
  state.SetBytesProcessed(state.iterations() * bytes);
}
BENCHMARK(ParseRecords);

}  // namespace
}  // namespace countermark
