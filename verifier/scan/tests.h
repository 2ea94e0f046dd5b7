// SPDX-License-Identifier: Apache-2.0
// The tests of one scan together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "verifier/detect/segments.h"
#include "verifier/scan/test.h"
#include "verifier/text/tokenizer.h"

namespace countermark::scan {

// The tests of one scan, and what turns text into the ids of each.
struct Tests {
  std::vector<std::unique_ptr<const Test>> tests{};
  // A tokenizer that several tests use stands here once; null: the tests take ids alone.
  std::vector<std::shared_ptr<const text::Tokenizer>> tokenizers{};
  std::vector<std::size_t> tokenizer_of{};  // by test
  // By test; of the policy's alpha.
  std::deque<detect::SpanFinder> span_finders{};

  void add(std::unique_ptr<const Test> test, std::shared_ptr<const text::Tokenizer> tokenizer);
};

// Lanes of all channels of all tests: channel c of test t is channel first_channel[t] + c of the
// tape.
struct Channels {
  std::vector<std::uint32_t> lanes{};
  std::vector<std::size_t> first_channel{};  // by test
};
Channels channels_of(const Tests& tests);

}  // namespace countermark::scan
