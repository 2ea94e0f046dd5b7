// SPDX-License-Identifier: Apache-2.0
// A calibration as JSON (countermark.calibrate/1), as text for people and as pictures; a study as
// JSON (countermark.calibration-study/1) and text. Schemas: docs/schemas.
#pragma once

#include <string>
#include <vector>

#include "verifier/calibrate/calibration.h"
#include "verifier/calibrate/study.h"

namespace countermark::calibrate {

// One object on one line, without the line feed. The same input gives the same bytes.
std::string to_json(const scan::Test& test, const std::vector<std::string>& inputs,
                    const Calibration& calibration);

// For a terminal, with a final line feed.
std::string to_text(const scan::Test& test, const Calibration& calibration);

// An SVG document: p-values of the documents as a histogram and by their tail, and the key's sum
// among the decoys'.
std::string to_svg(const scan::Test& test, const Calibration& calibration);

std::string to_json(const scan::Test& test, const StudyOptions& options,
                    const std::vector<Cell>& cells);
std::string to_text(const scan::Test& test, const StudyOptions& options,
                    const std::vector<Cell>& cells);

}  // namespace countermark::calibrate
