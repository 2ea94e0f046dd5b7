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

#include "watermark/draw.h"
#include "watermark/error.h"
#include "watermark/response.h"
#include "watermark/truncation.h"

namespace countermark {

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

// The words that decide the draw of `sample` at that place, out[i] for tokens[i], and how it would
// be made of a row with something to choose; the token is not set.
Draw words_of_draw(const Response& response, TokenSpan path, std::uint32_t attempt,
                   TokenSpan tokens, std::span<std::uint32_t> out, SamplerWorkspace& workspace);

}  // namespace countermark
