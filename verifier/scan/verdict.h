// SPDX-License-Identifier: Apache-2.0
// From a finished corpus to verdicts: of the whole, of each document, and how much is marked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "verifier/detect/line_up.h"
#include "verifier/scan/corpus.h"
#include "verifier/scan/summary.h"
#include "verifier/scan/tests.h"
#include "verifier/stats/e_value.h"
#include "verifier/stats/multiplicity.h"
#include "verifier/stats/share.h"

namespace countermark::scan {

// What was found over the whole corpus by one sum, or, where a stream has several slots, by the
// product of its documents' e-values (stats::SlotEvidence): a response has one slot, and which is
// not known.
struct Finding {
  detect::Evidence evidence{};  // its tally is that of the best slots, when there are some
  std::optional<stats::EValue> e_value{};  // then `evidence` has its p-value
  detect::Verdict verdict = detect::Verdict::kInconclusive;
};

struct StreamFinding {
  LayerKind layer = LayerKind::kShared;
  std::string identity{};
  Finding finding{};
};

// Documents that are listed as marked.
struct DocumentList {
  std::uint64_t documents = 0;    // with enough tuples of their own to be judged
  std::uint64_t guaranteed = 0;   // Benjamini-Yekutieli: whatever the dependence
  std::uint64_t independent = 0;  // Benjamini-Hochberg: if they are independent
  // p adjusted for the list (stats::Discovery), by number of the document in the inputs' order.
  std::unordered_map<std::uint64_t, stats::PValue> adjusted{};
};

// A span that is found: marked, by a window whose p-value is corrected for all windows that were
// tried, of all documents and lanes.
struct FoundSpan {
  std::string document{};  // its id
  Span span{};
  stats::PValue p{};
};

struct TestResult {
  Finding finding{};
  std::vector<StreamFinding> streams{};  // the claimed ones, each by its own layer
  std::vector<Tally> totals{};           // by lane, in the order of the channels
  stats::ShareBound share{};             // of the shared stream, else the first
  DocumentList list{};
  std::uint64_t windows = 0;            // that were tried for spans
  std::uint64_t spans = 0;              // that are found
  std::vector<FoundSpan> best_spans{};  // the first of them by p-value
  std::optional<detect::LineUp> line_up{};
  std::vector<std::string> reasons{};
};

struct JudgeOptions {
  stats::PValue list_level = stats::PValue::from_parts(5, -2);   // false discovery rate
  stats::PValue share_alpha = stats::PValue::from_parts(1, -2);  // 1 - confidence
};

// The corrected p-value of a span's window; nothing if it is above the policy's alpha.
std::optional<stats::PValue> span_p(const Test& test, const Tally& window, std::uint64_t windows,
                                    std::uint64_t routed);

// Spans that a report names itself.
inline constexpr std::size_t kBestSpans = 20;

// Counts for the share, filled while the corpus is united: pass to CorpusTape::finish or merge.
class ShareCounter {
 public:
  ShareCounter(const Tests& tests, const Channels& channels, unsigned threads);

  void operator()(unsigned worker, std::size_t lane, std::span<const std::uint32_t> scores);

  // Over all threads, by test.
  std::vector<stats::ShareCounts> counts() const;
  const stats::ShareFamily& family(std::size_t test) const { return families_[test]; }

 private:
  std::vector<stats::ShareFamily> families_{};  // by test
  // By lane: the test that it is counted for.
  std::vector<std::optional<std::size_t>> test_of_lane_{};
  std::vector<std::vector<stats::ShareCounts>> counts_{};  // by thread, then test
};

// The verdicts of all tests, before any line-up.
Result<std::vector<TestResult>> judge(const Tests& tests, const Corpus& corpus,
                                      const Summary& summary, const ShareCounter& shares,
                                      const JudgeOptions& options);

// Puts the line-up into a result: where the law is only a model its rank decides, and elsewhere
// decoys that are not calibrated withhold every verdict.
void add_line_up(const Test& test, detect::LineUp line_up, TestResult& result);
// The same without one.
void without_line_up(const Test& test, TestResult& result);

// A document's tallies of one test, of all the lanes' in the order of the channels.
LaneTallies lanes_of(const Tests& tests, const Channels& channels, std::size_t test,
                     std::span<const Tally> all);

// A document by itself, for one test, on tuples of its own: as detect judges it. A p-value above
// `exact_below` may be larger than the exact one by a part in 10^9 (before its hypotheses): of most
// documents of most corpora it is, and that takes microseconds.
detect::Evidence document_evidence(const Test& test, const LaneTallies& tallies,
                                   std::uint64_t routed, stats::PValue exact_below);

}  // namespace countermark::scan
