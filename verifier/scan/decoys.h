// SPDX-License-Identifier: Apache-2.0
// The line-up of a scan: the true key among decoys, over a sample of the corpus.
//
// The rank is exact over the sample, whatever the law; a corpus that is no larger than the sample
// is judged whole. Tuples that several documents of the sample have count once, under each key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "verifier/detect/line_up.h"
#include "verifier/scan/sample.h"
#include "verifier/scan/test.h"

namespace countermark::scan {

// The tallies of a test over all documents of the sample, read by the tokenizer of that number.
LaneTallies tally_sample(const Test& test, const Sample& sample, std::size_t tokenizer);

// Calls `visit` for every decoy that follows from `seed`, from `threads` threads.
void each_decoy(const Test& test, std::span<const std::uint8_t, 32> seed, std::uint32_t decoys,
                unsigned threads,
                const std::function<void(std::uint32_t index, const Test& decoy)>& visit);

// What a key gives on the material of a line-up.
struct Compared {
  detect::Tally ranked{};
  detect::Tally calibrating{};  // of one slot, so that its tail is uniform
};

// The true key among decoys that follow from `seed`, on whatever `tally` looks at; it is called
// from `threads` threads, once a key. `done` likewise, once a decoy. At least one decoy.
detect::LineUp line_up(const Test& test, std::span<const std::uint8_t, 32> seed,
                       std::uint32_t decoys, unsigned threads,
                       const std::function<Compared(const Test&)>& tally,
                       const std::function<void()>& done = {});

// `seed` is what the other side may choose; decoys follow from it and from the sample's content
// hashes. Time: a reading of the sample for each, on `threads` threads, which
// change nothing. `done` is called from several threads, once a decoy.
detect::LineUp line_up(const Test& test, const Sample& sample, std::size_t tokenizer,
                       std::uint32_t decoys, std::string_view seed, unsigned threads,
                       const std::function<void()>& done = {});

}  // namespace countermark::scan
