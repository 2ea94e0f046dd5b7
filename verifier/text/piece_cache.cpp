// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/piece_cache.h"

#include <sys/mman.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <new>

namespace countermark::text {
namespace {

constexpr std::size_t kLine = 64;                        // of memory
constexpr std::size_t kHugePage = std::size_t{2} << 20;  // of x86-64 and ARMv8
constexpr std::size_t kMetWords = std::size_t{1} << 19;

}  // namespace

ShortPieces::ShortPieces(std::size_t entries)
    : capacity_(std::bit_ceil(std::max(entries, kRow))), entries_(allocate(capacity_)) {
  std::uninitialized_value_construct_n(entries_.get(), capacity_);
}

ShortPieces::ShortPieces(const ShortPieces& other)
    : capacity_(other.capacity_), entries_(allocate(capacity_)) {
  std::uninitialized_copy_n(other.entries_.get(), capacity_, entries_.get());
}

ShortPieces::Entry* ShortPieces::allocate(std::size_t entries) {
  const std::size_t bytes = std::max(entries * sizeof(Entry), kLine);
  auto* const memory = std::aligned_alloc(bytes < kHugePage ? kLine : kHugePage, bytes);
  if (memory == nullptr) throw std::bad_alloc();
  // Before the first touch; look-ups go everywhere and would miss the address cache each time.
  if (bytes >= kHugePage) madvise(memory, bytes, MADV_HUGEPAGE);
  return static_cast<Entry*>(memory);
}

void ShortPieces::Free::operator()(Entry* entries) const { std::free(entries); }

void ShortPieces::add(const Key& key, TokenSpan ids, bool only_if_free) {
  if (key.high >> 56 > kLongest || ids.size() > kMostIds) return;
  Entry entry{key};
  std::copy(ids.begin(), ids.end(), entry.ids.begin());
  assert(std::all_of(ids.begin(), ids.end(), [](TokenId id) { return id <= kIdMask; }));
  entry.ids[0] |= static_cast<TokenId>(ids.size()) << kIdBits;
  Entry* const row_begin = &entries_[row(key)];
  Entry* const row_end = row_begin + kRow;
  if (std::any_of(row_begin, row_end, [&](const Entry& each) { return each.key.equals(key); }))
    return;
  Entry* const free =
      std::find_if(row_begin, row_end, [](const Entry& each) { return each.key.high == 0; });
  if (free != row_end) {
    *free = entry;
  } else if (!only_if_free) {
    std::copy_backward(row_begin, row_end - 1, row_end);
    *row_begin = entry;
  }
}

std::uint32_t MetPieces::hash(std::string_view piece) {
  return static_cast<std::uint32_t>(XXH3_64bits(piece.data(), piece.size()));
}

std::optional<TokenSpan> MetPieces::find(std::string_view piece, std::uint32_t hash) {
  if (const auto found = young_.find(piece, hash)) return found;
  const auto found = old_.find(piece, hash);
  if (found && !young_.is_full()) young_.add(piece, hash, *found);
  return found;
}

void MetPieces::add(std::string_view piece, std::uint32_t hash, TokenSpan ids) {
  assert(!piece.empty() && piece.size() <= kLongest && ids.size() <= UINT16_MAX);
  if (young_.is_full()) {
    std::swap(young_, old_);
    young_.clear();
  }
  young_.add(piece, hash, ids);
}

bool MetPieces::Generation::is_full() const {
  return used == kSlots / 2 || words.size() >= kMetWords;
}

std::optional<TokenSpan> MetPieces::Generation::find(std::string_view piece,
                                                     std::uint32_t hash) const {
  if (used == 0) return std::nullopt;
  for (std::size_t at = hash % kSlots;; at = (at + 1) % kSlots) {
    const Entry& entry = entries[at];
    if (entry.bytes_size == 0) return std::nullopt;
    if (entry.hash != hash || entry.bytes_size != piece.size()) continue;
    const TokenSpan ids = TokenSpan(words).subspan(entry.at, entry.ids_size);
    if (std::memcmp(ids.data() + ids.size(), piece.data(), piece.size()) == 0) return ids;
  }
}

void MetPieces::Generation::add(std::string_view piece, std::uint32_t hash, TokenSpan ids) {
  entries.resize(kSlots);
  std::size_t at = hash % kSlots;
  while (entries[at].bytes_size != 0) at = (at + 1) % kSlots;
  entries[at] = {hash, static_cast<std::uint32_t>(words.size()),
                 static_cast<std::uint16_t>(piece.size()), static_cast<std::uint16_t>(ids.size())};
  ++used;
  words.insert(words.end(), ids.begin(), ids.end());
  words.resize(words.size() + (piece.size() + sizeof(TokenId) - 1) / sizeof(TokenId));
  std::memcpy(&words[entries[at].at + ids.size()], piece.data(), piece.size());
}

void MetPieces::Generation::clear() {
  std::fill(entries.begin(), entries.end(), Entry{});
  used = 0;
  words.clear();
}

}  // namespace countermark::text
