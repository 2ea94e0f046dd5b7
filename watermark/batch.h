// SPDX-License-Identifier: Apache-2.0
// One step of an engine: rows of many responses, and of the drafts that are tried on top of them,
// drawn in one call. A row is drawn by `sample` as if it were alone; this only spells its path.
// What is accepted of the draws is the engine's business, and so is committing it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "watermark/sampler.h"

namespace countermark {

// A row and where it stands. The rows of one response form trees: a row without a parent follows
// the committed tokens; any other follows what its parent follows, and then `draft`. All of them
// stand in the response's current channel.
struct BatchRow {
  static constexpr std::uint32_t kNoParent = std::numeric_limits<std::uint32_t>::max();

  LogitsRow logits{};
  SamplingOptions options{};  // that have passed check_sampling_options
  const Response* response = nullptr;
  std::uint32_t attempt = 0;
  std::uint32_t parent = kNoParent;  // index of an earlier row of the same response
  TokenId draft = 0;                 // leads from the parent to this row
};

// Scratch memory of one thread.
struct BatchWorkspace {
  // Afterwards batches of so many rows of so many entries, with paths of at most `depth` drafts,
  // allocate nothing. (An error allocates its message.)
  void reserve(std::size_t rows, std::size_t row_size, std::size_t depth);

  SamplerWorkspace sampler{};
  std::vector<TokenId> path{};
  std::vector<std::uint32_t> depths{};  // by row: the length of its path
};

// Draws out[i] for rows[i], spans of one length, as `sample` does; like it, nothing is remembered.
// A row without a response, or whose parent is not an earlier row of the same response, is
// kInvalidArgument, and so are the rows below it, which have no place. Any other error is that of
// `sample` and concerns its row alone.
//
// O(path) a row besides `sample`.
void sample_batch(std::span<const BatchRow> rows, BatchWorkspace& workspace,
                  std::span<Result<Draw>> out);

}  // namespace countermark
