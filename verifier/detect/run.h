// SPDX-License-Identifier: Apache-2.0
// Many documents through all tests, in order, on several threads.
#pragma once

#include <functional>
#include <vector>

#include "verifier/detect/panel.h"
#include "verifier/text/reader.h"

namespace countermark::detect {

// What became of one document; `document` is empty when its record could not be read.
struct Outcome {
  text::Document document{};
  Result<std::vector<Detection>> detections;  // one a test
  bool is_broken = false;                     // the error is the file's, and ends it
};

// Reads documents until the end and calls `take` for each in the order of the input, from the
// calling thread. A bad record is an outcome with an error, and reading goes on if the reader can;
// `take` returns false to stop. The outcomes do not depend on `threads` (0: one a processor).
void detect_documents(text::DocumentReader& reader, const Panel& panel, unsigned threads,
                      const std::function<bool(const Outcome&)>& take);

}  // namespace countermark::detect
