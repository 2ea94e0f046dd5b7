// SPDX-License-Identifier: Apache-2.0
// What is counted over a scan besides its tuples.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "verifier/detect/tape.h"
#include "verifier/scan/sample.h"
#include "watermark/error.h"

namespace countermark::scan {

// What is counted over a whole scan, or over a part: of disjoint parts the sums.
struct Summary {
  std::uint64_t documents = 0;
  std::uint64_t bad_records = 0;
  std::uint64_t tokens = 0;                // by the first tokenizer, scored or not
  std::vector<std::uint64_t> routed{};     // by test: tokens that were looked at, prompts included
  std::vector<std::uint64_t> tuples{};     // by test: on the documents' own tapes
  std::vector<std::uint64_t> windows{};    // by test: tried for spans, in all lanes
  std::vector<detect::Dropped> dropped{};  // by test: by those tapes
  Sample sample{0};

  // Of nothing yet, for so many tests.
  static Summary none(std::size_t tests, std::uint64_t sample_tokens);

  Summary& operator+=(const Summary& other);
  bool operator==(const Summary&) const = default;

  std::string to_bytes() const;
  static Result<Summary> from_bytes(std::string_view bytes);
};

}  // namespace countermark::scan
