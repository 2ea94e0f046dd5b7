// SPDX-License-Identifier: Apache-2.0
// Many sorted fragments as one: each tuple to the first of its documents.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "verifier/scan/assign.h"
#include "verifier/scan/documents.h"
#include "verifier/scan/fragment.h"

namespace countermark::scan {

// A fragment of a corpus. Its documents have the numbers that it says, and `base` more.
struct Part {
  Fragment fragment;
  std::uint32_t base = 0;
};

// Records of a channel that own their tuples, fingerprints ascending.
using OwnedRecords =
    std::function<Status(std::size_t channel, std::span<const std::uint32_t> records)>;

// Adds the part's documents, the next ones, with what they lost. kInvalidInput, with file and
// offset, when rows and losses do not fit.
Status load_documents(const Part& part, const Settings& settings, Documents& documents);

// Calls `owned` with each channel's distinct tuples, piece by piece; what documents lose is taken
// from them. Keeps two blocks of each part in memory. O(records) for fingerprints that are spread
// evenly.
Status unite(std::span<const Part> parts, const Settings& settings, Documents& documents,
             const OwnedRecords& owned);

}  // namespace countermark::scan
