// SPDX-License-Identifier: Apache-2.0
// A toy language model and two decoders over it: one token at a time, and by speculation. Both
// draw with the sampler alone, as an engine would.
#pragma once

#include <cmath>
#include <vector>

#include "tests/support/random.h"
#include "watermark/sampler.h"

namespace countermark::tests {

// Logits that depend on the last two tokens; small vocabularies make texts repeat themselves.
struct ToyModel {
  TokenId vocab_size = 4;
  double spread = 2;  // logits are uniform in [0, spread)

  std::vector<float> logits(TokenSpan committed, TokenSpan path) const {
    std::uint64_t seed = 17;
    const std::size_t length = committed.size() + path.size();
    for (std::size_t back = 1; back <= 2 && back <= length; ++back) {
      const std::size_t at = length - back;
      seed = 31 * seed + (at < committed.size() ? committed[at] : path[at - committed.size()]);
    }
    SplitMix64 random(seed);
    std::vector<float> out(vocab_size);
    for (float& logit : out) logit = static_cast<float>(spread * random.unit());
    return out;
  }

  Draw draw(const Response& response, TokenSpan path = {}, std::uint32_t attempt = 0) const {
    SamplerWorkspace workspace;
    return sample({logits(response.tokens(), path)}, {}, response, path, attempt, workspace)
        .value();
  }
};

// Commits one draw after the other until the response has `length` tokens; the draws.
inline std::vector<Draw> decode(const ToyModel& model, Response& response, std::size_t length) {
  std::vector<Draw> draws;
  while (response.tokens().size() < length) {
    draws.push_back(model.draw(response));
    response.commit(draws.back().token);
  }
  return draws;
}

// The same by draw-and-match: drafts of 1 to 6 tokens, each right with probability 3/4; all rows
// are drawn as if the draft stood, and kept up to the first draw that differs from it.
inline std::vector<Draw> decode_speculatively(const ToyModel& model, Response& response,
                                              std::size_t length, SplitMix64& random) {
  std::vector<Draw> draws;
  while (response.tokens().size() < length) {
    std::vector<TokenId> draft;
    for (std::uint32_t left = 1 + random.below(6); left > 0; --left)
      draft.push_back(random.below(4) > 0 ? model.draw(response, draft).token
                                          : random.below(model.vocab_size));
    std::vector<Draw> rows;
    for (std::size_t row = 0; row <= draft.size(); ++row)
      rows.push_back(model.draw(response, TokenSpan(draft).first(row)));
    for (std::size_t row = 0; row < rows.size() && response.tokens().size() < length; ++row) {
      draws.push_back(rows[row]);
      response.commit(rows[row].token);
      if (row < draft.size() && rows[row].token != draft[row]) break;
    }
  }
  return draws;
}

}  // namespace countermark::tests
