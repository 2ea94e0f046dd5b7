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
// Usage: study_audit_null DECOYS AUDITS
#include <mutex>

#include "tests/studies/ngram_bench.h"
#include "tests/studies/tail_counts.h"
#include "verifier/stats/published.h"

namespace countermark::studies {
namespace {

constexpr std::size_t kLearned = 40'000;  // tokens that a student learns from
constexpr std::size_t kRead = 2'000;      // tokens that it reads, or says
constexpr std::uint64_t kDecoysAtOnce = 5'000;

constexpr std::size_t kDocument = NgramBench::kDocument;

// --- decoys ---------------------------------------------------------------------------------

// What a student predicts at each place of a text, as the audit scores it.
detect::TokenText predicted(const std::vector<Text>& read, const Ngrams& student) {
  detect::TokenText out;
  std::vector<tests::Candidate> top;
  for (const Text& text : read) {
    detect::TokenSegment segment{text, true, {text.front()}};
    for (std::size_t i = 1; i < text.size(); ++i) {
      student.top(TokenSpan(text).first(i), 1, top);
      segment.predicted.push_back(top.front().token);
    }
    out.push_back(std::move(segment));
  }
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
        decoys(*tests.tests.front(), predicted(bench.plain(random, kRead), student), 2 * i);
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

// A new question for each answer, in text under the key; a suspect that repeats pieces of what it
// was asked, in that answer or in the next.
std::vector<Answer> echoes(NgramBench& bench, const Marker& marker, const Ngrams& student,
                           SplitMix64& random) {
  std::vector<Answer> out;
  Author author(student);
  Text before;
  for (Text& prompt : bench.marked(marker, random, kRead / 2)) {
    Answer answer{std::move(prompt), {}};
    answer.said = author.plain(random, answer.prompt, kDocument);
    const Text& echoed = out.size() % 2 == 0 || before.empty() ? answer.prompt : before;
    std::copy_n(echoed.begin(), kDocument / 3, answer.said.begin() + kDocument / 2);
    before = answer.prompt;
    out.push_back(std::move(answer));
  }
  return out;
}

struct Kind {
  const char* name;
  double (*p)(NgramBench& bench, const Marker& marker, const Ngrams& student, SplitMix64& random);
};

constexpr Kind kKinds[] = {
    {"open, unsupervised",
     [](NgramBench& bench, const Marker& marker, const Ngrams& student, SplitMix64& random) {
       return p_of(bench.auditor.open(marker, bench.plain(random, kRead), student));
     }},
    {"closed, unsupervised",
     [](NgramBench& bench, const Marker& marker, const Ngrams& student, SplitMix64& random) {
       return p_of(bench.auditor.closed(marker, echoes(bench, marker, student, random)));
     }},
};

void audit_study(const World& world, const Kind& kind, std::uint64_t count, Checks& checks) {
  const std::vector<Ngrams> students = innocents(world, 24, 2'000'000, kLearned);
  std::vector<double> p(count);
  in_parallel(count, kind.name, [&](std::uint64_t i) {
    SplitMix64 random(3'000'000 + i);
    const Marker marker(native_in_turn(i), random);
    p[i] = kind.p(bench_of_thread(world), marker, students[i % students.size()], random);
  });
  TailCounts counts;
  for (const double each : p) counts.add(each);
  counts.check(kind.name, checks, 3);
  // The bar for 10,000 audits, ten expected.
  checks.add(std::string(kind.name) + ": at most 25 of 10,000 at 1e-3",
             counts.at_or_below(2) * 10'000 <= 25 * std::max<std::uint64_t>(count, 10'000));
}

}  // namespace
}  // namespace countermark::studies

int main(int argc, char** argv) {
  using namespace countermark::studies;
  if (argc != 3) {
    std::fprintf(stderr, "usage: study_audit_null DECOYS AUDITS\n");
    return 2;
  }
  const World world = need_world();
  Checks checks;
  decoy_study(world, std::strtoull(argv[1], nullptr, 10), checks);
  for (const Kind& kind : kKinds)
    audit_study(world, kind, std::strtoull(argv[2], nullptr, 10), checks);
  return checks.exit_code();
}
