// SPDX-License-Identifier: Apache-2.0
// A mark under one key in the small world (ngram.h), and the audits of a suspect: everything goes
// through the files and functions that `countermark audit` uses.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tests/support/ngram.h"
#include "verifier/audit/audit.h"
#include "verifier/io/temporary_folder.h"
#include "verifier/text/transcript.h"

namespace countermark::tests {

// What is marked with, before any key.
struct Scheme {
  std::string name{};
  std::string profile{};  // JSON
  std::string account{};  // "": of a native mark the shared layer is all
};

// Our mark, green lists (three words in four are red) and SynthID's tournaments, at contexts of
// `width` tokens; and our account layer, which is all of the profile.
Scheme native_scheme(unsigned width);
Scheme account_scheme(unsigned width);
Scheme green_scheme(unsigned width);
Scheme tournament_scheme(unsigned width);

// A question and what was said to it.
struct Answer {
  Text prompt{};
  Text said{};
};

// A scheme under a key of its own.
class Marker {
 public:
  Marker(const Scheme& scheme, SplitMix64& random);

  Text write(Author& author, SplitMix64& random, TokenSpan prompt, std::size_t tokens) const;

  // The score of each tuple; contexts holds as many tokens for each as the profile is wide. Under
  // the null a standard exponential, 1 for a green word, or the number of ones.
  std::vector<double> scores(TokenSpan contexts, TokenSpan tokens) const;

  // The test that an audit makes of it; contexts of `shown` are scored nowhere.
  scan::Tests tests(const std::vector<text::Document>& shown = {}) const;

  // What the server logs of a marked answer.
  text::Transcript transcript(const Answer& answer, std::size_t number) const;

  // The account that the marks are for; "" of everyone's.
  std::string account() const;

 private:
  struct Native {
    EpochKey key;
    NativeMark mark;
    std::string account;
  };
  struct Foreign {
    ForeignKey key;
    SharedForeignMark mark;
  };

  static std::variant<Native, Foreign> create(const Scheme& scheme, SplitMix64& random);

  std::variant<Native, Foreign> mark_;
};

// Each kind of evidence, through files and audit::audit. Not for several threads at once: it keeps
// a folder for its files.
class Auditor {
 public:
  explicit Auditor(std::uint32_t decoys = 0) : decoys_(decoys) {}

  // The suspect reads a text, which is not marked; or is, as read by marked_open; or answers that
  // the server logged.
  audit::TupleFinding open(const Marker& marker, std::span<const Text> read,
                           const Predict& suspect);
  // The same reading, by the probabilities of ten tokens.
  audit::MassFinding mass(const Marker& marker, std::span<const Text> read, const Predict& suspect);
  audit::TupleFinding marked_open(const Marker& marker, std::span<const Text> read,
                                  const Predict& suspect);
  audit::TupleFinding supervised_open(const Marker& marker, std::span<const Answer> log,
                                      const Predict& suspect);
  // The suspect has answered. The auditor may have lost the prompts, and may have the log.
  audit::TupleFinding closed(const Marker& marker, std::span<const Answer> answers,
                             bool has_prompts = true);
  audit::TupleFinding supervised_closed(const Marker& marker, std::span<const Answer> answers,
                                        std::span<const Answer> log);

 private:
  std::string put(std::string_view name, const std::string& bytes) const;
  std::string put_log(const Marker& marker, std::span<const Answer> log) const;
  std::string put_answers(std::span<const Answer> answers, bool has_prompts) const;
  audit::Audit run(const Marker& marker, audit::Inputs inputs) const;

  io::TemporaryFolder folder_ = io::TemporaryFolder::create().value();
  std::uint32_t decoys_;
};

// A check's state by its name: "passed", "failed", "not-run"; "" where there is none.
std::string state_of(const audit::TupleFinding& finding, std::string_view check);

// The headline's p by the law, whatever the checks say; as a logarithm, and 0 below 1e-308.
double log10_p(const audit::TupleFinding& finding);
double log10_p(const audit::MassFinding& finding);
double p_of(const audit::TupleFinding& finding);
double p_of(const audit::MassFinding& finding);

}  // namespace countermark::tests
