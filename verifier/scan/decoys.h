// SPDX-License-Identifier: Apache-2.0
// The line-up of a scan: the true key among decoys, over a sample of the corpus.
//
// The rank is exact over the sample, whatever the law; a corpus that is no larger than the sample
// is judged whole. Tuples that several documents of the sample have count once, under each key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

#include "verifier/detect/line_up.h"
#include "verifier/scan/sample.h"
#include "verifier/scan/test.h"

namespace countermark::scan {

// The tallies of a test over all documents of the sample, read by the tokenizer of that number.
LaneTallies tally_sample(const Test& test, const Sample& sample, std::size_t tokenizer);

// `seed` is what the other side may choose; decoys follow from it and from the sample's content
// hashes. At least one decoy. Time: a reading of the sample for each, on `threads` threads, which
// change nothing. `done` is called from several threads, once a decoy.
detect::LineUp line_up(const Test& test, const Sample& sample, std::size_t tokenizer,
                       std::uint32_t decoys, std::string_view seed, unsigned threads,
                       const std::function<void()>& done = {});

}  // namespace countermark::scan
