// SPDX-License-Identifier: Apache-2.0
// What pieces of text become, by their bytes.
//
// Nine pieces in ten of a text are words of the vocabulary, and nearly all others have been met
// before. Looking up a short one is a few instructions and one line of memory, which the caller
// fetches ahead.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "watermark/token.h"

namespace countermark::text {

// Of pieces up to 15 bytes that become at most four ids. Of a fixed size: what is new takes the
// place of what is old.
class ShortPieces {
 public:
  static constexpr std::size_t kLongest = 15;
  static constexpr std::size_t kMostIds = 4;
  static constexpr int kIdBits = 24;
  // Room for the words of a vocabulary and three times as many others; few for a small one, too.
  static constexpr std::size_t room_for(std::size_t words) {
    return std::max(4 * words, std::size_t{1} << 14);
  }
  static constexpr TokenId kIdMask = (TokenId{1} << kIdBits) - 1;

  // The bytes of a piece, and their number in the highest byte.
  struct Key {
    std::uint64_t low;
    std::uint64_t high;

    bool equals(const Key& other) const { return ((low ^ other.low) | (high ^ other.high)) == 0; }
  };
  struct Entry {
    Key key{};
    std::array<TokenId, kMostIds> ids{};  // the number of ids stands above the first one's bits

    std::size_t size() const { return ids[0] >> kIdBits; }

    // Writes four ids, of which only as many as there are mean something; returns their end.
    TokenId* copy_ids(TokenId* to) const {
      std::memcpy(to, ids.data(), sizeof ids);
      *to = ids[0] & kIdMask;
      return to + size();
    }
  };

  // With room for `entries`, rounded up to a power of two.
  explicit ShortPieces(std::size_t entries);
  ShortPieces(const ShortPieces& other);
  ShortPieces& operator=(const ShortPieces&) = delete;

  // Bytes that key_of_readable may read, whatever the piece's own size.
  static constexpr std::size_t kRead = sizeof(Key);

  // The key of a piece that is not empty. Of one that is too long it is a key that is never found.
  static Key key(std::string_view piece) {
    std::array<char, kRead> bytes{};
    std::memcpy(bytes.data(), piece.data(), std::min(piece.size(), kRead));
    return key_of_readable(bytes.data(), piece.size());
  }
  static Key key_of_readable(const char* piece, std::size_t size) {
    size = std::min(size, kLongest + 1);
    Key key{};
    std::memcpy(&key.low, piece, sizeof key.low);
    std::memcpy(&key.high, piece + sizeof key.low, sizeof key.high);
    key.low &= kMasks[size].low;
    key.high = (key.high & kMasks[size].high) | std::uint64_t{size} << 56;
    return key;
  }

  // The row of a key. Fetched, it is there when find wants it.
  std::uint32_t row(const Key& key) const {
    // Constants without a pattern: digits of the golden ratio and of the root of 3.
    __extension__ using Wide = unsigned __int128;
    const Wide mixed = Wide{key.low ^ 0x9e3779b97f4a7c15} * (key.high ^ 0xbb67ae8584caa73b);
    return (static_cast<std::uint32_t>(mixed >> 64) ^ static_cast<std::uint32_t>(mixed)) &
           static_cast<std::uint32_t>(capacity_ - kRow);
  }
  void fetch(std::size_t row) const { __builtin_prefetch(&entries_[row], 0, 2); }

  // Null when there is none. Which of the two of a row it is, no processor can guess: that takes no
  // branch.
  const Entry* find(const Key& key, std::size_t row) const {
    const Entry* const first = &entries_[row];
    const Entry* const entry = first + first[1].key.equals(key);
    return entry->key.equals(key) ? entry : nullptr;
  }

  // Adds a piece, unless it is there, it is too long or its ids are too many. In a full row the
  // oldest makes way, unless `only_if_free`.
  void add(const Key& key, TokenSpan ids, bool only_if_free);

 private:
  static constexpr std::size_t kRow = 2;  // a line of memory
  // What a piece of so many bytes leaves of 16; of one that is too long, nothing.
  static constexpr std::array<Key, kLongest + 2> kMasks = [] {
    std::array<Key, kLongest + 2> masks{};
    for (std::size_t size = 1; size <= kLongest; ++size) {
      masks[size].low = ~std::uint64_t{0} >> (size < 8 ? 64 - 8 * size : 0);
      masks[size].high = size > 8 ? ~std::uint64_t{0} >> (128 - 8 * size) : 0;
    }
    return masks;
  }();
  struct Free {
    void operator()(Entry* entries) const;
  };

  static Entry* allocate(std::size_t entries);

  std::size_t capacity_;
  std::unique_ptr<Entry[], Free> entries_;
};

// Of pieces of any kind, up to a length where merging them again is no more than reading them is.
// They come in two generations: when the young one is full, the old one is forgotten, less what has
// been found in it, and the young one grows old.
class MetPieces {
 public:
  static constexpr std::size_t kLongest = 512;

  // Before find() wants it.
  void fetch(std::uint32_t hash) const {
    young_.fetch(hash);
    old_.fetch(hash);
  }

  // The result stands until the next call.
  std::optional<TokenSpan> find(std::string_view piece, std::uint32_t hash);

  // Adds a piece; one that is there already only takes room.
  void add(std::string_view piece, std::uint32_t hash, TokenSpan ids);

  static std::uint32_t hash(std::string_view piece);

 private:
  struct Entry {
    std::uint32_t hash;
    std::uint32_t at;          // in words_: the ids, then the bytes
    std::uint16_t bytes_size;  // 0: free
    std::uint16_t ids_size;
  };
  static constexpr std::size_t kSlots = std::size_t{1} << 17;  // of a generation; half of them used

  struct Generation {
    std::vector<Entry> entries{};  // open addressing; none before the first piece
    std::size_t used = 0;
    std::vector<TokenId> words{};

    bool is_full() const;
    void fetch(std::uint32_t hash) const {
      if (used != 0) __builtin_prefetch(&entries[hash % kSlots]);
    }
    std::optional<TokenSpan> find(std::string_view piece, std::uint32_t hash) const;
    void add(std::string_view piece, std::uint32_t hash, TokenSpan ids);
    void clear();
  };
  Generation young_{};
  Generation old_{};
};

}  // namespace countermark::text
