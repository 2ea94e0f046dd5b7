// SPDX-License-Identifier: Apache-2.0
// A detection as one line of JSON (countermark.detect/1) and as text for people.
//
// The only places of the verifier that format numbers. Schema: docs/schemas/detect-1.json.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "verifier/detect/detector.h"

namespace countermark::detect {

// What one test of several found; `tests` are all of them (Panel::subjects), of which several make
// the ledger.
struct Entry {
  std::span<const Subject> tests;
  std::size_t test = 0;
  const Detection& detection;

  const Subject& subject() const noexcept { return tests[test]; }
};

// One line, without the line feed. Fields in a fixed order; the same input gives the same bytes.
std::string to_json_line(const text::Document& document, const Entry& entry);

// Several lines for a terminal, with a final line feed.
std::string to_text(const text::Document& document, const Entry& entry);

}  // namespace countermark::detect
