// SPDX-License-Identifier: Apache-2.0
// The fragments of all shards of a scan as one corpus.
#pragma once

#include <span>
#include <string>

#include "verifier/scan/corpus.h"
#include "watermark/error.h"

namespace countermark::scan {

// What the scan without shards says: Corpus and scores are the same. Needs memory for the documents
// (Documents) and 2^17 bytes for each fragment and channel; reads each fragment twice.
//
// kMismatch, with the file, for a fragment of other settings than the first, a shard that comes
// twice, or one that is missing; kInvalidInput, with file and offset, for a corrupt one.
Result<Corpus> merge(std::span<const std::string> paths, const WinnerScores& winners = {});

// The settings of a fragment, of the whole scan: shard 0 of 1.
Result<Settings> fragment_settings(const std::string& path);

// The words that finish_shard() was given.
Result<std::string> fragment_summary(const std::string& path);

}  // namespace countermark::scan
