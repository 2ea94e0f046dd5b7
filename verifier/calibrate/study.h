// SPDX-License-Identifier: Apache-2.0
// The error rates of this version, measured: clean text under keys drawn at random, by length,
// domain and edit.
//
// Every trial is a piece of text and a key of its own, so that trials are independent whatever the
// pieces share, and the one-sided Clopper-Pearson bound of each rate is exact. A trial is what
// detect does, the correction for slots and the minimum of scored tuples included.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "verifier/calibrate/null_counts.h"
#include "verifier/scan/test.h"
#include "verifier/text/reader.h"
#include "verifier/text/tokenizer.h"

namespace countermark::calibrate {

// What is done to a piece before it is judged. Clean text stays clean.
enum class Edit : std::uint8_t {
  kNone,
  kRepeated,  // the second half is a copy of the first: repeats must not count twice
  kDeleted,   // every tenth token is left out: contexts that no author wrote
};
inline constexpr std::array kEdits = {Edit::kNone, Edit::kRepeated, Edit::kDeleted};
const char* edit_name(Edit edit) noexcept;

// Of a piece, in tokens, before the edit.
inline constexpr std::array<std::uint64_t, 4> kLengths = {100, 200, 400, 1'000};
inline constexpr double kConfidence = 0.99;

struct StudyOptions {
  std::uint32_t keys = 100;    // each piece under as many
  std::uint32_t pieces = 200;  // of each length, at most
  std::string seed{};          // that the keys are drawn from
  unsigned threads = 1;        // which change nothing
};

// All tokens of a domain, one document after the other, as far as a study needs them.
struct Domain {
  std::string name{};
  std::vector<TokenId> tokens{};
};

// One input is one domain; errors name it. Prompts are left out.
Result<Domain> read_domain(const std::string& input, const text::ReaderOptions& reader,
                           const text::Tokenizer* tokenizer, const StudyOptions& options);

struct Cell {
  std::string domain{};
  std::uint64_t length = 0;
  Edit edit = Edit::kNone;
  std::uint64_t pieces = 0;
  std::uint64_t trials = 0;
  // With an asserted p-value at or below each level (null_counts.h).
  std::array<std::uint64_t, kLevels> alarms{};

  bool operator==(const Cell&) const = default;
};

// Pieces that a study will judge, to say how far it is.
std::uint64_t pieces_of(const std::vector<Domain>& domains, const StudyOptions& options);

// By domain, length and edit; a cell without a piece is left out. `done` is called from several
// threads, once a piece. kMismatch for ids that the profile does not have.
Result<std::vector<Cell>> study(const scan::Test& test, const std::vector<Domain>& domains,
                                const StudyOptions& options, const std::function<void()>& done);

}  // namespace countermark::calibrate
