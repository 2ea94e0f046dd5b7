// SPDX-License-Identifier: Apache-2.0
// One answer of a language model, token by token, with or without the mark: the loop that an
// inference server has, at its plainest.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "corpora/language_model.h"
#include "watermark/marks/foreign_sampler.h"
#include "watermark/sampler.h"

namespace countermark::corpora {

struct AnswerRequest {
  // Read before the answer. Never a context of our own mark, but of many foreign ones.
  std::vector<TokenId> prompt{};
  Identity identity{};
  std::string nonce{};     // new for every answer
  Secret<16> plain_key{};  // keys the unmarked draws
  SamplingOptions sampling{};
  std::size_t max_tokens = 200;
  bool may_end = true;  // false: the end token is never drawn, so the answer has max_tokens
  bool marked = true;   // false: every draw is an unmarked one
};

// What was written, and for each token how it was drawn.
struct Answer {
  std::vector<TokenId> ids{};
  std::vector<Draw> draws{};
  std::vector<double> probabilities{};  // in the distributions that the options left
  std::vector<std::uint32_t> slots{};   // by layer; of a foreign mark none
  bool ended = false;                   // by the end token, which is not among the ids

  std::size_t marked() const noexcept;  // number of marked draws
};

// Writes one answer from the beginning of `generation`. kInvalidArgument when the prompt and
// max_tokens do not fit into the model's context.
Result<Answer> write_answer(Generation& generation, const LanguageModel& model,
                            const NativeMark& mark, const AnswerRequest& request);

// The same with another system's mark, which knows neither identities nor nonces. Probabilities are
// those before the mark, as above.
Result<Answer> write_answer(Generation& generation, const LanguageModel& model,
                            const SharedForeignMark& mark, const AnswerRequest& request);

}  // namespace countermark::corpora
