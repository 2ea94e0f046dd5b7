// SPDX-License-Identifier: Apache-2.0
// Which document owns each tuple of some records: sorts them by fingerprint and keeps one of each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "verifier/scan/documents.h"

namespace countermark::scan {

// A record is words: the fingerprint (2, the low one first), the document, a score for each lane.
inline constexpr std::size_t kRecordHead = 3;  // words

inline std::uint64_t record_fingerprint(const std::uint32_t* record) noexcept {
  return record[0] | std::uint64_t{record[1]} << 32;
}

// Reuses its memory from call to call. One thread's.
class Assigner {
 public:
  explicit Assigner(Documents& documents) : documents_(&documents) {}

  // The records of a channel with `lanes` lanes that lie in the segments, their fingerprints
  // between `least` and `most`: one for each fingerprint, that of the document that comes first,
  // ascending. What the other documents lose is taken from them. The result is valid until the
  // next call. O(records) for fingerprints that are spread evenly, O(n log n) for any; 32 bytes a
  // record with one lane, 48 + 8 lanes with more.
  std::span<const std::uint32_t> assign(std::size_t channel, std::size_t lanes,
                                        std::span<const std::span<const std::uint32_t>> segments,
                                        std::uint64_t least, std::uint64_t most);

  std::uint64_t memory() const noexcept {  // bytes
    return 4 * (records_.capacity() + low_.capacity() + high_.capacity() + winners_.capacity()) +
           sizeof(Key) * (keys_.capacity() + spare_.capacity());
  }

 private:
  // With one lane a record in its own form, `payload` its score; else `payload` is its index in
  // records_.
  struct Key {
    std::uint64_t fingerprint;
    std::uint64_t held;  // the document below, the payload above

    std::uint32_t document() const noexcept { return static_cast<std::uint32_t>(held); }
    std::uint32_t payload() const noexcept { return static_cast<std::uint32_t>(held >> 32); }
  };

  void sort(std::size_t lanes, std::span<const std::span<const std::uint32_t>> segments,
            std::uint64_t least, std::uint64_t most);
  void finish_sort();
  std::size_t keep_first(std::size_t channel, std::size_t lanes);
  // What the `held` of some keys say is lost to others.
  void settle(std::size_t channel, std::size_t lanes, std::span<const std::uint64_t> lost);
  // Where there are several lanes.
  const std::uint32_t* scores(const Key& key, std::size_t lanes) const noexcept {
    return &records_[key.payload() * (kRecordHead + lanes) + kRecordHead];
  }

  Documents* documents_;
  std::vector<std::uint32_t> records_{};  // gathered, where there are several lanes
  std::vector<Key> keys_{};
  std::vector<Key> spare_{};
  std::vector<std::uint32_t> low_{};   // where each low digit's keys go
  std::vector<std::uint32_t> high_{};  // the same of high digits
  std::vector<Loser> losers_{};
  std::vector<std::uint32_t> lost_scores_{};  // where there is one lane
  std::vector<std::uint32_t> winners_{};      // where there are several lanes
  std::size_t size_ = 0;
};

}  // namespace countermark::scan
