// SPDX-License-Identifier: Apache-2.0
// One document, one verdict: is this text marked under this key, and for which claimed account?
//
// Each document is judged alone, on its own tape; nothing here ranks or combines documents.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "verifier/detect/as_published.h"
#include "verifier/detect/line_up.h"
#include "verifier/detect/policy.h"
#include "verifier/detect/tape.h"
#include "verifier/detect/token_text.h"
#include "verifier/text/reader.h"
#include "verifier/text/tokenizer.h"

namespace countermark::detect {

// Whose marks are looked for, besides everyone's. Fixed before the text is looked at.
struct Claim {
  std::string cohort{};   // "": none
  std::string account{};  // "": none
  // Accounts that are searched, as one family; excludes `account`.
  std::vector<std::string> accounts{};
};

// What one layer alone says about one identity: it answers "which cohort, which account?", and is
// never pooled with a wider layer. `evidence` is corrected for the layer's slots and, in a search,
// for all accounts that were searched.
struct StreamFinding {
  LayerKind layer = LayerKind::kAccount;
  std::string identity{};
  std::vector<std::uint32_t> slots{};  // the best one of each of its layers
  Evidence evidence{};
  Verdict verdict = Verdict::kInconclusive;
};

struct Detection {
  std::uint64_t tokens = 0;  // of responses, whatever layer decides on them
  Dropped dropped{};
  // "Is it ours?": the layers whose tallies were summed: the shared one and every claimed one.
  std::vector<LayerKind> layers{};
  Evidence evidence{};
  Verdict verdict = Verdict::kInconclusive;
  std::vector<std::string> reasons{};  // stable codes, such as "too-short"
  // The claimed cohort and account, each by its own layer, and of a search those accounts that
  // were found. The shared layer is not among them: beside the headline it would be a second try.
  std::vector<StreamFinding> streams{};
  std::uint64_t accounts_searched = 0;
  std::optional<LineUp> line_up{};
  // What the source's own detector gives, where that was asked for; no verdict looks at it.
  std::optional<AsPublished> as_published{};
};

// What a test looks for, and by which thresholds: what reports name it by.
struct Subject {
  std::string scheme{};
  std::string profile{};  // digest
  std::string key_id{};
  std::string model{};
  std::string epoch{};
  Policy policy{};
};

// What a failed diagnostic does: one tape and one PRF serve every verdict, so that a fault in them
// spoils all but "inconclusive", which says nothing anyway.
void withhold(Detection& detection);

class Detector {
 public:
  // `tokenizer` turns text into ids and may be null, then only ids are accepted; it must outlive
  // the detector. kInvalidArgument when a claim names a layer that the profile does not have, or
  // the profile has no shared layer and no stream is claimed. `decoys` 0: no line-up.
  static Result<Detector> create(const EpochKey& key, const Profile& profile,
                                 const text::Tokenizer* tokenizer, Claim claim, Policy policy,
                                 std::uint32_t decoys = 0, std::string decoy_seed = {});

  // Errors are about the document's text or ids; they carry its name. O(tokens), and for a search
  // O(account-layer tuples x accounts x slots). Thread-safe.
  Result<Detection> detect(const text::Document& document) const;
  // The same of a text that the profile's tokenizer has read.
  Result<Detection> detect(const TokenText& text) const;

  Subject subject() const;
  const NativeMark& mark() const noexcept { return mark_; }
  const EpochKey& key() const noexcept { return key_; }
  const Policy& policy() const noexcept { return policy_; }

 private:
  // An identity's own randomness: in each layer of its kind, its tag in every slot.
  struct Stream {
    struct InLayer {
      std::uint8_t layer;
      std::vector<Tag> tags;
    };
    LayerKind kind;
    std::string identity;
    std::vector<InLayer> layers;
  };

  // The best sum that a stream reaches: its layers' best slots. Every combination of slots is a
  // hypothesis, and the best sum is the sum of the best.
  struct Best {
    Tally tally{};
    std::uint64_t hypotheses = 1;
    std::vector<std::uint32_t> slots{};
  };

  Detector(const EpochKey& key, NativeMark mark, const text::Tokenizer* tokenizer, Claim claim,
           Policy policy)
      : key_(key),
        mark_(std::move(mark)),
        tokenizer_(tokenizer),
        claim_(std::move(claim)),
        policy_(policy) {}

  static Stream stream(const NativeMark& mark, LayerKind kind, const std::string& identity);
  static Best best(const Tape& tape, const Stream& stream);
  static Evidence pooled(const Tape& tape, const std::vector<Stream>& streams,
                         double context_blocks, std::uint64_t tests);
  std::vector<Stream> claimed_streams(const NativeMark& mark) const;
  std::uint64_t search_critical(const Best& any_account) const;
  LineUp line_up(const TokenText& segments, const Evidence& evidence) const;

  EpochKey key_;
  NativeMark mark_;
  const text::Tokenizer* tokenizer_;
  Claim claim_;
  Policy policy_;
  std::vector<Stream> streams_{};       // the headline's
  std::vector<Stream> searched_{};      // the accounts of a search
  std::vector<std::uint8_t> layers_{};  // of both, rising
  std::uint32_t decoys_ = 0;
  std::string decoy_seed_{};
};

}  // namespace countermark::detect
