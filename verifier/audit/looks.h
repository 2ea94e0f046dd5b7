// SPDX-License-Identifier: Apache-2.0
// countermark.looks/1: how often somebody has looked at answers that keep coming, and what was
// there each time (docs/formats.md).
//
// A bet may be looked at at any time, and its largest value so far decides, as long as what was
// seen before stays as it was: the settings, and every answer that was there. Each look is a line
// that names them by digest, and the line before it by its own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "verifier/audit/chain.h"
#include "watermark/error.h"

namespace countermark::audit {

inline constexpr std::string_view kLooksSchema = "countermark.looks/1";

struct Look {
  std::string previous{};   // SHA-256 of the line before, with its line feed; of no bytes at first
  std::string settings{};   // SHA-256 of all that the result depends on besides the answers
  std::uint64_t bytes = 0;  // of the answers' file
  std::string answers{};    // SHA-256 of so many
  std::uint64_t scored = 0;
  std::int64_t e_value = 0;       // units of stats::EValue
  std::int64_t most_e_value = 0;  // that it ever was

  bool operator==(const Look&) const = default;
};

// One line with its line feed.
std::string to_json_line(const Look& look);
Result<Look> parse_look(std::string_view line);

class Looks {
 public:
  // Of a file that may not be there yet. kInvalidInput for a chain that is broken.
  static Result<Looks> open(const std::string& path);

  // Whether the answers so far, and the settings, are those of the last look: kMismatch.
  Status check(const std::string& settings, const std::string& answers) const;

  // Puts a look behind the others; its `previous`, `bytes` and `answers` are set here.
  Status add(Look look, const std::string& answers);

  const std::vector<Look>& looks() const noexcept { return chain_.records(); }

 private:
  using LookChain = Chain<Look, parse_look, to_json_line>;

  explicit Looks(LookChain chain) : chain_(std::move(chain)) {}

  LookChain chain_;
};

}  // namespace countermark::audit
