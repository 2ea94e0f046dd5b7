// SPDX-License-Identifier: Apache-2.0
// One test of a scan: a profile and a key, and the streams whose mark is looked for.
//
// A channel is a set of tuples, of one layer; a lane is one hypothesised stream of it, an identity
// in a slot. All lanes of a channel score the same tuples. Which tuples enter is decided by the
// text and the profile alone, so that under the null the scores of distinct tuples are independent.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "verifier/detect/detector.h"
#include "verifier/detect/tape.h"
#include "verifier/detect/token_text.h"
#include "watermark/foreign_key.h"
#include "watermark/foreign_profile.h"
#include "watermark/null_model.h"

namespace countermark::scan {

// A document's tuples in one channel: columns of one length, in the order of the text.
struct Sheet {
  std::vector<std::uint64_t> fingerprints{};  // distinct
  std::vector<std::uint64_t> positions{};     // of the token, counted over all scored tokens
  // By lane; units of the law's statistic (tally.h, null_model.h).
  std::vector<std::vector<std::uint32_t>> scores{};
  // Of each tuple what its score depends on besides the token; only where a scorer is asked for it.
  std::vector<std::uint64_t> contexts{};

  detect::Tally tally(std::size_t lane) const noexcept;
};

// Where an identity's own randomness is, in one layer: `slots` lanes from `first_lane` on of the
// channel. A text has it in one of them, and which is not known.
struct StreamPart {
  std::size_t channel = 0;
  std::size_t first_lane = 0;
  std::uint32_t slots = 1;
  std::uint8_t layer = 0;  // of the profile
};

struct Stream {
  LayerKind layer = LayerKind::kShared;
  std::string identity{};
  std::vector<StreamPart> parts{};
};

// What a test made of a document besides its tuples.
struct Reading {
  std::uint64_t tokens = 0;  // of scored segments
  detect::Dropped dropped{};
};

// Material that the authors of all texts were shown, such as a work that many quote: contexts in
// it are scored nowhere. None of its segments is scored; null: none.
using Shown = std::shared_ptr<const detect::TokenText>;

// What a scorer fills of a sheet.
enum class Columns : std::uint8_t { kScores, kScoresAndContexts };

// Reads one text after the other in memory that it keeps. Not thread-safe.
class Scorer {
 public:
  virtual ~Scorer() = default;

  // Contexts in these segments that are not scored are scored in no text to come.
  virtual void exclude(const detect::TokenText& text) = 0;

  // The tuples of a text and their scores, a sheet a channel; none where nothing was predicted.
  // kMismatch for ids that the profile's vocabulary does not have. O(tokens x lanes).
  Result<Reading> score(const detect::TokenText& text, std::vector<Sheet>& sheets);

 private:
  // At all places.
  virtual Result<Reading> score_all(const detect::TokenText& text, std::vector<Sheet>& sheets) = 0;
};

// Places of a text at which nothing was predicted, counted over all scored tokens. Rising.
std::vector<std::uint64_t> unpredicted_places(const detect::TokenText& text);

// Immutable; may be used by many threads at once.
class Test {
 public:
  virtual ~Test() = default;
  Test(const Test&) = delete;
  Test& operator=(const Test&) = delete;

  // For one thread; the test must outlive it.
  std::unique_ptr<Scorer> scorer() const { return scorer(Columns::kScores); }
  virtual std::unique_ptr<Scorer> scorer(Columns columns) const = 0;

  // The same test under a decoy: a random key of the same form.
  virtual std::unique_ptr<const Test> decoy(std::span<const std::uint8_t, 32> seed,
                                            std::uint32_t index) const = 0;

  // The evidence of a tally that is the best of `hypotheses`, found in a text of so many tokens,
  // prompts included; corrected for the policy's tests, too.
  virtual detect::Evidence weigh(const detect::Tally& tally, std::uint64_t hypotheses,
                                 std::uint64_t tokens) const = 0;

  const detect::Subject& subject() const noexcept { return subject_; }
  const NullModel& null_model() const noexcept { return null_model_; }
  // Why the law is only a model, so that the rank among decoys decides; empty: it is proven.
  const std::vector<std::string>& model_reasons() const noexcept { return model_reasons_; }
  // Whether a context alone says which list or words its tokens are scored by: where it does not,
  // no tuples at fresh contexts can be told from copies of others.
  bool tells_contexts_apart() const noexcept { return tells_contexts_apart_; }
  // What the authors were shown besides the documents' own prompts; null: nothing.
  const Shown& shown() const noexcept { return shown_; }
  // Lanes, by channel.
  const std::vector<std::size_t>& lanes() const noexcept { return lanes_; }
  // "Is it ours?" is asked of all of them together. The first is the shared one, where there is
  // one.
  const std::vector<Stream>& streams() const noexcept { return streams_; }

 protected:
  Test(detect::Subject subject, NullModel null_model, Shown shown)
      : subject_(std::move(subject)), null_model_(null_model), shown_(std::move(shown)) {}

  // Set by the constructors of the two kinds of test.
  std::vector<std::string> model_reasons_{};  // NOLINT(*-non-private-member-variables-in-classes)
  std::vector<std::size_t> lanes_{};          // NOLINT(*-non-private-member-variables-in-classes)
  std::vector<Stream> streams_{};             // NOLINT(*-non-private-member-variables-in-classes)
  bool tells_contexts_apart_ = true;          // NOLINT(*-non-private-member-variables-in-classes)

 private:
  detect::Subject subject_;
  NullModel null_model_;
  Shown shown_;
};

// A claim's cohort and account only; a list of accounts to search is kInvalidArgument. Errors as
// those of detect::Detector::create.
Result<std::unique_ptr<const Test>> make_test(const EpochKey& key, const Profile& profile,
                                              const detect::Claim& claim,
                                              const detect::Policy& policy, Shown shown = {});

// Errors as those of ForeignMark::create.
Result<std::unique_ptr<const Test>> make_test(const ForeignKey& key, const ForeignProfile& profile,
                                              const detect::Policy& policy, Shown shown = {});

// Tallies of all lanes of a test, by channel.
using LaneTallies = std::vector<std::vector<detect::Tally>>;

LaneTallies tallies_of(std::span<const Sheet> sheets);

// The best sum that a stream reaches: its parts' best slots. Every combination of slots is a
// hypothesis, and the best sum is the sum of the best.
struct Best {
  detect::Tally tally{};
  std::uint64_t hypotheses = 1;
  std::vector<std::uint32_t> slots{};  // of each part
};

Best best(const Stream& stream, const LaneTallies& tallies);

// "Is it ours?": one sum over all streams of the test, each at its best slots.
Best pooled(const Test& test, const LaneTallies& tallies);

// One slot of each part: what a calibration looks at, since the best of several is not uniform.
detect::Tally first_slots(const Test& test, const LaneTallies& tallies);

}  // namespace countermark::scan
