// SPDX-License-Identifier: Apache-2.0
// From one row of logits to the next token: temperature, truncation, marked draw.
//
// A draw is a pure function of (row, options, response, path, attempt); nothing is remembered
// until the caller commits a token to the response. Specification: docs/mark.md, "Draw" and
// "History, speculation, re-draws"; what happens with odd rows: docs/sampler.md.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "watermark/error.h"
#include "watermark/response.h"

namespace countermark {

// Applied in this order. The defaults change nothing.
struct SamplingOptions {
  double temperature = 1;   // >= 0; 0 takes the largest logit
  std::uint32_t top_k = 0;  // keep the k largest, exactly k; 0: all
  double top_p = 1;         // then the shortest run from the top with at least this mass, (0, 1]
  double min_p = 0;         // then those with at least this fraction of the top's mass, [0, 1]
};

// kInvalidArgument, naming the option, when one is out of its range or not a number.
Status check_sampling_options(const SamplingOptions& options);

// One row: logits[vocab_size] in nats for ids 0, 1, …, or, when the engine hands over what its
// own truncation kept, logits[k] for ids[k], each id once, in any order. -inf and NaN are never
// drawn; when +inf occurs, only the entries that have it can be drawn.
struct LogitsRow {
  std::span<const float> logits;
  std::span<const TokenId> ids{};  // empty: dense
};

// Why a token was drawn the way it was. Everything but kMarked is an unmarked draw.
enum class DrawKind : std::uint8_t {
  kMarked,
  kShortContext,  // fewer tokens than the width that decides
  kRepeated,      // this context was used before in the response
  kHistoryFull,   // more contexts than the response was made for
  kNoIdentity,    // the layer's identity was not given
  kRedraw,        // attempt > 0
  kOneCandidate,  // nothing to choose
  kGreedy,        // temperature 0
};

const char* draw_kind_name(DrawKind kind) noexcept;

struct Draw {
  TokenId token = 0;
  DrawKind kind = DrawKind::kMarked;
  std::uint8_t layer = 0;        // of a marked draw
  double probability = 1;        // of the token in the distribution that was drawn from
  std::uint32_t candidates = 0;  // with positive probability
};

// Scratch memory of one thread. Grows to the largest row and is then reused.
struct SamplerWorkspace {
  struct Candidate {
    float logit;
    TokenId id;
    double weight;
  };
  std::vector<Candidate> candidates{};
  std::vector<TokenId> ids{};
  std::vector<std::uint32_t> words{};
  std::vector<std::uint64_t> path_contexts{};
};

// Draws the token that follows response.tokens() and then `path`, the draft tokens before this
// row that are not committed. attempt > 0 is a re-draw of the same position.
//
// The text's law is the options' distribution, up to candidates / 2^32 in total variation a draw,
// over a random key or plain key. Ties in the draw go to the lowest id. The options must have
// passed check_sampling_options. kNoCandidate when no entry is a number above -inf.
//
// O(vocab_size), and O(k log k) for what top-p has to sort.
Result<Draw> sample(const LogitsRow& row, const SamplingOptions& options, const Response& response,
                    TokenSpan path, std::uint32_t attempt, SamplerWorkspace& workspace);

}  // namespace countermark
