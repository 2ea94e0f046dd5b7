// SPDX-License-Identifier: Apache-2.0
#include "watermark/batch.h"

#include <cassert>

namespace countermark {
namespace {

constexpr std::uint32_t kNoPath = std::numeric_limits<std::uint32_t>::max();

// The number of drafts before rows[i], given those before the earlier rows.
Result<std::uint32_t> depth_of(std::span<const BatchRow> rows, std::size_t i,
                               std::span<const std::uint32_t> earlier) {
  const BatchRow& row = rows[i];
  if (row.response == nullptr) return fail(ErrorCode::kInvalidArgument, "a row has a response");
  if (row.parent == BatchRow::kNoParent) return 0;
  // Earlier rows only: no cycle can be spelled.
  if (row.parent >= i || rows[row.parent].response != row.response)
    return fail(ErrorCode::kInvalidArgument,
                "the parent of a row is an earlier row of the same response");
  if (earlier[row.parent] == kNoPath)
    return fail(ErrorCode::kInvalidArgument, "the parent of this row was refused");
  return earlier[row.parent] + 1;
}

Result<Draw> sample_row(std::span<const BatchRow> rows, std::size_t i, BatchWorkspace& workspace) {
  const BatchRow& row = rows[i];
  workspace.depths[i] = kNoPath;
  COUNTERMARK_TRY(const std::uint32_t depth, depth_of(rows, i, workspace.depths));
  workspace.depths[i] = depth;
  workspace.path.resize(depth);
  std::size_t at = i;
  for (std::size_t left = depth; left > 0; at = rows[at].parent)
    workspace.path[--left] = rows[at].draft;
  return sample(row.logits, row.options, *row.response, workspace.path, row.attempt,
                workspace.sampler);
}

}  // namespace

void BatchWorkspace::reserve(std::size_t rows, std::size_t row_size, std::size_t depth) {
  sampler.reserve(row_size, depth);
  path.reserve(depth);
  depths.reserve(rows);
}

void sample_batch(std::span<const BatchRow> rows, BatchWorkspace& workspace,
                  std::span<Result<Draw>> out) {
  assert(rows.size() == out.size());
  workspace.depths.resize(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) out[i] = sample_row(rows, i, workspace);
}

}  // namespace countermark
