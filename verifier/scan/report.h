// SPDX-License-Identifier: Apache-2.0
// A scan as JSON (countermark.scan/1; a line a document: countermark.scan-document/1) and as text
// for people. Schemas: docs/schemas.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "verifier/scan/verdict.h"

namespace countermark::scan {

// All that a report says of one scan.
struct Report {
  const Tests& tests;
  const std::vector<std::string>& inputs;
  const Summary& summary;
  const std::vector<TestResult>& results;
  JudgeOptions options{};
};

// One object on one line, without the line feed. The same input gives the same bytes.
std::string to_json(const Report& report);

// What it says of one test.
nlohmann::ordered_json test_json(const Report& report, std::size_t test);

// For a terminal, with a final line feed.
std::string to_text(const Report& report);

// One line for each document, in the order of the inputs, to `write`, which ends it by an error.
// Exact tails only where a document's p-value is at most .01: others are good to twelve digits.
Status write_documents(const Report& report, const Corpus& corpus,
                       const std::function<Status(std::string_view)>& write);

}  // namespace countermark::scan
