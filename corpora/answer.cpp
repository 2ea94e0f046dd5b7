// SPDX-License-Identifier: Apache-2.0
#include "corpora/answer.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace countermark::corpora {
namespace {

// Before anything is reserved for so many tokens.
Status check_length(const LanguageModel& model, const AnswerRequest& request) {
  const std::size_t positions = model.shape().max_positions;
  if (1 + request.prompt.size() + request.max_tokens <= positions) return {};
  return fail(ErrorCode::kInvalidArgument,
              "the prompt (" + std::to_string(request.prompt.size()) + " tokens) and the answer (" +
                  std::to_string(request.max_tokens) + ") do not fit into the model's " +
                  std::to_string(positions) + " positions");
}

// What draws the tokens of an answer: draw(logits) and commit(token).
struct NativeWriter {
  Response response;
  const AnswerRequest* request;
  SamplerWorkspace workspace{};

  Result<Draw> draw(std::span<const float> logits) {
    return sample({logits}, request->sampling, response, {}, request->marked ? 0 : 1, workspace);
  }
  void commit(TokenId token) { response.commit(token); }
};

struct ForeignWriter {
  ForeignSampler sampler;
  const AnswerRequest* request;

  Result<Draw> draw(std::span<const float> logits) const {
    return sampler.draw({logits}, request->sampling);
  }
  void commit(TokenId token) { sampler.commit(token); }
};

template <typename Writer>
Result<Answer> write(Generation& generation, const LanguageModel& model,
                     const AnswerRequest& request, Writer writer) {
  const ModelShape& shape = model.shape();
  TruncationWorkspace workspace;
  Distribution distribution;
  Answer answer;
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
    COUNTERMARK_TRY(const Draw draw, writer.draw(logits));
    if (request.may_end && draw.token == shape.end_token) {
      answer.ended = true;
      break;
    }
    writer.commit(draw.token);
    answer.ids.push_back(draw.token);
    answer.draws.push_back(draw);
    COUNTERMARK_CHECK(
        truncate({logits}, request.sampling, kernel_or_active(nullptr), workspace, distribution));
    answer.probabilities.push_back(distribution.probability(draw.token));
    if (answer.ids.size() < request.max_tokens) {
      COUNTERMARK_TRY(logits, generation.next(draw.token));
    }
  }
  return answer;
}

}  // namespace

std::size_t Answer::marked() const noexcept {
  return static_cast<std::size_t>(std::count_if(
      draws.begin(), draws.end(), [](const Draw& draw) { return draw.kind == DrawKind::kMarked; }));
}

Result<Answer> write_answer(Generation& generation, const LanguageModel& model,
                            const NativeMark& mark, const AnswerRequest& request) {
  COUNTERMARK_CHECK(check_length(model, request));
  Response response(mark, request.identity, request.nonce, request.plain_key, request.max_tokens);
  std::vector<std::uint32_t> slots;
  for (std::size_t i = 0; i < mark.layers().size(); ++i)
    slots.push_back(response.slot(static_cast<std::uint8_t>(i)));
  COUNTERMARK_TRY(Answer answer,
                  write(generation, model, request, NativeWriter{std::move(response), &request}));
  answer.slots = std::move(slots);
  return answer;
}

Result<Answer> write_answer(Generation& generation, const LanguageModel& model,
                            const SharedForeignMark& mark, const AnswerRequest& request) {
  COUNTERMARK_CHECK(check_length(model, request));
  ForeignSampler sampler(mark, request.plain_key, request.prompt);
  if (!request.marked) sampler.never_mark(DrawKind::kOff);
  return write(generation, model, request, ForeignWriter{std::move(sampler), &request});
}

}  // namespace countermark::corpora
