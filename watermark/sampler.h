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
#include "watermark/truncation.h"

namespace countermark {

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
  std::uint8_t layer = 0;  // of a marked draw
};

// Scratch memory of one thread. Grows to the largest row and is then reused.
struct SamplerWorkspace {
  TruncationWorkspace truncation{};
  Distribution distribution{};
  std::vector<std::uint32_t> words{};
  std::vector<double> arrivals{};
  std::vector<std::uint64_t> path_contexts{};

  // Makes room for rows of `row_size` entries and drafts of `path_size` tokens, so that no step
  // allocates afterwards.
  void reserve(std::size_t row_size, std::size_t path_size);
};

// Draws the token that follows response.tokens() and then `path`, the draft tokens before this
// row that are not committed. attempt > 0 is a re-draw of the same position.
//
// The text's law is the options' distribution, up to candidates / 2^32 in total variation a draw,
// over a random key or plain key. Ties in the draw go to the lowest id. The options must have
// passed check_sampling_options. kNoCandidate when no entry is a number above -inf.
//
// O(vocab_size), and O(k log k) for the k tokens that are kept; O(path) AES blocks for the contexts
// of the path.
Result<Draw> sample(const LogitsRow& row, const SamplingOptions& options, const Response& response,
                    TokenSpan path, std::uint32_t attempt, SamplerWorkspace& workspace);

}  // namespace countermark
