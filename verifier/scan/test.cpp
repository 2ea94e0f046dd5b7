// SPDX-License-Identifier: Apache-2.0
#include "verifier/scan/test.h"

#include <algorithm>
#include <numeric>

#include "verifier/detect/foreign_tape.h"
#include "watermark/prf/hash.h"

namespace countermark::scan {

using detect::Evidence;
using detect::Policy;
using detect::Tally;
using detect::TokenText;

Tally Sheet::tally(std::size_t lane) const noexcept {
  return {scores[lane].size(),
          std::accumulate(scores[lane].begin(), scores[lane].end(), std::uint64_t{0})};
}

std::vector<std::uint64_t> unpredicted_places(const TokenText& text) {
  std::vector<std::uint64_t> out;
  std::uint64_t before = 0;
  for (const detect::TokenSegment& segment : text) {
    if (!segment.scored) continue;
    for (const std::uint32_t place : segment.unpredicted) out.push_back(before + place);
    before += segment.ids.size();
  }
  return out;
}

Result<Reading> Scorer::score(const TokenText& text, std::vector<Sheet>& sheets) {
  COUNTERMARK_TRY(const Reading reading, score_all(text, sheets));
  const std::vector<std::uint64_t> unpredicted = unpredicted_places(text);
  if (unpredicted.empty()) return reading;
  std::vector<std::uint8_t> kept;
  const auto keep = [&kept](auto& column) {
    std::size_t size = 0;
    for (std::size_t i = 0; i < column.size(); ++i)
      if (kept[i] != 0) column[size++] = column[i];
    column.resize(size);
  };
  for (Sheet& sheet : sheets) {
    kept.clear();
    for (const std::uint64_t place : sheet.positions)
      kept.push_back(!std::binary_search(unpredicted.begin(), unpredicted.end(), place));
    keep(sheet.fingerprints);
    keep(sheet.positions);
    for (std::vector<std::uint32_t>& lane : sheet.scores) keep(lane);
    if (!sheet.contexts.empty()) keep(sheet.contexts);
  }
  return reading;
}

namespace {

// Of two keys' weights together: a score is below 2^20 ln 2^32 < 2^25.
constexpr std::uint64_t kMostWeight = 128;

class NativeTest final : public Test {
 public:
  NativeTest(const EpochKey& key, NativeMark mark, detect::Claim claim, const Policy& policy,
             Shown shown)
      : Test({std::string(NativeMark::kId), mark.profile().digest(), mark.key_id(), key.model_id(),
              key.epoch_id(), policy},
             NativeMark::null_model(), std::move(shown)),
        key_(key),
        mark_(std::move(mark)),
        claim_(std::move(claim)) {
    add(LayerKind::kShared, "");
    if (!claim_.cohort.empty()) add(LayerKind::kCohort, claim_.cohort);
    if (!claim_.account.empty()) add(LayerKind::kAccount, claim_.account);
  }

  std::unique_ptr<Scorer> scorer(Columns columns) const override;

  std::unique_ptr<const Test> decoy(std::span<const std::uint8_t, 32> seed,
                                    std::uint32_t index) const override {
    EpochKey key = key_.decoy(seed, index);
    // The same profile took a key of the same form.
    auto mark = NativeMark::create(key, mark_.profile(), &mark_.kernel());
    return std::make_unique<NativeTest>(key, std::move(*mark), claim_, subject().policy, shown());
  }

  Evidence weigh(const Tally& tally, std::uint64_t hypotheses,
                 std::uint64_t tokens) const override {
    return detect::weigh(tally, detect::hypotheses_of(hypotheses, subject().policy.tests),
                         detect::context_blocks(mark_.layers(), tokens));
  }

 private:
  friend class NativeScorer;

  // A channel: a layer of the profile, and the tags of its lanes.
  struct Channel {
    std::uint8_t layer;
    std::vector<Tag> tags;
  };

  std::vector<std::uint8_t> layers() const {
    std::vector<std::uint8_t> out;
    for (const Channel& channel : channels_) out.push_back(channel.layer);
    std::sort(out.begin(), out.end());
    return out;
  }

  void add(LayerKind kind, const std::string& identity) {
    Stream stream{kind, identity, {}};
    for (const std::uint8_t layer : mark_.profile().layers_of(kind)) {
      Channel& channel = channels_.emplace_back(Channel{layer, {}});
      const std::uint32_t slots = mark_.layers()[layer].slots;
      for (std::uint32_t slot = 0; slot < slots; ++slot)
        channel.tags.push_back(mark_.tag(layer, identity, slot));
      stream.parts.push_back({channels_.size() - 1, 0, slots, layer});
      lanes_.push_back(slots);
    }
    if (!stream.parts.empty()) streams_.push_back(std::move(stream));
  }

  EpochKey key_;
  NativeMark mark_;
  detect::Claim claim_;
  std::vector<Channel> channels_{};
};

class NativeScorer final : public Scorer {
 public:
  NativeScorer(const NativeTest& test, Columns columns)
      : test_(&test), columns_(columns), tape_(test.mark_, test.layers()) {
    if (test.shown()) exclude(*test.shown());
  }

  void exclude(const TokenText& text) override {
    for (const detect::TokenSegment& segment : text)
      if (!segment.scored) tape_.exclude_always(segment.ids);
  }

 private:
  Result<Reading> score_all(const TokenText& text, std::vector<Sheet>& sheets) override {
    tape_.clear();
    for (const detect::TokenSegment& segment : text)
      if (!segment.scored) tape_.exclude(segment.ids);
    for (const detect::TokenSegment& segment : text)
      if (segment.scored) tape_.add(segment.ids, segment.scored_ids());
    sheets.resize(test_->channels_.size());
    for (std::size_t i = 0; i < sheets.size(); ++i) {
      const auto& [layer, tags] = test_->channels_[i];
      Sheet& sheet = sheets[i];
      detect::fingerprints(tape_, layer, sheet.fingerprints);
      const auto& positions = tape_.layer(layer).positions;
      sheet.positions.assign(positions.begin(), positions.end());
      sheet.scores.resize(tags.size());
      for (std::size_t lane = 0; lane < tags.size(); ++lane)
        detect::scores(tape_, layer, tags[lane], sheet.scores[lane]);
      if (columns_ == Columns::kScoresAndContexts) detect::contexts(tape_, layer, sheet.contexts);
    }
    return Reading{tape_.tokens(), tape_.dropped()};
  }

  const NativeTest* test_;
  Columns columns_;
  detect::Tape tape_;
};

std::unique_ptr<Scorer> NativeTest::scorer(Columns columns) const {
  return std::make_unique<NativeScorer>(*this, columns);
}

class ForeignTest final : public Test {
 public:
  ForeignTest(const ForeignKey& key, SharedForeignMark mark, std::vector<std::string> reasons,
              const Policy& policy, Shown shown)
      : Test({std::string(mark->scheme().id), mark->profile().digest(), key.name(), "", "", policy},
             mark->null_model(), std::move(shown)),
        key_(key),
        mark_(std::move(mark)) {
    lanes_ = {1};
    streams_ = {Stream{LayerKind::kShared, "", {StreamPart{}}}};
    model_reasons_ = std::move(reasons);
    tells_contexts_apart_ = !mark_->profile().parameters().self_salt;
  }

  std::unique_ptr<Scorer> scorer(Columns columns) const override;

  std::unique_ptr<const Test> decoy(std::span<const std::uint8_t, 32> seed,
                                    std::uint32_t index) const override {
    const ForeignKey key = key_.decoy(seed, index);
    // A decoy has the key's form, and so every scheme takes it that takes the key.
    auto mark = ForeignMark::create(mark_->profile(), key);
    return std::make_unique<ForeignTest>(key, std::move(*mark), model_reasons_, subject().policy,
                                         shown());
  }

  Evidence weigh(const Tally& tally, std::uint64_t hypotheses,
                 std::uint64_t /*tokens*/) const override {
    Evidence out = detect::weigh(null_model(), tally,
                                 detect::hypotheses_of(hypotheses, subject().policy.tests));
    out.model_reasons = model_reasons_;
    return out;
  }

 private:
  friend class ForeignScorer;

  ForeignKey key_;
  SharedForeignMark mark_;
};

class ForeignScorer final : public Scorer {
 public:
  ForeignScorer(const ForeignTest& test, Columns columns)
      : test_(&test),
        columns_(columns),
        shown_(test.mark_->profile(), test.shown() ? *test.shown() : detect::TokenText()) {}

  void exclude(const TokenText& text) override { shown_.add(test_->mark_->profile(), text); }

 private:
  Result<Reading> score_all(const TokenText& text, std::vector<Sheet>& sheets) override {
    COUNTERMARK_TRY(const detect::ForeignTuples tuples,
                    detect::collect(test_->mark_->profile(), text, shown_));
    const detect::ForeignScores scored = detect::score(*test_->mark_, tuples);
    sheets.resize(1);
    Sheet& sheet = sheets.front();
    sheet.fingerprints = scored.fingerprints;
    sheet.positions.clear();
    for (const std::uint32_t tuple : scored.tuples)
      sheet.positions.push_back(tuples.positions[tuple]);
    sheet.scores.resize(1);
    sheet.scores[0].resize(scored.scores.size());
    std::transform(scored.scores.begin(), scored.scores.end(), sheet.scores[0].begin(),
                   [](std::uint64_t score) { return static_cast<std::uint32_t>(score); });
    if (columns_ == Columns::kScoresAndContexts)
      detect::contexts(*test_->mark_, tuples, scored.tuples, sheet.contexts);
    Reading out{tuples.text_tokens, tuples.dropped};
    out.dropped.repeated_tuple += tuples.tokens.size() - scored.tuples.size();
    return out;
  }

  const ForeignTest* test_;
  Columns columns_;
  detect::ShownContexts shown_;
};

std::unique_ptr<Scorer> ForeignTest::scorer(Columns columns) const {
  return std::make_unique<ForeignScorer>(*this, columns);
}

}  // namespace

Result<std::unique_ptr<const Test>> make_test(const EpochKey& key, const Profile& profile,
                                              const detect::Claim& claim, const Policy& policy,
                                              Shown shown) {
  if (!claim.accounts.empty())
    return fail(ErrorCode::kInvalidArgument, "a scan asks for one account, not for a list");
  // Asks for what detect asks for, in the same words.
  COUNTERMARK_TRY(const detect::Detector detector,
                  detect::Detector::create(key, profile, nullptr, claim, policy));
  return std::make_unique<NativeTest>(key, detector.mark(), claim, policy, std::move(shown));
}

Result<std::unique_ptr<const Test>> make_test(const ForeignKey& key, const ForeignProfile& profile,
                                              const Policy& policy, Shown shown) {
  COUNTERMARK_TRY(SharedForeignMark mark, ForeignMark::create(profile, key));
  const NullModel model = mark->null_model();
  if (model.law == NullLaw::kTwoExponentialBounds && model.a + model.b > kMostWeight)
    return fail(Error{ErrorCode::kUnsupported,
                      "a scan holds weighted scores in 32 bits: the denominator of mixing may be " +
                          std::to_string(kMostWeight) + " at most",
                      "", "mixing"});
  return std::make_unique<ForeignTest>(key, std::move(mark), model_reasons(profile, key), policy,
                                       std::move(shown));
}

LaneTallies tallies_of(std::span<const Sheet> sheets) {
  LaneTallies out;
  for (const Sheet& sheet : sheets) {
    std::vector<Tally>& lanes = out.emplace_back();
    for (std::size_t lane = 0; lane < sheet.scores.size(); ++lane)
      lanes.push_back(sheet.tally(lane));
  }
  return out;
}

Best best(const Stream& stream, const LaneTallies& tallies) {
  Best out;
  for (const StreamPart& part : stream.parts) {
    const auto first = tallies[part.channel].begin() + static_cast<std::ptrdiff_t>(part.first_lane);
    const auto largest = std::max_element(
        first, first + part.slots, [](const Tally& a, const Tally& b) { return a.sum < b.sum; });
    out.tally += *largest;
    out.hypotheses = detect::hypotheses_of(out.hypotheses, part.slots);
    out.slots.push_back(static_cast<std::uint32_t>(largest - first));
  }
  return out;
}

Best pooled(const Test& test, const LaneTallies& tallies) {
  Best out;
  for (const Stream& stream : test.streams()) {
    const Best found = best(stream, tallies);
    out.tally += found.tally;
    out.hypotheses = detect::hypotheses_of(out.hypotheses, found.hypotheses);
    out.slots.insert(out.slots.end(), found.slots.begin(), found.slots.end());
  }
  return out;
}

Tally first_slots(const Test& test, const LaneTallies& tallies) {
  Tally out;
  for (const Stream& stream : test.streams())
    for (const StreamPart& part : stream.parts) out += tallies[part.channel][part.first_lane];
  return out;
}

}  // namespace countermark::scan
