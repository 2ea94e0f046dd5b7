// SPDX-License-Identifier: Apache-2.0
#include "verifier/scan/decoys.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "verifier/detect/fingerprint_set.h"
#include "verifier/detect/policy.h"
#include "watermark/kernels/dispatch.h"
#include "watermark/prf/hash.h"

namespace countermark::scan {
namespace {

using detect::Tally;

// A process without a kernel has stopped before.
const Kernel& kernel() {
  const auto active = active_kernel();
  return active ? **active : countermark_kernel_portable;
}

}  // namespace

LaneTallies tally_sample(const Test& test, const Sample& sample, std::size_t tokenizer) {
  LaneTallies out;
  for (const std::size_t lanes : test.lanes()) out.emplace_back(lanes);
  std::vector<detect::FingerprintSet> seen(out.size(), detect::FingerprintSet(kernel()));
  const auto scorer = test.scorer();
  std::vector<Sheet> sheets;
  std::vector<std::uint8_t> fresh;
  for (const auto& [key, entry] : sample.entries()) {
    // The true key has read it before, and a decoy refuses no more.
    if (!scorer->score(entry.texts[tokenizer], sheets)) continue;
    for (std::size_t channel = 0; channel < out.size(); ++channel) {
      seen[channel].insert(sheets[channel].fingerprints, fresh);
      for (std::size_t lane = 0; lane < out[channel].size(); ++lane)
        // `fresh` may be longer: it keeps what it once grew to.
        for (std::size_t i = 0; i < sheets[channel].fingerprints.size(); ++i)
          if (fresh[i] != 0) out[channel][lane] += Tally{1, sheets[channel].scores[lane][i]};
    }
  }
  return out;
}

void each_decoy(const Test& test, std::span<const std::uint8_t, 32> seed, std::uint32_t decoys,
                unsigned threads,
                const std::function<void(std::uint32_t index, const Test& decoy)>& visit) {
  std::atomic<std::uint32_t> next{0};
  const auto work = [&] {
    for (std::uint32_t i = next++; i < decoys; i = next++) visit(i, *test.decoy(seed, i));
  };
  std::vector<std::jthread> helpers;
  for (unsigned i = 1; i < std::min(threads, decoys); ++i) helpers.emplace_back(work);
  work();
}

detect::LineUp line_up(const Test& test, std::span<const std::uint8_t, 32> seed,
                       std::uint32_t decoys, unsigned threads,
                       const std::function<Compared(const Test&)>& tally,
                       const std::function<void()>& done) {
  std::vector<Tally> best(decoys);
  std::vector<Tally> first(decoys);
  each_decoy(test, seed, decoys, threads, [&](std::uint32_t i, const Test& decoy) {
    const Compared tallies = tally(decoy);
    best[i] = tallies.ranked;
    first[i] = tallies.calibrating;
    if (done) done();
  });
  // Of more decoys than this a calibration learns nothing that matters.
  constexpr std::size_t kCalibrated = 1'000;
  // The bound for lists says 1 below the mean; by itself each list's law is the binomial one.
  NullModel law = test.null_model();
  if (law.law == NullLaw::kGreenList) law.law = NullLaw::kGreen;
  std::vector<stats::PValue> calibration;
  for (std::size_t i = 0; i < std::min(first.size(), kCalibrated); ++i)
    if (first[i].n > 0) calibration.push_back(detect::tail(law, first[i]));
  detect::LineUp out = detect::compare(
      tally(test).ranked, best,
      [&test](const Tally& of) { return detect::tail(test.null_model(), of); }, calibration);
  out.seed = to_hex(seed);
  return out;
}

detect::LineUp line_up(const Test& test, const Sample& sample, std::size_t tokenizer,
                       std::uint32_t decoys, std::string_view seed, unsigned threads,
                       const std::function<void()>& done) {
  std::string message = "countermark scan";
  for (const auto& [key, entry] : sample.entries()) {
    append_le32(message, static_cast<std::uint32_t>(key.first));
    append_le32(message, static_cast<std::uint32_t>(key.first >> 32));
  }
  const auto derived = hmac_sha256(sha256(message), as_bytes(seed));
  return line_up(
      test, derived, decoys, threads,
      [&](const Test& of) {
        const LaneTallies tallies = tally_sample(of, sample, tokenizer);
        return Compared{pooled(of, tallies).tally, first_slots(of, tallies)};
      },
      done);
}

}  // namespace countermark::scan
