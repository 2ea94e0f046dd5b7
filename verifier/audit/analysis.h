// SPDX-License-Identifier: Apache-2.0
// What tells an analysis of a suspect from another one, for the ledger.
#pragma once

#include <string>
#include <vector>

#include "verifier/audit/audit.h"
#include "watermark/error.h"

namespace countermark::audit {

// SHA-256 of the scores that a test gives to fixed ids: other systems' keys have no id, and a name
// at most. Of their short keys it is a check for whoever guesses: keep it like the key.
Result<std::string> behaviour_of(const scan::Test& test);

// SHA-256 of all that the results of these tests depend on: the plan, the key's public names, the
// key's behaviour, the tokenizer, the claim, decoys, how records are read and every file. Reads
// each file once. kInvalidArgument for standard input, and errors of files.
Result<std::string> digest_of_analysis(const AuditOptions& options,
                                       const std::vector<TestKind>& kinds);

}  // namespace countermark::audit
