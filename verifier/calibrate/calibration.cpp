// SPDX-License-Identifier: Apache-2.0
#include "verifier/calibrate/calibration.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "verifier/detect/fingerprint_set.h"
#include "verifier/scan/verdict.h"
#include "verifier/stats/normal_score.h"
#include "watermark/kernels/dispatch.h"
#include "watermark/prf/hash.h"

namespace countermark::calibrate {
namespace {

using detect::Tally;
using scan::Test;

// Levels, in both tails, of the key and of the decoys; and both tails of the whole.
constexpr double kChecks = 4 * kLevels + 2;

void count(const Test& test, const Tally& tally, NullCounts& out) {
  if (tally.n >= test.subject().policy.minimum_scored) out.add(tails(test.null_model(), tally));
}

double normal_score(const NullModel& model, const Tally& tally) {
  return stats::normal_score(
      stats::PValue::from_double(std::max(1e-300, tails(model, tally).upper)));
}

// A process without a kernel has stopped before.
const Kernel& kernel() {
  const auto active = active_kernel();
  return active ? **active : countermark_kernel_portable;
}

// Whether a lane of a channel is the one that a calibration looks at.
bool is_first(const Test& test, std::size_t channel, std::size_t lane) {
  for (const scan::Stream& stream : test.streams())
    for (const scan::StreamPart& part : stream.parts)
      if (part.channel == channel && part.first_lane == lane) return true;
  return false;
}

struct OverSample {
  Measured measured{};
  Tally total{};
};

// Documents in the order that assigns tuples.
OverSample measure_sample(const Test& test, const scan::Sample& sample) {
  OverSample out;
  const auto scorer = test.scorer();
  std::vector<detect::FingerprintSet> seen(test.lanes().size(), detect::FingerprintSet(kernel()));
  std::vector<scan::Sheet> sheets;
  std::vector<std::uint8_t> fresh;
  std::vector<std::uint32_t> kept;
  for (const auto& [key, entry] : sample.entries()) {
    // The true key has read it before, and a decoy refuses no more.
    if (!scorer->score(entry.texts.front(), sheets)) continue;
    Tally assigned;
    for (std::size_t channel = 0; channel < sheets.size(); ++channel) {
      seen[channel].insert(sheets[channel].fingerprints, fresh);
      for (std::size_t lane = 0; lane < sheets[channel].scores.size(); ++lane) {
        if (!is_first(test, channel, lane)) continue;
        kept.clear();
        // `fresh` may be longer: it keeps what it once grew to.
        for (std::size_t i = 0; i < sheets[channel].fingerprints.size(); ++i)
          if (fresh[i] != 0) kept.push_back(sheets[channel].scores[lane][i]);
        ScoreSums sums;
        sums.add(kept);
        out.measured.scores += sums;
        assigned += Tally{sums.n, sums.sum};
      }
    }
    count(test, first_slots(test, scan::tallies_of(sheets)), out.measured.own);
    count(test, assigned, out.measured.assigned);
    out.total += assigned;
  }
  return out;
}

// Whether all counts are within their limits.
bool within(const NullModel& model, const NullCounts& counts) {
  for (std::size_t i = 0; i < kLevels; ++i) {
    const stats::CountInterval ends = limits(model, counts.judged, i);
    for (const std::uint64_t observed : {counts.upper[i], counts.lower[i]})
      if (observed < ends.least || observed > ends.most) return false;
  }
  return true;
}

}  // namespace

const char* fitness_name(Fitness fitness) noexcept {
  switch (fitness) {
    case Fitness::kFit:
      return "fit";
    case Fitness::kKeyUnfit:
      return "key-unfit";
    case Fitness::kCorpusUnfit:
      return "corpus-unfit";
    case Fitness::kInconclusive:
      break;
  }
  return "inconclusive";
}

stats::CountInterval limits(const NullModel& model, std::uint64_t judged, std::size_t index) {
  stats::CountInterval out =
      stats::binomial_interval(judged, level(index), 1 - kFalseAlarm / kChecks);
  if (!is_continuous(model)) out.least = 0;
  return out;
}

void judge(const NullModel& model, Calibration& calibration) {
  calibration.reasons.clear();
  if (calibration.key.assigned.judged < kFewestDocuments) {
    calibration.fitness = Fitness::kInconclusive;
    calibration.reasons.emplace_back("too-few-documents");
    return;
  }
  const double part = kFalseAlarm / kChecks;
  const bool whole = calibration.whole.upper > part && calibration.whole.lower > part;
  const bool key = within(model, calibration.key.assigned);
  const bool decoys = calibration.decoys == 0 || within(model, calibration.decoy.assigned);
  if (!key) calibration.reasons.emplace_back("key-documents");
  if (!whole) calibration.reasons.emplace_back("key-whole");
  if (!decoys) calibration.reasons.emplace_back("decoys");
  if (!within(model, calibration.key.own)) calibration.reasons.emplace_back("own-documents");
  calibration.fitness = !decoys          ? Fitness::kCorpusUnfit
                        : !key || !whole ? Fitness::kKeyUnfit
                                         : Fitness::kFit;
}

Result<Calibration> measure(const scan::Tests& tests, scan::Scanned& scanned, unsigned threads) {
  const Test& test = *tests.tests.front();
  const scan::Channels channels = channels_of(tests);
  std::vector<bool> first;
  for (std::size_t channel = 0; channel < channels.lanes.size(); ++channel)
    for (std::size_t lane = 0; lane < channels.lanes[channel]; ++lane)
      first.push_back(is_first(test, channel, lane));
  std::vector<ScoreSums> sums(threads);
  COUNTERMARK_TRY(const scan::Corpus corpus,
                  scanned.tape.finish([&](unsigned worker, std::size_t lane,
                                          std::span<const std::uint32_t> scores) {
                    if (first[lane]) sums[worker].add(scores);
                  }));
  Calibration out;
  out.documents = scanned.summary.documents;
  out.bad_records = scanned.summary.bad_records;
  out.tokens = scanned.summary.tokens;
  for (const ScoreSums& one : sums) out.key.scores += one;
  out.total = first_slots(test, lanes_of(tests, channels, 0, corpus.totals()));
  out.whole = tails(test.null_model(), out.total);
  COUNTERMARK_CHECK(corpus.each_document([&](const scan::DocumentRow& row) -> Status {
    count(test, first_slots(test, lanes_of(tests, channels, 0, row.own)), out.key.own);
    count(test, first_slots(test, lanes_of(tests, channels, 0, row.assigned)), out.key.assigned);
    return {};
  }));
  return out;
}

void measure_decoys(const scan::Tests& tests, const scan::Sample& sample, std::uint32_t decoys,
                    std::string_view seed, unsigned threads, const std::function<void()>& done,
                    Calibration& out) {
  const Test& test = *tests.tests.front();
  std::string message = "countermark calibrate";
  for (const auto& [key, entry] : sample.entries()) {
    append_le32(message, static_cast<std::uint32_t>(key.first));
    append_le32(message, static_cast<std::uint32_t>(key.first >> 32));
  }
  const auto derived = hmac_sha256(sha256(message), as_bytes(seed));
  std::vector<OverSample> found(decoys);
  std::atomic<std::uint32_t> next{0};
  const auto work = [&] {
    for (std::uint32_t i = next++; i < decoys; i = next++) {
      found[i] = measure_sample(*test.decoy(derived, i), sample);
      if (done) done();
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (unsigned i = 1; i < std::min(threads, decoys); ++i) helpers.emplace_back(work);
    work();
  }
  out.decoys = decoys;
  out.seed = to_hex(derived);
  out.sample_documents = sample.entries().size();
  for (const auto& [measured, total] : found) {
    out.decoy.own += measured.own;
    out.decoy.assigned += measured.assigned;
    out.decoy.scores += measured.scores;
    out.decoy_wholes.push_back(normal_score(test.null_model(), total));
  }
  out.key_whole = normal_score(test.null_model(), measure_sample(test, sample).total);
}

}  // namespace countermark::calibrate
