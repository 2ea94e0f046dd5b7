// SPDX-License-Identifier: Apache-2.0
// What a thread of a study needs to live in the small world (tests/support/ngram.h): a teacher that
// writes, students, an auditor.
#pragma once

#include <memory>
#include <vector>

#include "tests/studies/common.h"
#include "tests/support/ngram_audit.h"

namespace countermark::studies {

using tests::Answer;
using tests::Auditor;
using tests::Author;
using tests::Marker;
using tests::Ngrams;
using tests::p_of;
using tests::Scheme;
using tests::SplitMix64;
using tests::state_of;
using tests::Text;
using tests::World;

struct NgramBench {
  static constexpr std::size_t kDocument = 100;  // tokens

  explicit NgramBench(const World& of) : world(&of), teacher(*of.teacher) {}

  std::vector<Text> plain(SplitMix64& random, std::size_t tokens) {
    return documents(random, tokens, [&](TokenSpan prompt, std::size_t n) {
      return teacher.plain(random, prompt, n);
    });
  }
  std::vector<Text> marked(const Marker& marker, SplitMix64& random, std::size_t tokens) {
    return documents(random, tokens, [&](TokenSpan prompt, std::size_t n) {
      return marker.write(teacher, random, prompt, n);
    });
  }

  // Learns from so many tokens, of which a share is marked.
  Ngrams student(const Marker& marker, SplitMix64& random, std::size_t tokens, double share) {
    const auto ours = static_cast<std::size_t>(static_cast<double>(tokens) * share);
    std::vector<Text> texts = plain(random, tokens - ours);
    for (Text& text : marked(marker, random, ours)) texts.push_back(std::move(text));
    return Ngrams(texts, world->vocab_size);
  }

  const World* world;
  Author teacher;
  Auditor auditor{};

 private:
  template <typename Write>
  std::vector<Text> documents(SplitMix64& random, std::size_t tokens, Write write) {
    return tests::documents(*world, random, tokens, kDocument, write);
  }
};

// Shared by all calls of a thread.
inline NgramBench& bench_of_thread(const World& world) {
  thread_local const auto kBench = std::make_unique<NgramBench>(world);
  return *kBench;
}

// Our mark at widths and in layers in turn.
inline Scheme native_in_turn(std::uint64_t i) {
  const auto width = static_cast<unsigned>(i % 3 + 1);
  return i / 3 % 2 == 0 ? tests::native_scheme(width) : tests::account_scheme(width);
}

// Students that learned from text half of which was marked, under keys of their own.
inline std::vector<Ngrams> innocents(const World& world, std::uint64_t count, std::uint64_t seed,
                                     std::size_t tokens) {
  NgramBench bench(world);
  std::vector<Ngrams> out;
  for (std::uint64_t i = 0; i < count; ++i) {
    SplitMix64 random(seed + i);
    out.push_back(bench.student(Marker(native_in_turn(i), random), random, tokens, 0.5));
  }
  return out;
}

// What a suspect predicts at each place of a text, as the audit scores it.
inline detect::TokenSegment predicted(const Text& text, const tests::Predict& suspect) {
  detect::TokenSegment out{text, true, {text.front()}};
  std::vector<tests::Candidate> top;
  for (std::size_t i = 1; i < text.size(); ++i) {
    suspect(TokenSpan(text).first(i), 1, top);
    out.predicted.push_back(top.front().token);
  }
  return out;
}

// The world, or the end of the program: there is nothing to study without the licences.
inline World need_world() {
  auto world = World::load();
  if (world) return *std::move(world);
  std::printf("skipped: there are no licences in /usr/share/common-licenses\n");
  std::exit(0);
}

}  // namespace countermark::studies
