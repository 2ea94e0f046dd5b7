// SPDX-License-Identifier: Apache-2.0
// One document, one verdict, for another system's mark: is this text marked under this key?
//
// Where the scheme and key are such that the null law is no more than a model (model_reasons), the
// tail orders keys and the key's rank among decoys decides; without decoys there is no verdict.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "verifier/detect/detector.h"
#include "verifier/detect/foreign_tape.h"
#include "verifier/detect/policy.h"
#include "verifier/detect/token_text.h"
#include "watermark/marks/foreign_mark.h"

namespace countermark::detect {

class ForeignDetector {
 public:
  // As Detector::create; errors of the key and the profile as ForeignMark::create. With
  // `as_published` the source's own numbers stand beside each verdict.
  static Result<ForeignDetector> create(const ForeignKey& key, const ForeignProfile& profile,
                                        Policy policy, std::uint32_t decoys = 0,
                                        std::string decoy_seed = {}, bool as_published = false);

  // kMismatch for ids that the profile's vocabulary does not have. O(tokens), and that once more
  // for every decoy; decoys share up to `threads` threads, which change nothing of the result.
  // Thread-safe.
  Result<Detection> detect(const TokenText& text, unsigned threads = 1) const;

  Subject subject() const;
  const ForeignMark& mark() const noexcept { return *mark_; }
  const Policy& policy() const noexcept { return policy_; }

 private:
  ForeignDetector(ForeignKey key, SharedForeignMark mark, Policy policy)
      : key_(std::move(key)), mark_(std::move(mark)), policy_(policy) {}

  LineUp line_up(const TokenText& text, const ForeignTuples& tuples, const Tally& truth,
                 unsigned threads) const;

  ForeignKey key_;
  SharedForeignMark mark_;
  Policy policy_;
  std::vector<std::string> model_reasons_{};
  std::uint32_t decoys_ = 0;
  std::string decoy_seed_{};
  bool as_published_ = false;
};

}  // namespace countermark::detect
