// SPDX-License-Identifier: Apache-2.0
// Several tests of each document in one pass: one test a profile and key, and what each finds is
// corrected for all of them.
#pragma once

#include <memory>
#include <variant>
#include <vector>

#include "verifier/detect/detector.h"
#include "verifier/detect/foreign_detector.h"
#include "verifier/text/tokenizer.h"

namespace countermark::detect {

using AnyDetector = std::variant<Detector, ForeignDetector>;

class Panel {
 public:
  // `tokenizer` of each test turns text into ids; null: only ids are accepted.
  struct Test {
    AnyDetector detector;
    std::shared_ptr<const text::Tokenizer> tokenizer;
  };

  // The policies of all tests must say that there are as many of them.
  explicit Panel(std::vector<Test> tests);

  // One detection a test, in their order; a document that one of them cannot read is an error.
  // Each tokenizer reads the document once. The decoys of other systems' marks share up to
  // `threads` threads. Thread-safe.
  Result<std::vector<Detection>> detect(const text::Document& document, unsigned threads = 1) const;

  // What each test looks for, in order.
  const std::vector<Subject>& subjects() const noexcept { return subjects_; }

 private:
  std::vector<Test> tests_;
  std::vector<Subject> subjects_;
};

}  // namespace countermark::detect
