// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/closed_model.h"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <set>
#include <utility>

#include "verifier/audit/round_trip.h"
#include "verifier/detect/report_parts.h"
#include "verifier/scan/scanner.h"
#include "watermark/prf/hash.h"

namespace countermark::audit {
namespace {

constexpr std::uint64_t kIdsLookedAt = 1'000'000;

// What names a prompt: no two give the same.
std::string name_of(const std::vector<text::Segment>& prompt) {
  std::string out;
  for (const text::Segment& segment : prompt) {
    out += segment.is_ids ? 'i' : 't';
    out += std::to_string(segment.is_ids ? segment.ids.size() : segment.text.size()) + ":";
    out += segment.text;
    for (const TokenId id : segment.ids) out += std::to_string(id) + ",";
  }
  return out;
}

bool is_shown(const text::Segment& segment) {
  return !segment.scored && !(segment.is_ids ? segment.ids.empty() : segment.text.empty());
}

}  // namespace

Check echo_check(const detect::Dropped& dropped, std::uint64_t scored) {
  const std::uint64_t echoed = dropped.prompt_context;
  const std::uint64_t all = scored + echoed;
  const double share = all == 0 ? 0 : static_cast<double>(echoed) / static_cast<double>(all);
  return {"echo", share > kMostEcho ? Check::State::kFailed : Check::State::kPassed,
          detect::fixed(100 * share, 1) + " % of the answers' contexts stand in prompts"};
}

void add_checks(const Shown& shown, const scan::Tests& tests, TupleFinding& finding) {
  finding.add({"prompts-given",
               shown.without_prompt == 0 ? Check::State::kPassed : Check::State::kFailed,
               std::to_string(shown.without_prompt) + " of " + std::to_string(shown.answers) +
                   " answers come without the prompt they were given"});
  if (shown.ids.empty()) return;
  RoundTrip trip(tests.tokenizers.front().get());
  for (const std::vector<TokenId>& ids : shown.ids) trip.add(ids);
  finding.add(trip.check());
}

text::ReaderOptions of_audit(text::ReaderOptions reader) {
  reader.last_answer_only = true;
  return reader;
}

Result<Shown> read_prompts(const std::vector<std::string>& inputs,
                           const text::ReaderOptions& reader) {
  Shown out;
  std::set<std::array<std::uint8_t, 32>> known;
  std::uint64_t ids = 0;
  for (const std::string& input : inputs) {
    COUNTERMARK_TRY(const auto documents, text::open_documents(input, of_audit(reader)));
    for (;;) {
      COUNTERMARK_TRY(std::optional<text::Document> answer, documents->next());
      if (!answer) break;
      ++out.answers;
      for (const text::Segment& segment : answer->segments)
        if (segment.scored && segment.is_ids && ids < kIdsLookedAt) {
          ids += segment.ids.size();
          out.ids.push_back(segment.ids);
        }
      std::erase_if(answer->segments, std::not_fn(is_shown));
      out.without_prompt += answer->segments.empty() ? 1U : 0U;
      if (answer->segments.empty() || !known.insert(sha256(name_of(answer->segments))).second)
        continue;
      out.prompts.push_back(*std::move(answer));
    }
  }
  return out;
}

Result<TupleFinding> closed_model(const scan::Tests& tests, const Shown& shown,
                                  const ClosedOptions& options, const AuditPolicy& policy) {
  scan::ScanOptions reading;
  reading.inputs = options.inputs;
  reading.reader = of_audit(options.reader);
  reading.threads = options.tuples.threads;
  reading.sample_tokens = options.tuples.decoys == 0 ? 0 : kSampleTokens;
  if (options.progress)
    reading.progress = [&](std::uint64_t /*bytes*/, std::uint64_t documents) {
      options.progress(documents);
    };
  COUNTERMARK_TRY(auto scanned, scan::scan(tests, reading));
  // Nobody stops it.
  if (!scanned) return fail(ErrorCode::kInternal, "the answers were not read to their end");
  COUNTERMARK_TRY(TupleFinding out, judge_tuples(tests, scanned->tape, std::move(scanned->summary),
                                                 options.tuples, policy));
  out.add(echo_check(out.summary.dropped.front(), out.summary.tuples.front()));
  add_checks(shown, tests, out);
  return out;
}

}  // namespace countermark::audit
