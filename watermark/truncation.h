// SPDX-License-Identifier: Apache-2.0
// From one row of logits to the distribution that is drawn from: temperature, top-k, top-p, min-p.
// What happens with odd rows: docs/sampler.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "watermark/error.h"
#include "watermark/kernels/dispatch.h"
#include "watermark/token.h"

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

// One row, in nats, for ids 0, 1, … or, when the engine hands over what its own truncation kept,
// for ids[i], each id once, in any order. -inf and NaN are never drawn; when +inf occurs, only the
// entries that have it can be drawn. Points to the engine's memory.
struct LogitsRow {
  // NOLINTNEXTLINE(google-explicit-constructor): a span of floats is a row
  LogitsRow(std::span<const float> values = {}, std::span<const TokenId> ids_of_values = {})
      : logits{values.data(), values.size(), COUNTERMARK_LOGIT_F32}, ids(ids_of_values) {}

  // IEEE binary16, and bfloat16: the upper half of an fp32.
  static LogitsRow f16(std::span<const std::uint16_t> bits, std::span<const TokenId> ids = {}) {
    return {{bits.data(), bits.size(), COUNTERMARK_LOGIT_F16}, ids};
  }
  static LogitsRow bf16(std::span<const std::uint16_t> bits, std::span<const TokenId> ids = {}) {
    return {{bits.data(), bits.size(), COUNTERMARK_LOGIT_BF16}, ids};
  }

  bool is_dense() const noexcept { return ids.empty(); }

  CountermarkLogits logits;
  std::span<const TokenId> ids;  // empty: dense

 private:
  LogitsRow(const CountermarkLogits& values, std::span<const TokenId> ids_of_values)
      : logits(values), ids(ids_of_values) {}
};

// Tokens that can be drawn, with weights proportional to their probabilities: all above 0, the
// likeliest token's is 1 and stands first; in order of rank, if anything was cut.
struct Distribution {
  std::vector<TokenId> ids{};
  std::vector<double> weights{};

  // The sum of the weights, in a fixed order.
  double total() const noexcept;
  // A token's probability; 0 for one that is not there. O(size).
  double probability(TokenId token) const noexcept;
};

// Scratch memory of one thread. Grows to the largest row and is then reused.
struct TruncationWorkspace {
  std::vector<float> scratch{};
  std::vector<std::uint64_t> keys{};
  std::vector<float> logits{};

  // Makes room for rows of `size` entries, so that nothing allocates afterwards.
  void reserve(std::size_t size);
};

// The entries of a row that can be drawn, as they are: ids and logits in order of rank, equal
// logits by rising id. Errors as truncate's. O(size log size).
Status rank(const LogitsRow& row, const Kernel& kernel, TruncationWorkspace& workspace,
            std::vector<TokenId>& ids, std::vector<float>& logits);

// The distribution that the options leave of a row; at temperature 0 the largest logit alone. The
// options must have passed check_sampling_options. kNoCandidate when no entry is a number above
// -inf; kInvalidArgument when there are ids, but not as many as logits, or more than 2^32 entries.
//
// O(size), and O(k log k) for the k tokens that top-k, top-p or min-p keep.
Status truncate(const LogitsRow& row, const SamplingOptions& options, const Kernel& kernel,
                TruncationWorkspace& workspace, Distribution& out);

}  // namespace countermark
