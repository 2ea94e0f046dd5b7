// SPDX-License-Identifier: Apache-2.0
// The number that a mark's own detector would give for a text: by its positions, its removal of
// repeats and its formula, with what is wrong with them (docs/marks.md). It stands beside our
// verdict and never enters it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "verifier/detect/token_text.h"
#include "verifier/stats/published.h"
#include "watermark/marks/foreign_mark.h"

namespace countermark::detect {

struct AsPublished {
  std::string by{};  // whose detector: SchemeInfo::owner
  std::uint64_t scored = 0;
  // Green tokens or ones (integers); a sum of Gumbel scores, or the mean of all g values.
  std::variant<std::uint64_t, double> statistic{};
  // What else the source makes of it; p without rounding, whatever its law is worth.
  std::optional<double> weighted_mean{};
  std::optional<double> z{};
  std::optional<stats::PublishedP> p{};
  std::optional<bool> decision{};
};

// `key` is the mark's. The sources' detectors take one response (SGLang's with its prompt): nothing
// for a text of none or several, for one without a token to score, and for
// text-generation-inference, which has no detector. Ids must be below the profile's vocabulary size
// (collect checks). O(tokens x width).
std::optional<AsPublished> as_published(const ForeignMark& mark, const ForeignKey& key,
                                        const TokenText& text);

}  // namespace countermark::detect
