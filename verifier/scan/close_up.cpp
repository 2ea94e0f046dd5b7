// SPDX-License-Identifier: Apache-2.0
#include "verifier/scan/close_up.h"

#include <algorithm>
#include <utility>

#include "verifier/detect/report_parts.h"
#include "verifier/detect/segments.h"
#include "verifier/detect/token_text.h"
#include "verifier/scan/verdict.h"

namespace countermark::scan {
namespace {

using detect::SpanCandidate;
using render::HeatMap;
using render::HeatSpan;
using render::HeatToken;

bool continues_character(char byte) { return (static_cast<unsigned char>(byte) & 0xc0U) == 0x80; }

// The tokens of one segment, cut at whole characters: a character belongs to the token that begins
// it. False if they do not give back the segment's text.
Result<bool> add_segment(const text::Segment& segment, const detect::TokenSegment& tokens,
                         const text::Tokenizer& tokenizer, HeatMap& out) {
  COUNTERMARK_TRY(std::vector<std::string> pieces, token_bytes(tokenizer, tokens.ids));
  std::string whole;
  for (const std::string& piece : pieces) whole += piece;
  for (std::size_t i = 1; i < pieces.size(); ++i) {
    const auto end = std::find_if_not(pieces[i].begin(), pieces[i].end(), continues_character);
    const std::string rest(pieces[i].begin(), end);
    if (rest.empty()) continue;
    pieces[i].erase(0, rest.size());
    std::size_t owner = i - 1;
    while (owner > 0 && pieces[owner].empty()) --owner;
    pieces[owner] += rest;
  }
  for (std::string& piece : pieces)
    out.tokens.push_back({std::move(piece), std::nullopt, !segment.scored});
  return segment.is_ids || whole == segment.text;
}

// The score in the unit of its law: nats of a Gumbel score, else a count.
double shown_score(const NullModel& model, std::uint32_t score) {
  const bool exponential =
      model.law == NullLaw::kExponentialBound || model.law == NullLaw::kTwoExponentialBounds;
  return exponential ? score * 0x1p-20 : score;
}

// The chance of at least this score, of one tuple: one draw from a list is a binomial one.
double token_p(NullModel model, std::uint32_t score) {
  if (model.law == NullLaw::kGreenList) model.law = NullLaw::kGreen;
  return detect::tail(model, {1, score}).to_double();
}

// What a span's windows are corrected for, and the candidates of all lanes.
struct Search {
  std::uint64_t windows = 0;
  std::vector<SpanCandidate> candidates{};
};

Search search(const Test& test, const std::vector<Sheet>& sheets) {
  const detect::SpanFinder finder(test.null_model(), test.subject().policy.alpha);
  detect::SpanFinder::Scratch scratch;
  Search out;
  for (const Sheet& sheet : sheets)
    for (const auto& scores : sheet.scores) {
      detect::SpanSearch found = finder.search(scores, sheet.positions, scratch);
      out.windows += found.windows;
      out.candidates.insert(out.candidates.end(), found.candidates.begin(), found.candidates.end());
    }
  std::sort(out.candidates.begin(), out.candidates.end(),
            [](const SpanCandidate& a, const SpanCandidate& b) { return a.begin < b.begin; });
  return out;
}

// Those that are found, united where spans of several slots overlap.
void add_spans(const Test& test, const Search& found, std::uint64_t routed,
               const std::vector<std::size_t>& scored, HeatMap& out) {
  std::optional<stats::PValue> smallest;
  for (const SpanCandidate& candidate : found.candidates) {
    const auto p = span_p(test, candidate.window, found.windows, routed);
    if (!p) continue;
    const std::size_t begin = scored[candidate.begin];
    const std::size_t end = scored[candidate.end - 1] + 1;
    const bool joins = !out.spans.empty() && begin < out.spans.back().end;
    smallest = joins ? std::min(*smallest, *p) : *p;
    if (!joins) out.spans.push_back({begin, end, ""});
    out.spans.back().end = std::max(out.spans.back().end, end);
    out.spans.back().note = "p " + smallest->to_string() + " or less";
  }
}

void add_facts(const Test& test, const detect::Detection& detection, HeatMap& out) {
  const detect::Subject& subject = test.subject();
  const detect::Evidence& evidence = detection.evidence;
  out.facts = {{"verdict", detect::verdict_name(detection.verdict)}};
  if (detection.verdict != detect::Verdict::kWithheld) {
    std::string p = evidence.p.to_string() +
                    ", corrected for hypotheses: " + std::to_string(evidence.hypotheses) +
                    "; alpha " + subject.policy.alpha.to_string();
    if (!evidence.model_reasons.empty())
      p += "; of a model (" + detect::joined(evidence.model_reasons) +
           "): the rank among decoys decides";
    out.facts.emplace_back("p", std::move(p));
  }
  out.facts.emplace_back("scored", std::to_string(evidence.tally.n) + " of " +
                                       std::to_string(detection.tokens) + " tokens");
  out.facts.emplace_back("scheme", subject.scheme);
  for (const detect::StreamFinding& stream : detection.streams)
    out.facts.emplace_back(
        layer_name(stream.layer),
        stream.identity + ": " + detect::verdict_name(stream.verdict) + ", by that layer alone");
  if (!subject.key_id.empty()) out.facts.emplace_back("key", subject.key_id);
  out.facts.emplace_back("profile", subject.profile);
  if (!detection.reasons.empty())
    out.facts.emplace_back("reasons", detect::joined(detection.reasons));
}

}  // namespace

Result<std::vector<std::string>> token_bytes(const text::Tokenizer& tokenizer,
                                             std::span<const TokenId> ids) {
  std::vector<std::string> out;
  std::string before;  // the token before this one, decoded alone
  for (std::size_t i = 0; i < ids.size(); ++i) {
    COUNTERMARK_TRY(std::string alone, tokenizer.decode(ids.subspan(i, 1)));
    std::string piece = alone;
    if (i > 0) {
      // Some tokenizers drop the space that a text's first token begins with: not behind another.
      COUNTERMARK_TRY(const std::string pair, tokenizer.decode(ids.subspan(i - 1, 2)));
      if (pair.starts_with(before)) piece = pair.substr(before.size());
    }
    before = std::move(alone);
    out.push_back(std::move(piece));
  }
  return out;
}

Result<HeatMap> close_up(const text::Document& document, const text::Tokenizer& tokenizer,
                         const Test& test, const detect::Detection& detection) {
  COUNTERMARK_TRY(const detect::TokenText tokens, detect::tokenize(document, &tokenizer));
  HeatMap out;
  out.title = document.id;
  add_facts(test, detection, out);
  std::uint64_t routed = 0;
  std::vector<std::size_t> scored;  // the number of each scored token
  bool exact = true;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].scored)
      for (std::size_t j = 0; j < tokens[i].ids.size(); ++j) scored.push_back(routed + j);
    routed += tokens[i].ids.size();
    COUNTERMARK_TRY(const bool same, add_segment(document.segments[i], tokens[i], tokenizer, out));
    exact = exact && same;
  }
  if (!exact)
    out.notes.emplace_back(
        "The text below is decoded from its tokens. The document's own differs from it: its "
        "tokenizer changes text before it cuts it.");

  std::vector<Sheet> sheets;
  COUNTERMARK_CHECK(test.scorer()->score(tokens, sheets));
  const LaneTallies tallies = tallies_of(sheets);
  for (const Stream& stream : test.streams()) {
    const std::vector<std::uint32_t> slots = best(stream, tallies).slots;
    for (std::size_t part = 0; part < slots.size(); ++part) {
      const Sheet& sheet = sheets[stream.parts[part].channel];
      const auto& scores = sheet.scores[stream.parts[part].first_lane + slots[part]];
      for (std::size_t i = 0; i < scores.size(); ++i)
        out.tokens[scored[sheet.positions[i]]].score = {shown_score(test.null_model(), scores[i]),
                                                        token_p(test.null_model(), scores[i])};
    }
  }
  const Search found = search(test, sheets);
  add_spans(test, found, routed, scored, out);
  out.facts.emplace_back("spans", std::to_string(out.spans.size()) + " found, corrected for " +
                                      std::to_string(found.windows) + " windows");
  return out;
}

}  // namespace countermark::scan
