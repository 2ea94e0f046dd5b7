// SPDX-License-Identifier: Apache-2.0
// Null study of the audit of a suspect model: how often a model that never saw text under a key is
// found to have learned from it. In the small world of tests/support/ngram.h.
//
// First, decoys: students that half of their training text was marked for, and decoy keys, which
// have nothing to do with it. The key is the unit; given a student and what it read or said, the
// decoys' p-values are independent.
//
// Then whole audits, each with a key of its own, texts of its own under that key wherever the kind
// of evidence has any, and a student that learned from text under other keys. Everything goes
// through the functions of the command line.
//
// Usage: study_audit_null DECOYS AUDITS [KIND]   KIND: only kinds whose name contains it
#include <array>
#include <mutex>
#include <string_view>
#include <utility>

#include "tests/studies/ngram_bench.h"
#include "tests/studies/tail_counts.h"
#include "verifier/audit/walk.h"
#include "verifier/stats/published.h"
#include "verifier/stats/tail.h"

namespace countermark::studies {
namespace {

constexpr std::size_t kLearned = 40'000;  // tokens that a student learns from
constexpr std::size_t kRead = 2'000;      // tokens that it reads, or says
constexpr std::size_t kLogged = 1'000;    // tokens of marked text
constexpr std::uint64_t kDecoysAtOnce = 5'000;

constexpr std::size_t kDocument = NgramBench::kDocument;

// --- decoys ---------------------------------------------------------------------------------

detect::TokenText all_predicted(const std::vector<Text>& read, const tests::Predict& suspect) {
  detect::TokenText out;
  for (const Text& text : read) out.push_back(predicted(text, suspect));
  return out;
}

detect::TokenText said(NgramBench& bench, const Ngrams& student, SplitMix64& random) {
  detect::TokenText out;
  Author author(student);
  for (std::size_t i = 0; i < kRead; i += kDocument) {
    const Text prompt = bench.world->prompt(random);
    out.push_back({prompt, false, {}});
    out.push_back({author.plain(random, prompt, kDocument), true, {}});
  }
  return out;
}

TailCounts decoys(const scan::Test& test, const detect::TokenText& text, std::uint64_t number) {
  TailCounts out;
  const auto seed = study_bytes("audit null study 1", "decoys", number);
  std::vector<scan::Sheet> sheets;
  for (std::uint32_t i = 0; i < kDecoysAtOnce; ++i) {
    const auto decoy = test.decoy(seed, i);
    need(decoy->scorer()->score(text, sheets));
    const detect::Tally tally = scan::first_slots(*decoy, scan::tallies_of(sheets));
    out.add(stats::gumbel_p(tally.n, std::ldexp(static_cast<double>(tally.sum), -20)).p);
  }
  return out;
}

void decoy_study(const World& world, std::uint64_t count, Checks& checks) {
  TailCounts open;
  TailCounts closed;
  std::mutex mutex;
  in_parallel(count / kDecoysAtOnce, "students", [&](std::uint64_t i) {
    SplitMix64 random(1'000'000 + i);
    NgramBench bench(world);
    const auto width = static_cast<unsigned>(i % 3 + 1);
    const Marker marker(tests::native_scheme(width), random);
    const Ngrams student = bench.student(marker, random, kLearned, 0.5);
    const scan::Tests tests = marker.tests();
    const TailCounts of_open =
        decoys(*tests.tests.front(),
               all_predicted(bench.plain(random, kRead), tests::reader(student)), 2 * i);
    const TailCounts of_closed =
        decoys(*tests.tests.front(), said(bench, student, random), 2 * i + 1);
    const std::scoped_lock lock(mutex);
    open += of_open;
    closed += of_closed;
  });
  open.check("decoys, open", checks, 5);
  closed.check("decoys, closed", checks, 5);
}

// --- whole audits ---------------------------------------------------------------------------

struct Loop {
  NgramBench& bench;
  const Marker& marker;
  const Ngrams& student;
  SplitMix64& random;
  std::size_t width;
};

// A new question for each answer, in text under the key; a suspect that repeats pieces of what it
// was asked, in that answer or in the next.
std::vector<Answer> echoes(const Loop& loop, std::size_t tokens = kRead) {
  std::vector<Answer> out;
  Author author(loop.student);
  Text before;
  for (Text& prompt : loop.bench.marked(loop.marker, loop.random, tokens / 2)) {
    Answer answer{std::move(prompt), {}};
    answer.said = author.plain(loop.random, answer.prompt, kDocument);
    const Text& echoed = out.size() % 2 == 0 || before.empty() ? answer.prompt : before;
    std::copy_n(echoed.begin(), kDocument / 3, answer.said.begin() + kDocument / 2);
    before = answer.prompt;
    out.push_back(std::move(answer));
  }
  return out;
}

// What the server logged: answers under the key, to questions that quote the answer before.
std::vector<Answer> logged(const Loop& loop, std::size_t tokens = kLogged) {
  std::vector<Answer> out;
  Text prompt = loop.bench.world->prompt(loop.random);
  for (std::size_t done = 0; done < tokens; done += kDocument) {
    Text said = loop.marker.write(loop.bench.teacher, loop.random, prompt, kDocument);
    Text next(said.begin(), said.begin() + kDocument / 5);
    out.push_back({std::exchange(prompt, std::move(next)), std::move(said)});
  }
  return out;
}

// By the exact law of the first N scores, N by the width; 1 where there are fewer.
double p_of_first(const Loop& loop, const audit::Material& material,
                  const std::array<std::uint64_t, 3>& of_width) {
  const std::uint64_t planned = of_width[loop.width - 1];
  const scan::Tests tests = loop.marker.tests();
  const detect::Tally tally = need(audit::walk(*tests.tests.front(), material, planned)).all.tally;
  return tally.n < planned ? 1 : stats::gamma_tail(tally.n, tally.sum).to_double();
}

audit::Exhibit exhibit(const Answer& answer, std::vector<TokenId> predicted = {}) {
  return {{{answer.prompt, false, {}}, {answer.said, true, std::move(predicted)}}, {}};
}

double marked_open(const Loop& loop) {
  audit::Material material;
  const tests::Predict suspect = tests::copier(loop.student);
  for (const Text& text : loop.bench.marked(loop.marker, loop.random, kLogged))
    material.texts.push_back({{predicted(text, suspect)}, {}});
  return p_of_first(loop, material, {200, 220, 330});
}

double supervised_open(const Loop& loop) {
  audit::Material material;
  const tests::Predict suspect = tests::copier(loop.student);
  for (const Answer& answer : logged(loop)) {
    Text all = answer.prompt;
    all.insert(all.end(), answer.said.begin(), answer.said.end());
    const std::vector<TokenId> tokens = predicted(all, suspect).predicted;
    material.texts.push_back(exhibit(
        answer,
        {tokens.begin() + static_cast<std::ptrdiff_t>(answer.prompt.size()), tokens.end()}));
  }
  return p_of_first(loop, material, {110, 110, 130});
}

double supervised_closed(const Loop& loop) {
  audit::Material material;
  material.order = audit::Order::kAsLogged;
  for (const Answer& answer : echoes(loop, 2 * kRead)) material.texts.push_back(exhibit(answer));
  for (const Answer& answer : logged(loop, 2 * kLogged)) material.log.push_back(exhibit(answer));
  return p_of_first(loop, material, {30, 30, 10});
}

// Answers that keep coming, looked at behind each of them: the bet's largest value decides.
double looked_at(const Loop& loop) {
  audit::Material material;
  material.order = audit::Order::kAsAnswered;
  for (const Answer& answer : echoes(loop)) material.texts.push_back(exhibit(answer));
  const scan::Tests tests = loop.marker.tests();
  return need(audit::walk(*tests.tests.front(), material, {})).all.most.p_value().to_double();
}

struct Kind {
  const char* name;
  bool is_bound;  // p is above its law: of a bet, or 1 where there are fewer than planned
  double (*p)(const Loop& loop);
};

constexpr Kind kKinds[] = {
    {"open, unsupervised", false,
     [](const Loop& loop) {
       return p_of(loop.bench.auditor.open(loop.marker, loop.bench.plain(loop.random, kRead),
                                           tests::reader(loop.student)));
     }},
    {"open, unsupervised, mass", true,
     [](const Loop& loop) {
       return p_of(loop.bench.auditor.mass(loop.marker, loop.bench.plain(loop.random, kRead),
                                           tests::reader(loop.student)));
     }},
    {"closed, unsupervised", false,
     [](const Loop& loop) { return p_of(loop.bench.auditor.closed(loop.marker, echoes(loop))); }},
    {"marked text, the first N", true, marked_open},
    {"supervised open, the first N", true, supervised_open},
    {"supervised closed, the first N", true, supervised_closed},
    {"marked text, a bet", true,
     [](const Loop& loop) {
       return p_of(loop.bench.auditor.marked_open(
           loop.marker, loop.bench.marked(loop.marker, loop.random, kLogged),
           tests::copier(loop.student)));
     }},
    {"supervised open, a bet", true,
     [](const Loop& loop) {
       return p_of(loop.bench.auditor.supervised_open(loop.marker, logged(loop),
                                                      tests::copier(loop.student)));
     }},
    {"supervised closed, a bet", true,
     [](const Loop& loop) {
       return p_of(loop.bench.auditor.supervised_closed(loop.marker, echoes(loop, 2 * kRead),
                                                        logged(loop, 2 * kLogged)));
     }},
    {"closed, looked at behind each answer, a bet", true, looked_at},
};

void audit_study(const World& world, const Kind& kind, const std::vector<Ngrams>& students,
                 std::uint64_t count, Checks& checks) {
  std::vector<double> p(count);
  in_parallel(count, kind.name, [&](std::uint64_t i) {
    SplitMix64 random(3'000'000 + i);
    const Marker marker(native_in_turn(i), random);
    p[i] =
        kind.p({bench_of_thread(world), marker, students[i % students.size()], random, i % 3 + 1});
  });
  TailCounts counts;
  for (const double each : p) counts.add(each);
  counts.check(kind.name, checks, 3, kind.is_bound);
  // The bar for 10,000 audits, ten expected.
  checks.add(std::string(kind.name) + ": at most 25 of 10,000 at 1e-3",
             counts.at_or_below(2) * 10'000 <= 25 * std::max<std::uint64_t>(count, 10'000));
  std::fflush(stdout);
}

}  // namespace
}  // namespace countermark::studies

int main(int argc, char** argv) {
  using namespace countermark::studies;
  if (argc != 3 && argc != 4) {
    std::fprintf(stderr, "usage: study_audit_null DECOYS AUDITS [KIND]\n");
    return 2;
  }
  const World world = need_world();
  Checks checks;
  if (std::strtoull(argv[1], nullptr, 10) > 0)
    decoy_study(world, std::strtoull(argv[1], nullptr, 10), checks);
  const std::vector<Ngrams> students = innocents(world, 24, 2'000'000, kLearned);
  for (const Kind& kind : kKinds)
    if (argc == 3 || std::string_view(kind.name).find(argv[3]) != std::string_view::npos)
      audit_study(world, kind, students, std::strtoull(argv[2], nullptr, 10), checks);
  return checks.exit_code();
}
