// SPDX-License-Identifier: Apache-2.0
// countermark.scores/1: how a suspect model rates an answer that was served, beside answers to the
// same prompt that nobody was ever given (docs/formats.md).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "verifier/text/json_lines.h"
#include "watermark/error.h"

namespace countermark::audit {

inline constexpr std::string_view kScoresSchema = "countermark.scores/1";

// One logged prompt. A score is any number that rises with how well the suspect knows an answer,
// such as its mean log-probability; which one is the caller's choice, made before it is looked at.
struct ServedScore {
  std::string id{};                      // the transcript's; not empty
  std::optional<std::string> account{};  // a pseudonym; not empty
  double served = 0;                     // finite, as are the others
  std::vector<double> regenerated{};     // 1 to 64
  // A control: "served" is an answer that the suspect cannot have seen, such as one that was given
  // after its release.
  bool never_served = false;
  // Public id of the key that the regenerations were marked under; none: they are not marked.
  std::optional<std::string> key_id{};

  bool operator==(const ServedScore&) const = default;
};

// One line with its line feed, fields in the order of the format.
std::string to_json_line(const ServedScore& score);

// The record in one line. kInvalidInput, kUnsupported for a later schema; with field and offset.
Result<ServedScore> parse_served_score(std::string_view line);

inline constexpr std::size_t kLongestServedScore = std::size_t{1} << 20;
using ServedScoreReader =
    text::JsonLinesReader<ServedScore, parse_served_score, kLongestServedScore>;

}  // namespace countermark::audit
