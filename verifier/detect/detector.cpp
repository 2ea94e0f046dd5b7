// SPDX-License-Identifier: Apache-2.0
#include "verifier/detect/detector.h"

#include <algorithm>
#include <utility>

#include "verifier/stats/tail.h"
#include "watermark/prf/hash.h"

namespace countermark::detect {
namespace {

Tape make_tape(const NativeMark& mark, std::vector<std::uint8_t> layers,
               const TokenText& segments) {
  Tape tape(mark, std::move(layers));
  for (const TokenSegment& segment : segments)
    if (!segment.scored) tape.exclude(segment.ids);
  for (const TokenSegment& segment : segments)
    if (segment.scored) tape.add(segment.ids, segment.scored_ids());
  return tape;
}

// All that was routed to make the tape, prompts included.
double blocks_of(const NativeMark& mark, const TokenText& segments) {
  std::uint64_t tokens = 0;
  for (const TokenSegment& segment : segments) tokens += segment.ids.size();
  return context_blocks(mark.layers(), tokens);
}

}  // namespace

Detector::Stream Detector::stream(const NativeMark& mark, LayerKind kind,
                                  const std::string& identity) {
  Stream out{kind, identity, {}};
  for (const std::uint8_t layer : mark.profile().layers_of(kind)) {
    Stream::InLayer& tags = out.layers.emplace_back(Stream::InLayer{layer, {}});
    for (std::uint32_t slot = 0; slot < mark.layers()[layer].slots; ++slot)
      tags.tags.push_back(mark.tag(layer, identity, slot));
  }
  return out;
}

Detector::Best Detector::best(const Tape& tape, const Stream& stream) {
  Best out;
  for (const auto& [layer, tags] : stream.layers) {
    const std::vector<std::uint64_t> sums = tallies(tape, layer, tags);
    const auto largest = std::max_element(sums.begin(), sums.end());
    out.tally += Tally{tape.layer(layer).tokens.size(), *largest};
    out.hypotheses = hypotheses_of(out.hypotheses, tags.size());
    out.slots.push_back(static_cast<std::uint32_t>(largest - sums.begin()));
  }
  return out;
}

// "Is it ours?": one sum over everything that was claimed.
Evidence Detector::pooled(const Tape& tape, const std::vector<Stream>& streams,
                          double context_blocks, std::uint64_t tests) {
  Tally total;
  std::uint64_t hypotheses = tests;
  for (const Stream& stream : streams) {
    const Best found = best(tape, stream);
    total += found.tally;
    hypotheses = hypotheses_of(hypotheses, found.hypotheses);
  }
  return weigh(total, hypotheses, context_blocks);
}

std::vector<Detector::Stream> Detector::claimed_streams(const NativeMark& mark) const {
  std::vector<Stream> streams;
  if (!mark.profile().layers_of(LayerKind::kShared).empty())
    streams.push_back(stream(mark, LayerKind::kShared, ""));
  if (!claim_.cohort.empty()) streams.push_back(stream(mark, LayerKind::kCohort, claim_.cohort));
  if (!claim_.account.empty()) streams.push_back(stream(mark, LayerKind::kAccount, claim_.account));
  return streams;
}

Result<Detector> Detector::create(const EpochKey& key, const Profile& profile,
                                  const text::Tokenizer* tokenizer, Claim claim, Policy policy,
                                  std::uint32_t decoys, std::string decoy_seed) {
  if (!claim.account.empty() && !claim.accounts.empty())
    return fail(ErrorCode::kInvalidArgument, "name one account, or a list to search, not both");
  const bool names_account = !claim.account.empty() || !claim.accounts.empty();
  if (names_account && profile.layers_of(LayerKind::kAccount).empty())
    return fail(ErrorCode::kInvalidArgument, "the profile has no account layer");
  if (!claim.cohort.empty() && profile.layers_of(LayerKind::kCohort).empty())
    return fail(ErrorCode::kInvalidArgument, "the profile has no cohort layer");
  COUNTERMARK_TRY(NativeMark mark, NativeMark::create(key, profile));
  Detector detector(key, std::move(mark), tokenizer, std::move(claim), policy);
  detector.streams_ = detector.claimed_streams(detector.mark_);
  if (detector.streams_.empty())
    return fail(ErrorCode::kInvalidArgument,
                "the profile has no shared layer: name the account or cohort to look for");
  for (const std::string& account : detector.claim_.accounts)
    detector.searched_.push_back(stream(detector.mark_, LayerKind::kAccount, account));
  for (const std::vector<Stream>* const streams : {&detector.streams_, &detector.searched_})
    for (const Stream& stream : *streams)
      for (const Stream::InLayer& in_layer : stream.layers)
        detector.layers_.push_back(in_layer.layer);
  std::sort(detector.layers_.begin(), detector.layers_.end());
  detector.layers_.erase(std::unique(detector.layers_.begin(), detector.layers_.end()),
                         detector.layers_.end());
  detector.decoys_ = decoys;
  detector.decoy_seed_ = std::move(decoy_seed);
  return detector;
}

LineUp Detector::line_up(const TokenText& segments, const Evidence& evidence) const {
  const auto seed = hmac_sha256(digest_of(segments), as_bytes(decoy_seed_));
  const double blocks = blocks_of(mark_, segments);
  std::vector<stats::PValue> decoys;
  std::vector<stats::PValue> calibration;
  for (std::uint32_t i = 0; i < decoys_; ++i) {
    const auto mark = NativeMark::create(key_.decoy(seed, i), mark_.profile(), &mark_.kernel());
    const Tape tape = make_tape(*mark, layers_, segments);
    std::vector<Stream> streams = claimed_streams(*mark);
    decoys.push_back(pooled(tape, streams, blocks, policy_.tests).p);
    for (Stream& stream : streams)
      for (Stream::InLayer& in_layer : stream.layers) in_layer.tags.resize(1);
    if (const Evidence one_slot = pooled(tape, streams, blocks, 1); one_slot.tally.n > 0)
      calibration.push_back(one_slot.p);
  }
  LineUp out = compare(evidence.p, decoys, calibration);
  out.seed = to_hex(seed);
  return out;
}

// A sum that an account must reach before its corrected p-value can be at most alpha: exact tails
// are then computed for those few only.
std::uint64_t Detector::search_critical(const Best& any_account) const {
  if (any_account.tally.n == 0) return 0;
  const double family = static_cast<double>(any_account.hypotheses) *
                        static_cast<double>(searched_.size()) * static_cast<double>(policy_.tests);
  // A level that is too large only lets an account pass on to its exact tail.
  const double level = std::max(policy_.alpha.to_double() / family, 1e-300);
  return stats::gamma_critical(any_account.tally.n, stats::PValue::from_double(level));
}

Result<Detection> Detector::detect(const text::Document& document) const {
  COUNTERMARK_TRY(const TokenText text, tokenize(document, tokenizer_));
  return detect(text);
}

Subject Detector::subject() const {
  return {std::string(NativeMark::kId),
          mark_.profile().digest(),
          mark_.key_id(),
          key_.model_id(),
          key_.epoch_id(),
          policy_};
}

Result<Detection> Detector::detect(const TokenText& segments) const {
  const Tape tape = make_tape(mark_, layers_, segments);
  const double blocks = blocks_of(mark_, segments);

  Detection detection;
  detection.tokens = tape.tokens();
  detection.dropped = tape.dropped();
  detection.evidence = pooled(tape, streams_, blocks, policy_.tests);
  detection.verdict = judge(detection.evidence, policy_);
  if (detection.verdict == Verdict::kInconclusive) detection.reasons.emplace_back("too-short");

  const auto add_finding = [&](const Stream& stream, const Best& found, std::uint64_t family) {
    const Evidence evidence = weigh(
        found.tally, hypotheses_of(hypotheses_of(found.hypotheses, family), policy_.tests), blocks);
    detection.streams.push_back(
        {stream.kind, stream.identity, found.slots, evidence, judge(evidence, policy_)});
  };
  for (const Stream& stream : streams_) {
    detection.layers.push_back(stream.kind);
    if (stream.kind != LayerKind::kShared) add_finding(stream, best(tape, stream), 1);
  }
  detection.accounts_searched = searched_.size();
  std::optional<std::uint64_t> critical;
  for (const Stream& stream : searched_) {
    const Best found = best(tape, stream);
    if (!critical) critical = search_critical(found);
    if (found.tally.sum < *critical) continue;
    add_finding(stream, found, searched_.size());
    if (detection.streams.back().verdict != Verdict::kDetected) detection.streams.pop_back();
  }

  if (decoys_ > 0) {
    detection.line_up = line_up(segments, detection.evidence);
    if (!detection.line_up->calibrated) withhold(detection);
  }
  return detection;
}

void withhold(Detection& detection) {
  bool any = false;
  const auto withhold_one = [&any](Verdict& verdict) {
    if (verdict == Verdict::kInconclusive) return;
    verdict = Verdict::kWithheld;
    any = true;
  };
  withhold_one(detection.verdict);
  for (StreamFinding& finding : detection.streams) withhold_one(finding.verdict);
  if (any) detection.reasons.emplace_back("decoys-not-calibrated");
}

}  // namespace countermark::detect
