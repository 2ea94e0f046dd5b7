// SPDX-License-Identifier: Apache-2.0
// An audit's result, for programs and for people.
#pragma once

#include <string>

#include "verifier/audit/audit.h"

namespace countermark::audit {

// countermark.audit/1, one object without a line feed.
std::string to_json(const Audit& audit);
std::string to_text(const Audit& audit);

// An SVG document: ranks of served answers, how a bet grew with the tuples, and each key among its
// decoys; nothing of withheld tests. Empty where there is nothing to draw.
std::string to_svg(const Audit& audit);

}  // namespace countermark::audit
