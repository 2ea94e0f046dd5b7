// SPDX-License-Identifier: Apache-2.0
// Spoofing study: what a customer learns of the shared layer, and what text he can then forge.
//
// (a) Passive: he collects answers to ordinary prompts under his own account, and keeps for each
//     context the token that he saw most. How often does that tell the next token of somebody
//     else's answer? Then he writes with a model of his own, an unmarked copy of the served one,
//     and prefers remembered tokens that it finds likely.
// (b) Choosing contexts: with an interface that lets him force tokens and level the candidates
//     (logit bias), one question shows the winner among his own model's twenty likeliest.
//
// Forged texts are judged by the shared layer, by the account layer of a customer whose answers he
// never saw, and by the one sum over all layers when that customer is claimed; real answers of that
// customer stand beside them. The attacker has the strongest model that he can have: the served one
// without its mark.
//
// Usage: study_spoofing WIDTH ANSWERS TEXTS   ANSWERS: the largest stock; a quarter and a sixteenth
// of it are tried too. TEXTS: forged, real and unmarked ones, each.
#include <algorithm>
#include <map>
#include <numeric>

#include "tests/studies/bundle.h"
#include "verifier/detect/detector.h"

namespace countermark::studies {
namespace {

constexpr const char* kStudy = "spoofing study 1";
constexpr std::size_t kTokens = 200;  // of an answer and of a forged text
constexpr const char* kVictim = "victim";
constexpr const char* kReal = "real answers to the victim";
constexpr const char* kUnmarked = "unmarked";

// The default profile with its shared layer at `width`, and the account layer one wider.
Profile profile_of(unsigned width) {
  return need(Profile::create({{LayerKind::kShared, width, 32'768, 1},
                               {LayerKind::kCohort, width, 8'192, 1},
                               {LayerKind::kAccount, width + 1, 24'576, 8}},
                              std::nullopt));
}

using Context = std::vector<TokenId>;
using Text = std::vector<TokenId>;

class Memory {
 public:
  explicit Memory(unsigned width) : width_(width) {}

  void learn(const Text& text) {
    for (std::size_t t = width_; t < text.size(); ++t) ++seen_[context(text, t)][text[t]];
  }

  // The token seen most after the last tokens of `text` (ties: the lowest id), if any was.
  const TokenId* recall(const Text& text, std::size_t t) const {
    if (t < width_) return nullptr;
    const auto found = seen_.find(context(text, t));
    if (found == seen_.end()) return nullptr;
    const auto& tokens = found->second;
    return &std::max_element(tokens.begin(), tokens.end(), [](const auto& a, const auto& b) {
              return a.second < b.second;
            })->first;
  }

 private:
  Context context(const Text& text, std::size_t t) const {
    const auto end = text.begin() + static_cast<std::ptrdiff_t>(t);
    return {end - static_cast<std::ptrdiff_t>(width_), end};
  }

  unsigned width_;
  std::map<Context, std::map<TokenId, int>> seen_{};
};

struct Study {
  const Bundle& bundle;
  const NativeMark& mark;
  const EpochKey& key;
  unsigned width;
};

Text answer(const Study& study, const std::string& what, const std::string& account,
            std::uint64_t index, bool marked) {
  corpora::AnswerRequest request = study.bundle.request(what, index);
  request.identity = {"cohort", account};
  request.max_tokens = kTokens;
  request.may_end = false;
  request.marked = marked;
  corpora::Generation generation(study.bundle.model);
  return need(corpora::write_answer(generation, study.bundle.model, study.mark, request)).ids;
}

std::vector<Text> answers(const Study& study, const std::string& what, const std::string& account,
                          std::uint64_t count, bool marked) {
  std::vector<Text> out(count);
  in_parallel(count, what.c_str(), [&](std::uint64_t i) {
    out[i] = answer(study, kStudy + (" " + what), account, i, marked);
  });
  return out;
}

// Ids of the `count` largest logits, without the end token, largest first.
std::vector<TokenId> likeliest(std::span<const float> logits, TokenId end_token,
                               std::size_t count) {
  std::vector<TokenId> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0U);
  std::erase(ids, end_token);
  std::partial_sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count), ids.end(),
                    [&](TokenId a, TokenId b) { return logits[a] > logits[b]; });
  ids.resize(count);
  return ids;
}

// Writes a text with the attacker's own model; `choose` may decide the next token from the text so
// far and its twenty likeliest tokens, else the model draws.
template <typename Choose>
Text forge(const Study& study, const std::string& what, std::uint64_t index, Choose choose) {
  corpora::AnswerRequest request = study.bundle.request(kStudy + (" " + what), index);
  Response own(study.mark, {}, "", request.plain_key, kTokens);
  SamplerWorkspace workspace;
  corpora::Generation generation(study.bundle.model);
  const auto& shape = study.bundle.model.shape();
  std::span<const float> logits = need(generation.next(shape.begin_token));
  for (const TokenId token : request.prompt) logits = need(generation.next(token));
  Text text;
  while (text.size() < kTokens) {
    const std::vector<TokenId> ids = likeliest(logits, shape.end_token, 20);
    const TokenId* chosen = choose(text, ids);
    TokenId token = chosen == nullptr ? 0 : *chosen;
    if (chosen == nullptr) {
      std::vector<float> row;
      for (const TokenId id : ids) row.push_back(logits[id]);
      token = need(sample({row, ids}, request.sampling, own, {}, 1, workspace)).token;
    }
    own.commit(token);
    text.push_back(token);
    logits = need(generation.next(token));
  }
  return text;
}

// One question to the service: force the tokens of `context`, level `ids`, see which is drawn.
TokenId ask(const Study& study, const Context& context, const std::vector<TokenId>& ids,
            std::uint64_t question) {
  Response served(study.mark, {"cohort", "attacker"},
                  to_hex(study_bytes(kStudy, "question", question)),
                  study_plain_key(kStudy, question), context.size() + 1);
  for (const TokenId token : context) served.commit(token);
  SamplerWorkspace workspace;
  const std::vector<float> level(ids.size());
  return need(sample({level, ids}, {}, served, {}, 0, workspace)).token;
}

struct Judged {
  double detected = 0;  // share of texts at p <= 1e-6
  double median_log10_p = 0;
};

enum class By { kSharedLayer, kVictimsLayer, kOneSum };

Judged judge_all(const Study& study, const std::vector<Text>& texts, By by) {
  const std::string account = by == By::kSharedLayer ? "" : kVictim;
  const auto detector = need(
      detect::Detector::create(study.key, study.mark.profile(), nullptr, {"", account, {}}, {}));
  std::vector<double> log10_p;
  Judged out;
  for (const Text& text : texts) {
    text::Document document;
    document.segments.push_back({"", text, true});
    const detect::Detection detection = need(detector.detect(document));
    const bool headline = by != By::kVictimsLayer;
    const auto& p = headline ? detection.evidence.p : detection.streams.front().evidence.p;
    const auto verdict = headline ? detection.verdict : detection.streams.front().verdict;
    log10_p.push_back(p.log10());
    out.detected += verdict == detect::Verdict::kDetected ? 1 : 0;
  }
  out.detected /= static_cast<double>(texts.size());
  std::sort(log10_p.begin(), log10_p.end());
  out.median_log10_p = log10_p[log10_p.size() / 2];
  return out;
}

// What was claimed of the texts, and whether it holds; printed after the tables.
using Claims = std::vector<std::pair<std::string, bool>>;

// A row of the table. No text may be charged to the victim that was not served to him; the sum,
// which has the shared layer in it, charges nobody.
void print_judged(const Study& study, const std::string& what, const std::vector<Text>& texts,
                  Claims& checks) {
  const Judged shared = judge_all(study, texts, By::kSharedLayer);
  const Judged account = judge_all(study, texts, By::kVictimsLayer);
  const Judged sum = judge_all(study, texts, By::kOneSum);
  std::printf("| %u | %s | %.0f %% | %.1f | %.0f %% | %.1f | %.0f %% |\n", study.width,
              what.c_str(), 100 * shared.detected, shared.median_log10_p, 100 * account.detected,
              account.median_log10_p, 100 * sum.detected);
  if (what == kReal)
    checks.emplace_back("every real answer is found", shared.detected == 1);
  else
    checks.emplace_back(what + ": none is charged to the victim", account.detected == 0);
  if (what == kUnmarked) checks.emplace_back("no unmarked text is found", shared.detected == 0);
}

// Shares of positions with a remembered context, and of those where the memory is right.
std::pair<double, double> recalled(const Memory& memory, const std::vector<Text>& texts) {
  double positions = 0, known = 0, right = 0;
  for (const Text& text : texts)
    for (std::size_t t = 0; t < text.size(); ++t) {
      const TokenId* token = memory.recall(text, t);
      positions += 1;
      known += token != nullptr ? 1 : 0;
      right += token != nullptr && *token == text[t] ? 1 : 0;
    }
  return {known / positions, known > 0 ? right / known : 0};
}

int run(unsigned width, std::uint64_t largest_stock, std::uint64_t texts) {
  Claims checks;
  const Bundle bundle = Bundle::load();
  const EpochKey key = study_key(kStudy, width);
  const NativeMark mark = need(NativeMark::create(key, profile_of(width)));
  const Study study{bundle, mark, key, width};
  const std::uint64_t stocks[] = {largest_stock / 16, largest_stock / 4, largest_stock};

  const auto real = answers(study, "victim", kVictim, texts, true);
  const auto unmarked = answers(study, "unmarked", kVictim, texts, false);
  const auto stock = answers(study, "stock", "attacker", largest_stock, true);

  std::printf(
      "| width | texts | shared: detected | median log10 p | victim's layer: detected | "
      "median log10 p | one sum, victim claimed: detected |\n|---|---|---|---|---|---|---|\n");
  print_judged(study, kReal, real, checks);
  print_judged(study, kUnmarked, unmarked, checks);
  std::string recall_table =
      "| width | tokens collected | contexts known | next token right, marked | the same, "
      "unmarked text |\n|---|---|---|---|---|\n";
  Memory memory(width);
  std::uint64_t learned = 0;
  for (const std::uint64_t count : stocks) {
    for (; learned < count; ++learned) memory.learn(stock[learned]);
    std::vector<Text> forged(texts);
    in_parallel(texts, "forged texts", [&](std::uint64_t i) {
      forged[i] = forge(study, "forged", i,
                        [&](const Text& text, const std::vector<TokenId>& ids) -> const TokenId* {
                          const TokenId* token = memory.recall(text, text.size());
                          const bool likely = token != nullptr && std::find(ids.begin(), ids.end(),
                                                                            *token) != ids.end();
                          return likely ? token : nullptr;
                        });
    });
    print_judged(study, "forged from " + std::to_string(count * kTokens) + " tokens", forged,
                 checks);
    const auto [known, right] = recalled(memory, real);
    const auto [known_unmarked, right_unmarked] = recalled(memory, unmarked);
    char row[160];
    std::snprintf(row, sizeof row, "| %u | %llu | %.1f %% | %.1f %% | %.1f %% |\n", width,
                  static_cast<unsigned long long>(count * kTokens), 100 * known, 100 * right,
                  100 * right_unmarked);
    recall_table += row;
  }

  // Contexts of the attacker's choice: one question a token.
  for (const std::size_t questions : {std::size_t{25}, std::size_t{50}, std::size_t{100}}) {
    std::vector<Text> forged(texts);
    in_parallel(texts, "forged texts", [&](std::uint64_t i) {
      std::size_t asked = 0;
      TokenId winner = 0;
      forged[i] = forge(study, "asked", i,
                        [&](const Text& text, const std::vector<TokenId>& ids) -> const TokenId* {
                          if (text.size() < width || asked == questions) return nullptr;
                          const Context context(text.end() - static_cast<std::ptrdiff_t>(width),
                                                text.end());
                          winner = ask(study, context, ids, i * kTokens + asked++);
                          return &winner;
                        });
      forged[i].resize(width + questions);
    });
    print_judged(study, "forged with " + std::to_string(questions) + " questions", forged, checks);
  }
  std::printf("\n%s\n", recall_table.c_str());
  Checks printed;
  for (const auto& [claim, holds] : checks) printed.add(claim, holds);
  return printed.exit_code();
}

}  // namespace
}  // namespace countermark::studies

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: study_spoofing WIDTH ANSWERS TEXTS\n");
    return 2;
  }
  return countermark::studies::run(static_cast<unsigned>(std::atoi(argv[1])),
                                   std::strtoull(argv[2], nullptr, 10),
                                   std::strtoull(argv[3], nullptr, 10));
}
