// SPDX-License-Identifier: Apache-2.0
// What the reports of several commands say in the same words and fields.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "verifier/detect/detector.h"
#include "verifier/detect/line_up.h"
#include "verifier/detect/policy.h"

namespace countermark::detect {

// {"scored","statistic","nullModel","pValue","log10P","pFloor","hypotheses"}.
nlohmann::ordered_json evidence_json(const Evidence& evidence);
nlohmann::ordered_json line_up_json(const LineUp& line_up);
// {"scheme","profile","keyId","model","epoch"}.
nlohmann::ordered_json subject_json(const Subject& subject);

// log10 p to four decimals; the digits behind them are not portable and tell nothing.
double rounded_log10(stats::PValue p);

std::string fixed(double value, int decimals);

// "a, b".
std::string joined(const std::vector<std::string>& parts);

// A line of a report for people: a name and what is said of it.
std::string row(const std::string& name, const std::string& value);

// "1 in 2.6e+14": how often text that has nothing to do with the key gets so far at most, from the
// asserted p-value; "at most 1 in 1.8e+19" at the floor.
std::string by_chance(const Evidence& evidence);

}  // namespace countermark::detect
