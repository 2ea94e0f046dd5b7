// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/open_model.h"

#include <optional>
#include <utility>

#include "verifier/audit/round_trip.h"
#include "verifier/io/temporary_folder.h"
#include "verifier/scan/batch_scorer.h"
#include "verifier/scan/scanner.h"

namespace countermark::audit {
namespace {

// A corpus that is read, and where it is kept until it is judged.
struct Read {
  io::TemporaryFolder folder;  // goes after the tape
  scan::CorpusTape tape;
  scan::Summary summary;
};

// All documents of the file: what was predicted at each place, or the text itself.
Result<Read> read_all(const scan::Tests& tests, const std::string& path, bool is_predicted,
                      const OpenOptions& options) {
  COUNTERMARK_TRY(PredictionsReader reader, PredictionsReader::open(path));
  const scan::Channels channels = channels_of(tests);
  scan::ScanOptions scoring;
  scoring.inputs = {path};
  scoring.sample_tokens = is_predicted && options.tuples.decoys > 0 ? kSampleTokens : 0;
  COUNTERMARK_TRY(io::TemporaryFolder folder, io::TemporaryFolder::create());
  scan::CorpusTapeOptions tape_options;
  tape_options.settings = {settings_json(tests, scoring), channels.lanes, {}};
  tape_options.threads = options.tuples.threads;
  tape_options.folder = folder.path();
  COUNTERMARK_TRY(scan::CorpusTape tape, scan::CorpusTape::open(std::move(tape_options)));
  scan::Summary summary = scan::Summary::none(tests.tests.size(), scoring.sample_tokens);
  {
    scan::BatchScorer scorer(tests, channels, scoring);
    scan::CorpusTape::Writer writer = tape.writer();
    scan::ScoredBatch batch;
    for (;;) {
      COUNTERMARK_TRY(std::optional<text::Document> document, reader.next());
      if (!document) break;
      text::Segment& segment = document->segments.front();
      if (!is_predicted) segment.predicted.clear();
      if (!is_predicted) segment.unpredicted.clear();
      batch.clear(tests, channels, scoring.sample_tokens);
      COUNTERMARK_CHECK(scorer.score(*document, 0, batch));
      COUNTERMARK_CHECK(put(batch, channels, writer));
      summary += batch.summary;
      if (options.progress) options.progress(segment.ids.size());
    }
  }
  return Read{std::move(folder), std::move(tape), std::move(summary)};
}

}  // namespace

Result<std::vector<Check>> checks_of_ids(const scan::Tests& tests, const std::string& predictions) {
  COUNTERMARK_TRY(PredictionsReader reader, PredictionsReader::open(predictions));
  RoundTrip trip(tests.tokenizers.front().get());
  std::uint64_t places = 0;
  std::uint64_t unpredicted = 0;
  for (;;) {
    COUNTERMARK_TRY(const std::optional<text::Document> document, reader.next());
    if (!document) break;
    const text::Segment& read = document->segments.front();
    trip.add(read.ids);
    places += read.ids.size() - 1;
    unpredicted += read.unpredicted.size();
  }
  std::vector<Check> out = {trip.check()};
  const auto& tokenizer = tests.tokenizers.front();
  const auto& named = reader.header().tokenizer_sha256;
  if (out[0].state == Check::State::kPassed && named && tokenizer != nullptr &&
      *named != tokenizer->sha256())
    out[0] = {"tokenizer", Check::State::kNotRun,
              "the predictions name another tokenizer file than the profile's: if the suspect's "
              "tokens are others, nothing will be found (predict -t FILE, with the profile's)"};
  if (reader.header().aligned_from)
    out.push_back({"alignment", Check::State::kPassed,
                   "the suspect has another tokenizer: " + std::to_string(places - unpredicted) +
                       " of its " + std::to_string(places) +
                       " predictions are one token of the profile's"});
  return out;
}

Result<Check> reading_check(const scan::Tests& tests, const std::string& predictions,
                            const OpenOptions& options, const AuditPolicy& policy) {
  OpenOptions of_text = options;
  of_text.tuples.decoys = 0;
  COUNTERMARK_TRY(Read text, read_all(tests, predictions, false, of_text));
  COUNTERMARK_TRY(const TupleFinding own,
                  judge_tuples(tests, text.tape, std::move(text.summary), of_text.tuples, policy));
  const stats::PValue p = own.result.finding.evidence.p;
  return Check{"reading-text",
               p.to_double() <= kReadingLevel ? Check::State::kFailed : Check::State::kPassed,
               "the text that was read has p " + p.to_string() + " under this key"};
}

Result<TupleFinding> open_model(const scan::Tests& tests, const std::string& predictions,
                                const OpenOptions& options, const AuditPolicy& policy) {
  COUNTERMARK_TRY(Read predicted, read_all(tests, predictions, true, options));
  COUNTERMARK_TRY(
      TupleFinding out,
      judge_tuples(tests, predicted.tape, std::move(predicted.summary), options.tuples, policy));
  COUNTERMARK_TRY(Check reading, reading_check(tests, predictions, options, policy));
  out.add(std::move(reading));
  COUNTERMARK_TRY(std::vector<Check> of_ids, checks_of_ids(tests, predictions));
  for (Check& check : of_ids) out.add(std::move(check));
  return out;
}

}  // namespace countermark::audit
