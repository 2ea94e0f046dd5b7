// SPDX-License-Identifier: Apache-2.0
// countermark.ledger/1: every analysis that was tried of a suspect, so that none is forgotten
// (docs/formats.md).
//
// Who tries several keys, profiles or files finds something in the end. The m-th analysis that is
// not a planned one spends alpha / (m (m + 1)), which together is alpha however many there are, if
// it does not depend on scores that were seen which one the m-th is; a plan spends all of it, and
// must come first. An analysis is written down before it is made, and one that is repeated, by the
// digest of all that it depends on, spends nothing more.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "verifier/audit/chain.h"
#include "verifier/audit/finding.h"
#include "watermark/error.h"

namespace countermark::audit {

inline constexpr std::string_view kLedgerSchema = "countermark.ledger/1";

struct LedgerLine {
  std::string previous{};             // SHA-256 of the line before, as in Chain
  std::string audit{};                // SHA-256 of all that the analysis depends on
  std::optional<std::string> plan{};  // its digest
  std::string alpha{};                // of all analyses together; a decimal

  bool operator==(const LedgerLine&) const = default;
};

// One line with its line feed.
std::string to_json_line(const LedgerLine& line);
Result<LedgerLine> parse_ledger_line(std::string_view line);

// What an analysis may spend: alpha / parts; nothing where it failed the check.
struct Entry {
  std::uint64_t number = 0;    // of the analysis, in the order of the ledger; from 1
  std::uint64_t analyses = 0;  // different ones so far
  std::uint64_t parts = 1;
  std::string audit{};  // its digest
  Check check{};
};

// Writes the analysis down, if it is a new one, and holds `path`.lock meanwhile: kIo while another
// process does. What was cut off the ledger's end nobody can tell, but by the reports that name it.
// kMismatch for another alpha than that of the lines
// before, kInvalidInput for a chain that is broken.
Result<Entry> enter(const std::string& path, LedgerLine line);

}  // namespace countermark::audit
