// SPDX-License-Identifier: Apache-2.0
// The tuples that one writer met of late, each with the first document it was seen in.
//
// Most repeats of a text come again soon. One that an earlier document is known to have is lost to
// its document at once, and never recorded, sorted or spilled. What is forgotten costs nothing but
// that work: the records decide.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "verifier/scan/documents.h"

namespace countermark::scan {

class RecentTuples {
 public:
  static constexpr std::size_t kBytes = 16;  // of a tuple

  // Room for `tuples`, a power of two; 0: none is remembered.
  explicit RecentTuples(std::size_t tuples) : entries_(tuples) {}

  bool is_empty() const noexcept { return entries_.empty(); }
  void fetch(std::uint64_t fingerprint) const noexcept {
    __builtin_prefetch(&entries_[fingerprint & (entries_.size() - 1)], 1);
  }

  // Whether an earlier document than `document`, whose order is given, is known to have the tuple;
  // if not, this one is remembered. Of well mixed fingerprints, and only if there is room for any.
  bool belongs_to_other(std::uint64_t fingerprint, std::uint32_t document, std::uint32_t order,
                        const Documents& documents) noexcept {
    Entry& entry = entries_[fingerprint & (entries_.size() - 1)];
    if (entry.fingerprint == fingerprint && entry.order <= order &&
        (entry.order < order || documents.precedes(entry.document, document)))
      return true;
    entry = {fingerprint, document, order};
    return false;
  }

 private:
  struct Entry {
    std::uint64_t fingerprint = 0;
    std::uint32_t document = 0;
    std::uint32_t order = UINT32_MAX;  // the document's
  };

  static_assert(sizeof(Entry) == kBytes);

  std::vector<Entry> entries_;
};

}  // namespace countermark::scan
