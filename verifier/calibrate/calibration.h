// SPDX-License-Identifier: Apache-2.0
// Whether a key and a clean corpus are fit: do the p-values of the corpus follow their law?
//
// Counted over the documents, both tails, and over the whole; and the same under decoys, keys drawn
// at random, over a sample. A fault of the corpus, the tokenizer or this installation shows in the
// decoys, too; one that shows in the key alone is the key's, or the corpus is marked by it.
//
// The counts that decide are of `assigned` tuples, each in one document only: then documents are
// independent, and the exact binomial limits hold. What detect would say of each document is
// counted beside it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "verifier/calibrate/null_counts.h"
#include "verifier/scan/scanner.h"
#include "verifier/scan/tests.h"
#include "verifier/stats/limits.h"

namespace countermark::calibrate {

// Of a key that fits a clean corpus, how often one of all checks fails by chance; at most.
inline constexpr double kFalseAlarm = 1e-4;
// With fewer documents there is nothing to be counted.
inline constexpr std::uint64_t kFewestDocuments = 20;

struct Measured {
  NullCounts own{};       // documents by themselves, as detect judges them
  NullCounts assigned{};  // documents, each tuple in one of them
  ScoreSums scores{};     // of distinct tuples
};

enum class Fitness : std::uint8_t { kFit, kKeyUnfit, kCorpusUnfit, kInconclusive };
const char* fitness_name(Fitness fitness) noexcept;

struct Calibration {
  std::uint64_t documents = 0;
  std::uint64_t bad_records = 0;
  std::uint64_t tokens = 0;
  Measured key{};
  detect::Tally total{};  // distinct tuples of the whole
  Tails whole{};
  std::uint32_t decoys = 0;
  std::string seed{};  // what the decoys were derived from, hex
  std::uint64_t sample_documents = 0;
  Measured decoy{};                    // of all decoys together
  std::vector<double> decoy_wholes{};  // normal score of each decoy's sum over the sample
  double key_whole = 0;                // of the key's, over the same
  Fitness fitness = Fitness::kInconclusive;
  std::vector<std::string> reasons{};  // stable codes
};

// The limits of a count of `judged` p-values at a level: what no key and corpus that are fit leave
// more often than its part of the false alarms. Where p-values are not uniform only the upper one.
stats::CountInterval limits(const NullModel& model, std::uint64_t judged, std::size_t level);

// What the counts say; sets fitness and reasons.
void judge(const NullModel& model, Calibration& calibration);

// The key over all of a scan's corpus; finishes its tape.
Result<Calibration> measure(const scan::Tests& tests, scan::Scanned& scanned, unsigned threads);

// The same under decoys, over the scan's sample, on `threads` threads, which change nothing.
// `done` is called from several threads, once a decoy.
void measure_decoys(const scan::Tests& tests, const scan::Sample& sample, std::uint32_t decoys,
                    std::string_view seed, unsigned threads, const std::function<void()>& done,
                    Calibration& out);

}  // namespace countermark::calibrate
