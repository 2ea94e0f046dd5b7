// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/supervised.h"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "verifier/audit/closed_model.h"
#include "verifier/audit/open_model.h"
#include "verifier/audit/predictions.h"
#include "verifier/text/transcript.h"

namespace countermark::audit {
namespace {

using detect::TokenSegment;

// The answers of a log that belong to a claim, in order.
class Log {
 public:
  static Result<Log> open(const std::string& path, const LogFilter& filter) {
    COUNTERMARK_TRY(text::TranscriptReader reader, text::TranscriptReader::open(path));
    return Log(std::move(reader), filter);
  }

  // Whether or not it belongs to the claim.
  Result<std::optional<text::Transcript>> next() { return reader_.next(); }

  // Whether it belongs, and counts it.
  bool is_claimed(const text::Transcript& transcript, LogCounts& counts) const {
    if (!filter_.key_id.empty() &&
        (transcript.key_id != filter_.key_id || transcript.profile != filter_.profile)) {
      ++counts.other_key;
    } else if ((!filter_.account.empty() && transcript.account != filter_.account) ||
               (!filter_.cohort.empty() && transcript.cohort != filter_.cohort)) {
      ++counts.other_identity;
    } else {
      return true;
    }
    return false;
  }

 private:
  Log(text::TranscriptReader reader, LogFilter filter)
      : reader_(std::move(reader)), filter_(std::move(filter)) {}

  text::TranscriptReader reader_;
  LogFilter filter_;
};

bool ends_with(const std::vector<TokenId>& ids, const std::vector<TokenId>& end) {
  return !end.empty() && ids.size() >= end.size() &&
         std::equal(end.begin(), end.end(), ids.end() - static_cast<std::ptrdiff_t>(end.size()));
}

Exhibit exhibit_of(text::Segment&& read, std::size_t answer, std::vector<std::uint32_t> slots) {
  const auto split = static_cast<std::ptrdiff_t>(read.ids.size() - answer);
  Exhibit out{{}, std::move(slots)};
  if (split > 0)
    out.text.push_back(TokenSegment{{read.ids.begin(), read.ids.begin() + split}, false});
  out.text.push_back(TokenSegment{{read.ids.begin() + split, read.ids.end()},
                                  true,
                                  {read.predicted.begin() + split, read.predicted.end()}});
  return out;
}

Exhibit exhibit_of(const text::Transcript& transcript) {
  Exhibit out{{}, transcript.slots};
  if (transcript.prompt_ids) out.text.push_back(TokenSegment{*transcript.prompt_ids, false});
  out.text.push_back(TokenSegment{transcript.ids, true});
  return out;
}

// Of a suspect with another tokenizer: whether a place has a prediction depends on the token that
// stands there (a suffix does not begin where the suspect's tokens do), and in marked text the key
// chose that one. So which scores count would depend on the scores.
Status check_all_predicted(const text::Document& document) {
  if (document.segments.front().unpredicted.empty()) return {};
  return fail(Error{ErrorCode::kUnsupported,
                    "a suspect with another tokenizer can be judged by what it predicts of text "
                    "that is not marked (--predictions), by its answers and by its ratings alone",
                    document.input, "document " + std::to_string(document.record - 1)});
}

// Answers by how they begin. Those that are shorter tell nothing.
class Beginnings {
 public:
  static constexpr std::size_t kLeast = 8;
  static constexpr std::size_t kMost = 16;  // tokens

  void add(TokenSpan answer) {
    const std::size_t size = std::min(answer.size(), kMost);
    if (size >= kLeast) known_[size - kLeast].insert(hash(answer.first(size)));
  }

  bool stand_in(TokenSpan prompt) const {
    for (std::size_t size = kLeast; size <= kMost; ++size) {
      if (known_[size - kLeast].empty()) continue;
      for (std::size_t at = 0; at + size <= prompt.size(); ++at)
        if (known_[size - kLeast].contains(hash(prompt.subspan(at, size)))) return true;
    }
    return false;
  }

 private:
  static std::size_t hash(TokenSpan ids) {
    return std::hash<std::string_view>()(
        {reinterpret_cast<const char*>(ids.data()), ids.size_bytes()});
  }

  std::array<std::unordered_set<std::size_t>, kMost - kLeast + 1> known_{};
};

}  // namespace

Check order_check(const LogCounts& counts) {
  return {"log-order", counts.late == 0 ? Check::State::kPassed : Check::State::kFailed,
          std::to_string(counts.late) + " of " + std::to_string(counts.used) +
              " answers stand behind one that was served later: sort the log by time"};
}

Check turns_check(const Material& material) {
  Beginnings answers;
  for (const Exhibit& each : material.log)
    for (const TokenSegment& segment : each.text)
      if (segment.scored) answers.add(segment.ids);
  std::uint64_t turns = 0;
  for (const Exhibit& each : material.texts)
    turns += std::any_of(each.text.begin(), each.text.end(), [&](const TokenSegment& segment) {
      return !segment.scored && answers.stand_in(segment.ids);
    });
  return {"first-turns", turns == 0 ? Check::State::kPassed : Check::State::kFailed,
          std::to_string(turns) + " of " + std::to_string(material.texts.size()) +
              " prompts bring up an answer of the log, as later turns do: ask those alone that do "
              "not"};
}

Check log_check(const LogCounts& counts) {
  return {"log", counts.used > 0 ? Check::State::kPassed : Check::State::kNotRun,
          std::to_string(counts.used) +
              " answers of the log; passed over: " + std::to_string(counts.other_key) +
              " under no or another key, " + std::to_string(counts.other_identity) +
              " of others, " + std::to_string(counts.unread) + " that the suspect did not read"};
}

Result<Check> marked_check(const scan::Tests& tests, const Material& material) {
  Material own{Order::kAsRead, material.texts, {}};
  for (Exhibit& each : own.texts)
    for (TokenSegment& segment : each.text) segment = {std::move(segment.ids), segment.scored};
  COUNTERMARK_TRY(const Walk walked, walk(*tests.tests.front(), own, std::nullopt));
  const stats::PValue p = walked.all.most.p_value();
  const bool is_marked = p.to_double() <= kReadingLevel;
  return Check{"marked-text", is_marked ? Check::State::kPassed : Check::State::kNotRun,
               is_marked ? "the text that was read has p " + p.to_string() + " under this key"
                         : "the text that was read shows no mark under this key (p " +
                               p.to_string() + "): nothing may be found"};
}

Result<Material> read_marked(const std::string& predictions) {
  COUNTERMARK_TRY(PredictionsReader reader, PredictionsReader::open(predictions));
  Material out;
  for (;;) {
    COUNTERMARK_TRY(std::optional<text::Document> document, reader.next());
    if (!document) return out;
    COUNTERMARK_CHECK(check_all_predicted(*document));
    text::Segment& read = document->segments.front();
    const std::size_t tokens = read.ids.size();
    out.texts.push_back(exhibit_of(std::move(read), tokens, {}));
  }
}

Result<Logged> read_transcripts(const std::string& predictions, const std::string& transcripts,
                                const LogFilter& filter) {
  COUNTERMARK_TRY(PredictionsReader reader, PredictionsReader::open(predictions));
  COUNTERMARK_TRY(Log log, Log::open(transcripts, filter));
  Logged out;
  text::TranscriptTime last{};
  for (;;) {
    COUNTERMARK_TRY(std::optional<text::Document> document, reader.next());
    if (!document) break;
    COUNTERMARK_CHECK(check_all_predicted(*document));
    text::Segment& read = document->segments.front();
    for (;;) {
      COUNTERMARK_TRY(const std::optional<text::Transcript> answer, log.next());
      if (!answer)
        return fail(Error{ErrorCode::kMismatch,
                          "expected the ids of an answer of " + transcripts +
                              " at the end of each document, in their order",
                          document->input, "document " + std::to_string(document->record - 1)});
      const bool is_claimed = log.is_claimed(*answer, out.counts);
      if (!ends_with(read.ids, answer->ids)) {
        out.counts.unread += is_claimed ? 1U : 0U;
        continue;
      }
      if (!is_claimed) break;
      ++out.counts.used;
      out.counts.late += out.counts.used > 1 && answer->time < last ? 1U : 0U;
      last = std::max(last, answer->time);
      out.material.texts.push_back(exhibit_of(std::move(read), answer->ids.size(), answer->slots));
      break;
    }
  }
  return out;
}

Result<Logged> read_answers(const std::vector<std::string>& inputs,
                            const text::ReaderOptions& reader, const std::string& transcripts,
                            const LogFilter& filter, const text::Tokenizer* tokenizer) {
  Logged out;
  COUNTERMARK_TRY(out.material, read_answers(inputs, reader, tokenizer));
  out.material.order = Order::kAsLogged;
  COUNTERMARK_TRY(Log log, Log::open(transcripts, filter));
  for (;;) {
    COUNTERMARK_TRY(const std::optional<text::Transcript> answer, log.next());
    if (!answer) return out;
    if (!log.is_claimed(*answer, out.counts)) continue;
    ++out.counts.used;
    out.material.log.push_back(exhibit_of(*answer));
  }
}

Result<Material> read_answers(const std::vector<std::string>& inputs,
                              const text::ReaderOptions& reader, const text::Tokenizer* tokenizer) {
  Material out;
  out.order = Order::kAsAnswered;
  detect::DocumentTokenizer read(tokenizer);
  for (const std::string& input : inputs) {
    COUNTERMARK_TRY(const auto documents, text::open_documents(input, of_audit(reader)));
    for (;;) {
      COUNTERMARK_TRY(const std::optional<text::Document> answer, documents->next());
      if (!answer) break;
      Exhibit& exhibit = out.texts.emplace_back();
      COUNTERMARK_CHECK(read.tokenize(*answer, exhibit.text));
    }
  }
  return out;
}

}  // namespace countermark::audit
