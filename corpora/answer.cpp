// SPDX-License-Identifier: Apache-2.0
#include "corpora/answer.h"

#include <algorithm>
#include <limits>

namespace countermark::corpora {

std::size_t Answer::marked() const noexcept {
  return static_cast<std::size_t>(std::count_if(
      draws.begin(), draws.end(), [](const Draw& draw) { return draw.kind == DrawKind::kMarked; }));
}

Result<Answer> write_answer(Generation& generation, const LanguageModel& model,
                            const NativeMark& mark, const AnswerRequest& request) {
  const ModelShape& shape = model.shape();
  if (1 + request.prompt.size() + request.max_tokens > shape.max_positions)
    return fail(ErrorCode::kInvalidArgument,
                "the prompt (" + std::to_string(request.prompt.size()) +
                    " tokens) and the answer (" + std::to_string(request.max_tokens) +
                    ") do not fit into the model's " + std::to_string(shape.max_positions) +
                    " positions");
  Response response(mark, request.identity, request.nonce, request.plain_key, request.max_tokens);
  SamplerWorkspace workspace;
  Answer answer;
  for (std::size_t i = 0; i < mark.layers().size(); ++i)
    answer.slots.push_back(response.slot(static_cast<std::uint8_t>(i)));

  generation.reset();
  COUNTERMARK_TRY(std::span<const float> logits, generation.next(shape.begin_token));
  for (const TokenId token : request.prompt) {
    COUNTERMARK_TRY(logits, generation.next(token));
  }
  std::vector<float> without_end;
  while (answer.ids.size() < request.max_tokens) {
    if (!request.may_end) {
      without_end.assign(logits.begin(), logits.end());
      without_end[shape.end_token] = -std::numeric_limits<float>::infinity();
      logits = without_end;
    }
    const std::uint32_t attempt = request.marked ? 0 : 1;
    COUNTERMARK_TRY(const Draw draw,
                    sample({logits}, request.sampling, response, {}, attempt, workspace));
    if (request.may_end && draw.token == shape.end_token) {
      answer.ended = true;
      break;
    }
    response.commit(draw.token);
    answer.ids.push_back(draw.token);
    answer.draws.push_back(draw);
    COUNTERMARK_CHECK(truncate({logits}, request.sampling, mark.kernel(), workspace.truncation,
                               workspace.distribution));
    answer.probabilities.push_back(workspace.distribution.probability(draw.token));
    if (answer.ids.size() < request.max_tokens) {
      COUNTERMARK_TRY(logits, generation.next(draw.token));
    }
  }
  return answer;
}

}  // namespace countermark::corpora
