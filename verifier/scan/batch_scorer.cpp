// SPDX-License-Identifier: Apache-2.0
#include "verifier/scan/batch_scorer.h"

#include <utility>

#include "verifier/scan/content_hash.h"

namespace countermark::scan {
namespace {

using detect::Dropped;

// Records of one input that belong to one shard together.
constexpr std::uint64_t kShardRecords = 1024;

Error at_document(Error error, const text::Document& document) {
  if (error.field.empty()) error.field = document.field;
  if (!error.offset) error.offset = document.offset;
  return std::move(error).in_file(document.input);
}

}  // namespace

void ScoredBatch::clear(const Tests& tests, const Channels& channels, std::uint64_t sample_tokens) {
  documents.clear();
  fingerprints.resize(channels.lanes.size());
  scores.resize(channels.lanes.size());
  for (auto& column : fingerprints) column.clear();
  for (auto& column : scores) column.clear();
  summary = Summary::none(tests.tests.size(), sample_tokens);
  bad.clear();
  ended_by_error = false;
}

Status put(const ScoredBatch& scored, const Channels& channels, CorpusTape::Writer& writer) {
  for (const Scored& document : scored.documents) {
    COUNTERMARK_TRY(const std::uint32_t number, writer.add(document.row));
    for (std::size_t channel = 0; channel < document.tuples.size(); ++channel) {
      const auto [first, count] = document.tuples[channel];
      const std::uint32_t lanes = channels.lanes[channel];
      COUNTERMARK_CHECK(writer.append(
          channel, number, std::span(scored.fingerprints[channel]).subspan(first, count),
          std::span(scored.scores[channel]).subspan(first * lanes, count * lanes)));
    }
  }
  return {};
}

BatchScorer::BatchScorer(const Tests& tests, const Channels& channels, const ScanOptions& options)
    : tests_(&tests), channels_(&channels), options_(&options), parser_(options.reader) {
  for (const auto& test : tests.tests) scorers_.push_back(test->scorer());
  for (const auto& tokenizer : tests.tokenizers) tokenizers_.emplace_back(tokenizer.get());
  texts_.resize(tests.tokenizers.size());
  sheets_.resize(tests.tests.size());
}

void BatchScorer::score(const text::Batch& batch, ScoredBatch& out) {
  out.clear(*tests_, *channels_, options_->sample_tokens);
  for (const text::RawRecord& record : batch.records) {
    if (!mine(batch.begin.input, record.record)) continue;
    auto scored = score(batch, record, out);
    if (scored) continue;
    ++out.summary.bad_records;
    out.bad.push_back(std::move(scored).error());
    if (options_->skip_bad) continue;
    out.ended_by_error = true;
    return;
  }
}

// Whole inputs are dealt to the shards where there are enough, else runs of records.
bool BatchScorer::mine(std::size_t input, std::uint64_t record) const noexcept {
  const Shard& shard = options_->shard;
  if (options_->inputs.size() >= shard.count) return input % shard.count == shard.index;
  return (input + (record - 1) / kShardRecords) % shard.count == shard.index;
}

Status BatchScorer::score(const text::Batch& batch, const text::RawRecord& record,
                          ScoredBatch& out) {
  COUNTERMARK_TRY(const text::Document document, parser_.parse(batch, record));
  return score(document, batch.begin.input, out);
}

Status BatchScorer::score(const text::Document& document, std::size_t input, ScoredBatch& out) {
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    auto read = tokenizers_[i].tokenize(document, texts_[i]);
    if (!read) return fail(at_document(std::move(read).error(), document));
  }
  // All tests first: a document that one of them cannot read leaves nothing behind.
  std::vector<Reading> readings;
  for (std::size_t i = 0; i < scorers_.size(); ++i) {
    auto reading = scorers_[i]->score(texts_[tests_->tokenizer_of[i]], sheets_[i]);
    if (!reading) return fail(at_document(std::move(reading).error(), document));
    readings.push_back(*reading);
  }
  add(document, input, readings, out);
  return {};
}

void BatchScorer::add(const text::Document& document, std::size_t input,
                      const std::vector<Reading>& readings, ScoredBatch& out) {
  Scored& scored = out.documents.emplace_back();
  DocumentRow& row = scored.row;
  row.content_hash = content_hash(document);
  row.place = {static_cast<std::uint32_t>(input), document.record};
  row.offset = document.offset;
  row.id = document.id;
  row.tokens = readings.front().tokens;
  for (std::size_t i = 0; i < readings.size(); ++i) {
    const Dropped& dropped = readings[i].dropped;
    std::uint64_t routed = 0;
    for (const detect::TokenSegment& segment : texts_[tests_->tokenizer_of[i]])
      routed += segment.ids.size();
    row.dropped.insert(row.dropped.end(), {routed, dropped.short_context, dropped.repeated_context,
                                           dropped.prompt_context, dropped.repeated_tuple});
    out.summary.routed[i] += routed;
    out.summary.dropped[i] += dropped;
    for (std::size_t c = 0; c < sheets_[i].size(); ++c) {
      out.summary.tuples[i] += sheets_[i][c].fingerprints.size();
      add_sheet(i, c, scored, out);
    }
  }
  ++out.summary.documents;
  for (const detect::TokenSegment& segment : texts_.front())
    out.summary.tokens += segment.ids.size();
  if (row.tokens > 0 && out.summary.sample.wants(row.content_hash, row.place))
    out.summary.sample.add(row.content_hash, row.place, {texts_, row.tokens});
}

void BatchScorer::add_sheet(std::size_t test, std::size_t channel, Scored& scored,
                            ScoredBatch& out) {
  const Sheet& sheet = sheets_[test][channel];
  const std::size_t of_tape = channels_->first_channel[test] + channel;
  std::vector<std::uint64_t>& fingerprints = out.fingerprints[of_tape];
  std::vector<std::uint32_t>& scores = out.scores[of_tape];
  scored.tuples.emplace_back(fingerprints.size(), sheet.fingerprints.size());
  fingerprints.insert(fingerprints.end(), sheet.fingerprints.begin(), sheet.fingerprints.end());
  for (std::size_t lane = 0; lane < sheet.scores.size(); ++lane) {
    const std::vector<std::uint32_t>& of_lane = sheet.scores[lane];
    const auto number = static_cast<std::uint32_t>(scored.row.own.size());
    scored.row.own.push_back(sheet.tally(lane));
    scores.insert(scores.end(), of_lane.begin(), of_lane.end());
    const detect::SpanSearch found =
        tests_->span_finders[test].search(of_lane, sheet.positions, spans_);
    out.summary.windows[test] += found.windows;
    for (const detect::SpanCandidate& span : found.candidates)
      scored.row.spans.push_back({number, span.begin, span.end - 1, span.window});
  }
}

}  // namespace countermark::scan
