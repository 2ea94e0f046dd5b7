// SPDX-License-Identifier: Apache-2.0
// The documents of a corpus: their order, and what each of them lost to earlier ones.
//
// A tuple of a corpus belongs to the first document that has it, in the order of (content hash,
// input, record): no order of arrival, thread or shard changes it. What is written of a document
// is its row; rows are kept by others, in memory or in files. Here is only what must be at hand
// for each document, a fixed number of bytes.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "verifier/detect/tally.h"
#include "verifier/scan/settings.h"
#include "watermark/error.h"

namespace countermark::scan {

using detect::Tally;

// Where a document stands in the inputs. Two documents never stand in one place.
struct Place {
  std::uint32_t input = 0;
  std::uint64_t record = 0;

  // NOLINTNEXTLINE(modernize-use-nullptr): clang 14 sees the zero behind a defaulted comparison
  auto operator<=>(const Place&) const = default;
};

// A stretch of a document that may be marked.
struct Span {
  std::uint32_t lane = 0;
  std::uint64_t first = 0;  // token
  std::uint64_t last = 0;   // token, inclusive
  Tally tally{};

  bool operator==(const Span&) const = default;
};

// Another document with the same content hash, the first of them in the inputs.
struct Original {
  std::string id{};
  Place place{};

  bool operator==(const Original&) const = default;
};

// What is said of one document.
struct DocumentRow {
  std::uint64_t content_hash = 0;
  Place place{};
  std::uint64_t offset = 0;  // bytes, of the record in its input
  std::uint64_t tokens = 0;
  std::string id{};                      // at most kMostIdBytes, any bytes
  std::vector<std::uint64_t> dropped{};  // counts, as many and in the order that the caller likes
  std::vector<Tally> own{};              // of the document alone, by lane
  std::vector<Span> spans{};
  // Not given, but found: of those tuples that no earlier document has, by lane.
  std::vector<Tally> assigned{};
  std::optional<Original> duplicate_of{};

  bool operator==(const DocumentRow&) const = default;
};

inline constexpr std::size_t kMostIdBytes = std::size_t{1} << 20;
inline constexpr std::size_t kMostDropped = std::size_t{1} << 16;
inline constexpr std::size_t kMostSpans = std::size_t{1} << 20;

// A record whose tuple an earlier document owns.
struct Loser {
  std::uint32_t document = 0;
  const std::uint32_t* scores = nullptr;  // [lanes of the channel]
};

// 24 bytes a document, 4 for each channel and 8 for each lane. Documents have numbers in the order
// in which they came, which mean nothing.
class Documents {
 public:
  explicit Documents(const Settings& settings, std::uint64_t most = UINT32_MAX);

  // The number of a new document. kUnsupported for one more than there may be. From many threads.
  Result<std::uint32_t> add(std::uint64_t content_hash, Place place);

  std::uint64_t size() const noexcept;
  std::uint64_t memory() const noexcept;  // bytes

  // Puts a document, which has been added, elsewhere in the order. Not while others compare it.
  void set_position(std::uint32_t document, std::uint64_t content_hash, Place place) noexcept;

  // Whether `a` owns the tuples that it shares with `b`. From many threads, with any other
  // function, about documents that have been added.
  bool precedes(std::uint32_t a, std::uint32_t b) const noexcept;
  // Most of what precedes() looks at: a document of a lower order precedes one of a higher. Of
  // those that have been added.
  class Orders {
   public:
    std::uint32_t of(std::uint32_t document) const noexcept {
      return chunks_[document >> chunk_bits_][document & ((1U << chunk_bits_) - 1)];
    }

   private:
    friend class Documents;
    Orders(const std::unique_ptr<std::uint32_t[]>* chunks, unsigned chunk_bits)
        : chunks_(chunks), chunk_bits_(chunk_bits) {}

    const std::unique_ptr<std::uint32_t[]>* chunks_;
    unsigned chunk_bits_;
  };
  Orders orders() const noexcept { return {orders_.get(), chunk_bits_}; }
  // Brings what lose() looks at.
  void prefetch(std::uint32_t document) const noexcept { __builtin_prefetch(words(document), 1); }
  std::uint64_t content_hash(std::uint32_t document) const noexcept;
  Place place(std::uint32_t document) const noexcept;

  // Takes the scores of the losers, records of one channel, from what their documents own. From
  // many threads.
  void lose(std::size_t channel, std::span<const Loser> losers);

  // The same of `n` tuples of one document at once: sums[lane], of the channel.
  void lose(std::size_t channel, std::uint32_t document, std::uint32_t n,
            std::span<const std::uint64_t> sums);

  // The first and the last document before `end` of those that lost anything since they were last
  // taken; none: first > last. Any threads.
  struct Range {
    std::uint32_t first = UINT32_MAX;
    std::uint32_t last = 0;
  };
  Range take_losers(std::uint32_t end);

  // What the document lost in a lane. Not while others lose.
  Tally lost(std::uint32_t document, std::size_t lane) const noexcept;

  // What the document lost, as words of a file: n for each channel, then the sums for each lane.
  std::size_t lost_words() const noexcept { return stride_ - kPositionWords; }
  std::span<const std::uint32_t> lost(std::uint32_t document) const noexcept;
  // The same while others lose.
  void copy_lost(std::uint32_t document, std::vector<std::uint32_t>& words) const;
  void set_lost(std::uint32_t document, std::span<const std::uint32_t> words) noexcept;

  // All documents in the order of their places. 24 bytes a document meanwhile.
  std::vector<std::uint32_t> in_order() const;
  // By document, the first in the inputs of those with the same content hash. 16 bytes a document
  // meanwhile.
  std::vector<std::uint32_t> originals() const;

 private:
  // hash (2 words), record (2), input (1)
  static constexpr std::size_t kPositionWords = 5;

  const std::uint32_t* words(std::uint32_t document) const noexcept {
    return chunks_[document >> chunk_bits_].get() +
           (document & ((1U << chunk_bits_) - 1)) * stride_;
  }
  std::uint32_t* words(std::uint32_t document) noexcept {
    return chunks_[document >> chunk_bits_].get() +
           (document & ((1U << chunk_bits_) - 1)) * stride_;
  }

  std::vector<std::size_t> first_lanes_;      // by channel, and of all
  std::vector<std::uint32_t> lane_channels_;  // by lane
  std::size_t stride_;                        // words of a document
  unsigned chunk_bits_;                       // documents of a chunk
  std::uint64_t most_;
  mutable std::mutex mutex_;  // of the size, the losers, and what they lost
  std::uint64_t size_ = 0;
  Range losers_{};
  // As many as there can be, so that none moves while others read.
  std::unique_ptr<std::unique_ptr<std::uint32_t[]>[]> chunks_;
  // The highest bits of the documents' hashes, side by side.
  std::unique_ptr<std::unique_ptr<std::uint32_t[]>[]> orders_;
};

}  // namespace countermark::scan
