// SPDX-License-Identifier: Apache-2.0
// What the distinct tuples of all that a suspect wrote, or predicted, say together.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "verifier/audit/effect.h"
#include "verifier/audit/finding.h"
#include "verifier/audit/walk.h"
#include "verifier/scan/corpus_tape.h"
#include "verifier/scan/tests.h"
#include "verifier/scan/verdict.h"

namespace countermark::audit {

struct TupleOptions {
  stats::PValue share_alpha = stats::PValue::from_parts(1, -2);  // 1 - confidence
  std::uint32_t decoys = 1000;                                   // 0: none
  std::string decoy_seed{};                                      // bytes
  unsigned threads = 1;
  std::function<void()> decoy_done{};  // from several threads
};

// Tokens that decoys read: the whole of an audit of usual size, and of a larger one a part.
inline constexpr std::uint64_t kSampleTokens = 1'000'000;

// Of a sum in a fixed order.
struct Sequence {
  Order order = Order::kAsRead;
  std::optional<std::uint64_t> planned{};  // the first so many scores; nothing: the bet decides
  stats::EValue most{};                    // that the bet ever was
  Walk walk{};
};

struct TupleFinding {
  scan::Summary summary{};
  scan::TestResult result{};
  std::optional<stats::EValue> e_value{};  // where the law has one
  // Of one sum under a law: nothing without a tuple, for the best of several slots, and where the
  // rank among decoys decides.
  std::optional<Effect> effect{};
  std::vector<Check> checks{};  // the decoys'; the caller adds his own
  detect::Verdict verdict = detect::Verdict::kInconclusive;
  std::optional<Sequence> sequence{};  // nothing: of a set of tuples, in whatever order

  // The verdict that the result's headline gives, and the decoys' check.
  void settle(const scan::Test& test, const AuditPolicy& policy);

  // A failed check withholds the verdict, and those of all streams.
  void add(Check check);
};

// Everything from a tape that holds all documents to the finding. `tests` holds one test.
Result<TupleFinding> judge_tuples(const scan::Tests& tests, scan::CorpusTape& tape,
                                  scan::Summary summary, const TupleOptions& options,
                                  const AuditPolicy& policy);

// The same from tuples in a fixed order. With fewer than `planned` it is inconclusive.
Result<TupleFinding> judge_walk(const scan::Tests& tests, const Material& material,
                                std::optional<std::uint64_t> planned, const TupleOptions& options,
                                const AuditPolicy& policy,
                                const std::function<void(std::uint64_t)>& read = {});

}  // namespace countermark::audit
