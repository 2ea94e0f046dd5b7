// SPDX-License-Identifier: Apache-2.0
// Which rules of an audit matter: how often a model that never saw text under a key is found to
// have learned from it, at a nominal level, with each rule and without it. In the small world of
// tests/support/ngram.h; each loop has a key and texts of its own.
//
// Usage: study_audit_rules LOOPS
#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "tests/studies/ngram_bench.h"
#include "verifier/audit/walk.h"
#include "verifier/stats/e_value.h"
#include "verifier/stats/limits.h"
#include "verifier/stats/published.h"
#include "verifier/stats/tail.h"

namespace countermark::studies {
namespace {

constexpr std::size_t kLearned = 40'000;
constexpr std::size_t kRead = 2'000;
constexpr std::uint64_t kPlanned = 200;  // tuples of marked text
constexpr double kLevel = 1e-2;

// One loop: p with the rule and without it, and whether a check saw that the rule was broken.
struct Pair {
  double with = 1;
  double without = 1;
  bool is_seen = false;
};

struct Loop {
  NgramBench& bench;
  const Marker& marker;
  const Ngrams& student;
  SplitMix64& random;
};

struct Rule {
  const char* name;
  const char* check;  // that may see it broken; "": none
  Pair (*run)(const Loop& loop);
};

// --- echoed prompts -------------------------------------------------------------------------

// Every question quotes text under the key, and the suspect repeats pieces of what it was asked,
// there or in the answer before.
std::vector<Answer> echoes(const Loop& loop) {
  std::vector<Answer> out;
  Author author(loop.student);
  for (Text& prompt : loop.bench.marked(loop.marker, loop.random, kRead / 2)) {
    Text said = author.plain(loop.random, prompt, NgramBench::kDocument);
    const Text& echoed = out.size() % 2 == 0 ? prompt : out.back().prompt;
    std::copy_n(echoed.begin(), said.size() / 3, said.begin());
    out.push_back({std::move(prompt), std::move(said)});
  }
  return out;
}

Pair echo(const Loop& loop) {
  const std::vector<Answer> answers = echoes(loop);
  const auto without = loop.bench.auditor.closed(loop.marker, answers, false);
  return {p_of(loop.bench.auditor.closed(loop.marker, answers)), p_of(without),
          state_of(without, "prompts-given") == "failed"};
}

// --- selected text --------------------------------------------------------------------------

double mean_score(const scan::Test& test, const Text& text) {
  std::vector<scan::Sheet> sheets;
  need(test.scorer()->score({{text, true, {}}}, sheets));
  const detect::Tally tally = scan::first_slots(test, scan::tallies_of(sheets));
  return static_cast<double>(tally.sum) / static_cast<double>(tally.n);
}

// Unmarked text, of which somebody who has the key takes the third that scores best.
Pair selected(const Loop& loop) {
  std::vector<Text> texts = loop.bench.plain(loop.random, 3 * kRead);
  const std::size_t kept = texts.size() / 3;
  const auto with = loop.bench.auditor.open(loop.marker, std::span(texts).first(kept),
                                            tests::reader(loop.student));
  const scan::Tests tests = loop.marker.tests();
  std::vector<std::pair<double, Text>> scored;
  for (Text& text : texts) scored.emplace_back(-mean_score(*tests.tests.front(), text), text);
  std::sort(scored.begin(), scored.end());
  std::transform(scored.begin(), scored.begin() + static_cast<std::ptrdiff_t>(kept), texts.begin(),
                 [](auto& each) { return std::move(each.second); });
  const auto without = loop.bench.auditor.open(loop.marker, std::span(texts).first(kept),
                                               tests::reader(loop.student));
  return {p_of(with), p_of(without), state_of(without, "reading-text") == "failed"};
}

// --- repeated contexts ----------------------------------------------------------------------

// Marked text, and a suspect that expects again what it has read. With the rule each context is
// scored once over all of it, the first N; without it once in each text, each tuple once.
Pair repeated(const Loop& loop) {
  const std::vector<Text> texts = loop.bench.marked(loop.marker, loop.random, kRead);
  const auto without = loop.bench.auditor.open(loop.marker, texts, tests::copier(loop.student));
  audit::Material material;
  const tests::Predict suspect = tests::copier(loop.student);
  for (const Text& text : texts) material.texts.push_back({{predicted(text, suspect)}, {}});
  const scan::Tests tests = loop.marker.tests();
  const detect::Tally tally = need(audit::walk(*tests.tests.front(), material, kPlanned)).all.tally;
  const double with = tally.n < kPlanned ? 1 : stats::gamma_tail(tally.n, tally.sum).to_double();
  return {with, p_of(without), state_of(without, "reading-text") == "failed"};
}

// --- peeking --------------------------------------------------------------------------------

// Looks after every hundred tuples, and stops as soon as the test of so many tuples, or the bet on
// them, is small enough.
Pair peeking(const Loop& loop) {
  const scan::Tests tests = loop.marker.tests();
  detect::TokenText text;
  for (Text& each : loop.bench.plain(loop.random, 5 * kRead)) text.push_back({std::move(each)});
  std::vector<scan::Sheet> sheets;
  need(tests.tests.front()->scorer()->score(text, sheets));
  detect::Tally tally;
  Pair out;
  for (const std::uint32_t score : sheets.front().scores.front()) {
    tally += {1, score};
    if (tally.n % 100 != 0) continue;
    const double sum = std::ldexp(static_cast<double>(tally.sum), -20);
    out.without = std::min(out.without, stats::gumbel_p(tally.n, sum).p);
    out.with = std::min(out.with, stats::tilted(tally.n, tally.sum).p_value().to_double());
  }
  return out;
}

constexpr Rule kRules[] = {
    {"echoed prompts: what is shown is scored nowhere", "prompts-given", echo},
    {"selected text: chosen without the key", "reading-text", selected},
    {"marked text: each context once, the first N", "reading-text", repeated},
    {"peeking: a bet instead of a test of fixed length", "", peeking},
};

void study(const World& world, const Rule& rule, const std::vector<Ngrams>& students,
           std::uint64_t loops, Checks& checks) {
  std::vector<Pair> pairs(loops);
  in_parallel(loops, rule.name, [&](std::uint64_t i) {
    SplitMix64 random(5'000'000 + i);
    const Marker marker(native_in_turn(i), random);
    pairs[i] = rule.run({bench_of_thread(world), marker, students[i % students.size()], random});
  });
  const auto count = [&](auto is) {
    return static_cast<std::uint64_t>(std::count_if(pairs.begin(), pairs.end(), is));
  };
  const std::uint64_t with = count([](const Pair& pair) { return pair.with <= kLevel; });
  const std::uint64_t without = count([](const Pair& pair) { return pair.without <= kLevel; });
  const std::uint64_t unseen =
      count([](const Pair& pair) { return pair.without <= kLevel && !pair.is_seen; });
  const std::uint64_t most = stats::poisson_upper_limit(static_cast<double>(loops) * kLevel, 1e-4);
  std::printf("%-50s %5llu %5llu %8llu %7llu  %s\n", rule.name,
              static_cast<unsigned long long>(most), static_cast<unsigned long long>(with),
              static_cast<unsigned long long>(without), static_cast<unsigned long long>(unseen),
              rule.check);
  checks.add(std::string(rule.name) + ": holds with the rule", with <= most);
  checks.add(std::string(rule.name) + ": broken without it", without > most);
  std::fflush(stdout);
}

// --- another vocabulary's order -------------------------------------------------------------

void renumber(std::vector<Text>& texts, const std::vector<TokenId>& order) {
  for (Text& text : texts)
    for (TokenId& token : text) token = order[token];
}

// The suspect's tokenizer has the same words in another order: of guilty students how many are
// found by ids of the right order and of the wrong one, and of innocent ones by the wrong one.
void tokenizer_study(const World& world, std::uint64_t loops, Checks& checks) {
  std::vector<std::array<double, 3>> p(loops);
  in_parallel(loops, "students", [&](std::uint64_t i) {
    SplitMix64 random(6'000'000 + i);
    NgramBench& bench = bench_of_thread(world);
    const Marker marker(tests::native_scheme(2), random);
    const Marker other(tests::native_scheme(2), random);
    std::vector<Text> learned = bench.plain(random, kLearned / 2);
    for (Text& text : bench.marked(marker, random, kLearned / 2))
      learned.push_back(std::move(text));
    std::vector<Text> read = bench.plain(random, kRead);
    const Ngrams student(learned, world.vocab_size);
    p[i][0] = p_of(bench.auditor.open(marker, read, tests::reader(student)));
    std::vector<TokenId> order(world.vocab_size);
    std::iota(order.begin(), order.end(), TokenId{0});
    for (std::uint32_t j = world.vocab_size; j-- > 1;)
      std::swap(order[j], order[random.below(j + 1)]);
    renumber(learned, order);
    renumber(read, order);
    const Ngrams renumbered(learned, world.vocab_size);
    p[i][1] = p_of(bench.auditor.open(marker, read, tests::reader(renumbered)));
    p[i][2] = p_of(bench.auditor.open(other, read, tests::reader(renumbered)));
  });
  std::array<std::uint64_t, 3> counts{};
  for (const auto& each : p)
    for (std::size_t j = 0; j < 3; ++j) counts[j] += each[j] <= kLevel;
  const std::uint64_t most = stats::poisson_upper_limit(static_cast<double>(loops) * kLevel, 1e-4);
  std::printf(
      "\n%llu students that learned from marked text, p at or below 1e-2 (by chance at most %llu)\n"
      "ids of the profile's tokenizer %llu, of another %llu; of another, under another key %llu\n",
      static_cast<unsigned long long>(loops), static_cast<unsigned long long>(most),
      static_cast<unsigned long long>(counts[0]), static_cast<unsigned long long>(counts[1]),
      static_cast<unsigned long long>(counts[2]));
  checks.add("the right ids find nine in ten", 10 * counts[0] >= 9 * loops);
  checks.add("the wrong ids find, and accuse, nobody", counts[1] <= most && counts[2] <= most);
}

}  // namespace
}  // namespace countermark::studies

int main(int argc, char** argv) {
  using namespace countermark::studies;
  if (argc != 2) {
    std::fprintf(stderr, "usage: study_audit_rules LOOPS\n");
    return 2;
  }
  const std::uint64_t loops = std::strtoull(argv[1], nullptr, 10);
  const World world = need_world();
  const std::vector<Ngrams> students = innocents(world, 24, 4'000'000, kLearned);
  std::printf(
      "%llu loops with innocent suspects, p at or below 1e-2; unseen: by the check, without\n",
      static_cast<unsigned long long>(loops));
  std::printf("%-50s %5s %5s %8s %7s  check\n", "rule", "most", "with", "without", "unseen");
  Checks checks;
  for (const Rule& rule : kRules) study(world, rule, students, loops, checks);
  tokenizer_study(world, loops / 10, checks);
  return checks.exit_code();
}
