// SPDX-License-Identifier: Apache-2.0
#include "verifier/scan/tests.h"

#include <algorithm>
#include <utility>

namespace countermark::scan {

void Tests::add(std::unique_ptr<const Test> test,
                std::shared_ptr<const text::Tokenizer> tokenizer) {
  const auto same = std::find(tokenizers.begin(), tokenizers.end(), tokenizer);
  tokenizer_of.push_back(static_cast<std::size_t>(same - tokenizers.begin()));
  if (same == tokenizers.end()) tokenizers.push_back(std::move(tokenizer));
  span_finders.emplace_back(test->null_model(), test->subject().policy.alpha);
  tests.push_back(std::move(test));
}

Channels channels_of(const Tests& tests) {
  Channels out;
  for (const auto& test : tests.tests) {
    out.first_channel.push_back(out.lanes.size());
    for (const std::size_t lanes : test->lanes())
      out.lanes.push_back(static_cast<std::uint32_t>(lanes));
  }
  return out;
}

}  // namespace countermark::scan
