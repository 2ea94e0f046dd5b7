// SPDX-License-Identifier: Apache-2.0
// Cutting text into pieces: the scanners beside PCRE2 with the same patterns, and beside a pass
// over the same memory.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <string>

#include "verifier/io/file.h"
#include "verifier/text/known_patterns.h"
#include "watermark/utf8.h"

namespace countermark {
namespace {

constexpr std::size_t kTextSize = std::size_t{8} << 20;

std::string repeated(const std::string& text) {
  std::string out;
  while (out.size() < kTextSize) out += text;
  return out;
}

// English as Debian's documentation packages have it; where none is installed, the licence texts
// that every Debian has, again and again.
std::string english() {
  std::string text;
  for (const char* folder :
       {"/usr/share/doc/python3.11/html/_sources", "/usr/share/common-licenses"}) {
    if (!std::filesystem::is_directory(folder)) continue;
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
      if (entry.is_regular_file()) paths.push_back(entry.path().string());
    std::sort(paths.begin(), paths.end());
    for (const std::string& path : paths) text += replace_invalid_utf8(*io::read_file(path));
    if (!text.empty()) break;
  }
  return repeated(text.substr(0, kTextSize));
}

constexpr const char* kGerman =
    "Wer einen Text prüft, hört zuerst auf den Klang der Wörter. Später zählt er sie, und am Ende "
    "weiß er, ob jemand sie gewürfelt hat.\nDas Gerät, das früher Jahre gebraucht hätte, fährt "
    "heute schneller durch das Gebäude der Sprache, als man ‚grün‘ schreiben kann: 300 Millionen "
    "Zeichen in einer Sekunde. Übrig bleiben Zahlen, und über Zahlen lässt sich schwer streiten.\n";
constexpr const char* kRussian =
    "Кто проверяет текст, сначала слушает, как звучат слова. Потом он их считает и в конце концов "
    "узнаёт, бросал ли кто-нибудь кости.\nМашина, которой раньше понадобились бы годы, сегодня "
    "проходит через здание языка быстрее, чем можно написать «зелёный»: 300 миллионов знаков за "
    "секунду. Остаются числа, а с числами спорить трудно.\n";
constexpr const char* kChinese =
    "检查一篇文章的人，先听词语的声音。然后他把它们数一遍，最后就知道有没有人掷过骰子。\n"
    "从前需要几年才能做完的事，今天的机器比写下“绿色”两个字还快：每秒3亿个字符。剩下的只有数字，"
    "而数字是很难争论的。\n";

const std::string& text_of(int language) {
  static const std::array kTexts = {english(), repeated(kGerman), repeated(kRussian),
                                    repeated(kChinese)};
  return kTexts[static_cast<std::size_t>(language)];
}

void count_bytes(benchmark::State& state, const std::string& text) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

// The limit: every byte read once.
void PretokenizeMemoryPass(benchmark::State& state) {
  const std::string& text = text_of(0);
  for (auto _ : state)
    benchmark::DoNotOptimize(std::accumulate(text.begin(), text.end(), std::uint8_t{0}));
  count_bytes(state, text);
}
BENCHMARK(PretokenizeMemoryPass);

void Pretokenize(benchmark::State& state, text::Family family, text::Pretokenizer::Method method,
                 int language) {
  const auto pretokenizer = text::Pretokenizer::create(*text::cuts_of(family), method);
  const std::string& text = text_of(language);
  std::array<std::uint32_t, 1024> ends;
  std::size_t pieces = 0;
  for (auto _ : state) {
    text::Pieces cut(*pretokenizer, text);
    pieces = 0;
    while (const std::size_t count = cut.next(ends)->count) pieces += count;
  }
  count_bytes(state, text);
  state.counters["bytes_a_piece"] = static_cast<double>(text.size()) / static_cast<double>(pieces);
}

const bool kRegistered = [] {
  using text::Family;
  using Method = text::Pretokenizer::Method;
  for (const auto& [name, family] :
       {std::pair("gpt-2", Family::kGpt2), std::pair("llama-3", Family::kLlama3),
        std::pair("qwen-2", Family::kQwen2), std::pair("gpt-4", Family::kGpt4),
        std::pair("gpt-4o", Family::kGpt4o), std::pair("deepseek-3", Family::kDeepSeek3),
        std::pair("deepseek-coder", Family::kDeepSeekCoder),
        std::pair("deepseek-llm", Family::kDeepSeekLlm)}) {
    for (const int language : {0, 1, 2, 3}) {
      constexpr const char* kLanguages[] = {"english", "german", "russian", "chinese"};
      const std::string which = std::string("/") + name + "/" + kLanguages[language];
      benchmark::RegisterBenchmark(("Pretokenize" + which).c_str(), Pretokenize, family,
                                   Method::kFastest, language)
          ->Unit(benchmark::kMillisecond);
      benchmark::RegisterBenchmark(("PretokenizePcre2" + which).c_str(), Pretokenize, family,
                                   Method::kPcre2, language)
          ->Unit(benchmark::kMillisecond);
    }
  }
  return true;
}();

}  // namespace
}  // namespace countermark
