// SPDX-License-Identifier: Apache-2.0
// Where in a document the mark is: spans whose windows have too high a sum for all the windows that
// were tried, in this document and in every other of the scan.
//
// Two phases, so that a scan corrects for what it has tried when it knows how much that was.
// `search` looks at one document and returns the windows that might be found and the number that
// were tried; of a candidate it keeps the tally, and no p-value that nobody has corrected. When all
// is read, `weigh` (policy.h) with the sum of those numbers as hypotheses, times other tests, gives
// the evidence: a candidate is a found span if that is at most alpha.
//
// Null law of a window: that of a tally of as many tuples, as windows are fixed by the numbers of
// tuples alone. P(any of W windows has W p <= alpha) <= alpha, however they overlap and whichever
// documents share tuples (Bonferroni). The ends of a span carry no error rate: see
// docs/statistics.md, "Marked spans".
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "verifier/detect/policy.h"
#include "verifier/detect/tally.h"
#include "verifier/stats/p_value.h"
#include "watermark/null_model.h"

namespace countermark::detect {

struct SpanCandidate {
  // Tokens of the document: where the first scored one lies, and one past the last.
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  Tally window{};  // what decides: one window in it; the span may be longer or shorter

  bool operator==(const SpanCandidate&) const = default;
};

struct SpanSearch {
  std::vector<SpanCandidate> candidates{};  // by position; they do not overlap
  std::uint64_t windows = 0;                // that were tried
};

// The windows: 32, 45, 64, 91, 128, … tuples (32 x 2^(k/2), rounded down; to 2^24), each beginning
// at multiples of a quarter of its length. About .43 n windows of n tuples; none of fewer than 32.
inline constexpr std::uint64_t kShortestWindow = 32;

// Thread-safe. The memory of a search is the caller's: one scratch a thread.
class SpanFinder {
 public:
  // `level`: no window with a larger p-value is kept. A scan's alpha, or less: what is found at
  // the end has a corrected p-value of at most that.
  SpanFinder(NullModel model, stats::PValue level) : model_(model), level_(level) {}

  struct Scratch {
    std::vector<std::uint64_t> sums{};
  };

  // One document's own tape: the scores of its distinct tuples, in the unit of the model's law, and
  // the token that each stands at, in ascending order. Two nanoseconds a tuple where no window
  // passes; O(c log c) for c windows that pass, .1 us a tuple where all do.
  SpanSearch search(std::span<const std::uint32_t> scores, std::span<const std::uint64_t> positions,
                    Scratch& scratch) const;
  SpanSearch search(std::span<const std::uint64_t> scores, std::span<const std::uint64_t> positions,
                    Scratch& scratch) const;

  const NullModel& model() const noexcept { return model_; }

 private:
  static constexpr std::size_t kLengths = 39;
  static std::uint64_t length(std::size_t index) noexcept;
  std::uint64_t critical(std::size_t index) const;

  template <typename Score>
  SpanSearch search_any(std::span<const Score> scores, std::span<const std::uint64_t> positions,
                        Scratch& scratch) const;

  NullModel model_;
  stats::PValue level_;
  // The least sum of each length that passes; 0: not computed yet. Threads that meet there compute
  // the same.
  mutable std::array<std::atomic<std::uint64_t>, kLengths> criticals_{};
};

struct ByteRange {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool operator==(const ByteRange&) const = default;
};

// The bytes of tokens [begin, end) of a UTF-8 text, widened to whole characters, where token i
// stands at bytes [offsets[i], offsets[i + 1]).
ByteRange bytes_of(std::string_view text, std::span<const std::uint64_t> offsets,
                   std::uint64_t begin, std::uint64_t end) noexcept;

}  // namespace countermark::detect
