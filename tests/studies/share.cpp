// SPDX-License-Identifier: Apache-2.0
// Coverage of the share's bound: how often it exceeds the share of tuples that were drawn under the
// mark.
//
// For each key a small corpus: an answer of the embedded model, whose draws tell which of its
// tuples are marked, and human text of half, twice or ten times as many tokens. Bounds of several
// confidences are compared with the true number of marked tuples. More bounds may be too high than
// the confidence allows only by chance.
//
// Usage: study_share KEYS TEXT
#include <array>

#include "tests/studies/bundle.h"
#include "tests/studies/documents.h"
#include "verifier/detect/tape.h"
#include "verifier/stats/limits.h"
#include "verifier/stats/share.h"

namespace countermark::studies {
namespace {

constexpr const char* kStudy = "share study 1";
constexpr std::size_t kTokens = 120;  // of an answer
constexpr std::array kHumanTokens = {kTokens / 2, 2 * kTokens, 10 * kTokens};
constexpr std::array kPercent = {1, 10, 50};  // one minus the confidence

struct Corpus {
  std::uint64_t tuples = 0;
  std::uint64_t marked = 0;
  std::array<std::uint64_t, kPercent.size()> bounds{};
};

Corpus make_corpus(const Bundle& bundle, corpora::Generation& generation,
                   const std::vector<TokenId>& human, std::uint64_t key) {
  static const stats::ShareFamily family = stats::ShareFamily::exponential();
  const NativeMark mark = need(NativeMark::create(study_key(kStudy, key), bundle.profile));
  corpora::AnswerRequest request = bundle.request(kStudy, key);
  request.max_tokens = kTokens;
  request.may_end = false;
  const corpora::Answer answer =
      need(corpora::write_answer(generation, bundle.model, mark, request));
  detect::Tape tape(mark);
  tape.add(answer.ids);
  const std::size_t length = kHumanTokens[key % kHumanTokens.size()];
  tape.add(std::span(human).subspan(key * 7'919 % (human.size() - length), length));

  Corpus corpus;
  stats::ShareCounts counts;
  for (const std::uint8_t layer : mark.profile().layers_of(LayerKind::kShared)) {
    family.count(detect::scores(tape, layer, mark.tag(layer, "", 0)), counts);
    for (const std::uint64_t position : tape.layer(layer).positions)
      corpus.marked +=
          position < answer.ids.size() && answer.draws[position].kind == DrawKind::kMarked;
  }
  corpus.tuples = counts.tuples;
  for (std::size_t i = 0; i < kPercent.size(); ++i)
    corpus.bounds[i] =
        family.lower_bound(counts, stats::PValue::from_decimal(kPercent[i] / 100.0)).marked;
  return corpus;
}

int study(std::uint64_t keys, const std::string& file) {
  const Bundle bundle = Bundle::load();
  std::vector<TokenId> human;
  for (const auto& document : read_documents(*bundle.tokenizer, {file}, true))
    human.insert(human.end(), document.begin(), document.end());
  std::vector<Corpus> corpora(keys);
  in_parallel(keys, "keys", [&](std::uint64_t k) {
    thread_local std::unique_ptr<corpora::Generation> generation;
    if (!generation) generation = std::make_unique<corpora::Generation>(bundle.model);
    corpora[k] = make_corpus(bundle, *generation, human, k);
  });

  Checks checks;
  std::printf("%llu keys\n", static_cast<unsigned long long>(keys));
  std::printf(
      "human tokens  confidence  tuples  marked  bound / marked  too high  most (99.9 %%)\n");
  for (std::size_t i = 0; i < kPercent.size(); ++i) {
    const double alpha = kPercent[i] / 100.0;
    std::uint64_t all_high = 0;
    for (std::size_t h = 0; h < kHumanTokens.size(); ++h) {
      std::uint64_t count = 0;
      std::uint64_t high = 0;
      double tuples = 0;
      double marked = 0;
      double bound = 0;
      for (std::size_t k = h; k < keys; k += kHumanTokens.size()) {
        ++count;
        tuples += static_cast<double>(corpora[k].tuples);
        marked += static_cast<double>(corpora[k].marked);
        bound += static_cast<double>(corpora[k].bounds[i]);
        high += corpora[k].bounds[i] > corpora[k].marked;
      }
      all_high += high;
      const double n = static_cast<double>(count);
      std::printf("%12zu  %8d %%  %6.1f  %6.1f  %14.3f  %4llu of %llu\n", kHumanTokens[h],
                  100 - kPercent[i], tuples / n, marked / n, bound / marked,
                  static_cast<unsigned long long>(high), static_cast<unsigned long long>(count));
    }
    const std::uint64_t most = stats::binomial_interval(keys, alpha, 0.998).most;
    std::printf("all           %8d %%                                  %4llu of %llu  %llu\n",
                100 - kPercent[i], static_cast<unsigned long long>(all_high),
                static_cast<unsigned long long>(keys), static_cast<unsigned long long>(most));
    checks.add("confidence " + std::to_string(100 - kPercent[i]) + " %", all_high <= most);
  }
  return checks.exit_code();
}

}  // namespace
}  // namespace countermark::studies

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: study_share KEYS TEXT\n");
    return 2;
  }
  return countermark::studies::study(std::strtoull(argv[1], nullptr, 10), argv[2]);
}
