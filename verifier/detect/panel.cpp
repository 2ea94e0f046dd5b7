// SPDX-License-Identifier: Apache-2.0
#include "verifier/detect/panel.h"

#include <map>
#include <utility>

namespace countermark::detect {

Panel::Panel(std::vector<Test> tests) : tests_(std::move(tests)) {
  for (const Test& test : tests_)
    subjects_.push_back(
        std::visit([](const auto& detector) { return detector.subject(); }, test.detector));
}

Result<std::vector<Detection>> Panel::detect(const text::Document& document,
                                             unsigned threads) const {
  std::map<const text::Tokenizer*, TokenText> texts;
  std::vector<Detection> out;
  for (const Test& test : tests_) {
    const text::Tokenizer* const tokenizer = test.tokenizer.get();
    if (!texts.contains(tokenizer)) {
      COUNTERMARK_TRY(texts[tokenizer], tokenize(document, tokenizer));
    }
    const auto* const foreign = std::get_if<ForeignDetector>(&test.detector);
    auto detection = foreign != nullptr
                         ? foreign->detect(texts[tokenizer], threads)
                         : std::get<Detector>(test.detector).detect(texts[tokenizer]);
    if (!detection) {
      Error error = std::move(detection).error();
      if (error.field.empty()) error.field = document.field;
      if (!error.offset) error.offset = document.offset;
      return fail(std::move(error).in_file(document.input));
    }
    out.push_back(std::move(*detection));
  }
  return out;
}

}  // namespace countermark::detect
