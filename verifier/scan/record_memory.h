// SPDX-License-Identifier: Apache-2.0
// What waits in memory: records, by channel and the top bits of their fingerprints, and rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "verifier/scan/documents.h"
#include "verifier/scan/recent_tuples.h"

namespace countermark::scan {

// How memory is cut up: the top bits of a fingerprint choose a partition, each thread fills a block
// for each of them, and a full block is handed over.
struct MemoryPlan {
  unsigned partition_bits = 8;
  // Not a power of two: lines that are written at one time would fall on one another in the cache.
  std::size_t block_bytes = 4160;

  std::size_t recent_tuples = 0;  // that a writer remembers of a channel

  // Such that open blocks take at most a quarter of `memory`, if that can be, and recent tuples a
  // sixteenth.
  static MemoryPlan make(const Settings& settings, unsigned threads, std::uint64_t memory);

  std::size_t recent_bytes() const noexcept { return recent_tuples * RecentTuples::kBytes; }
  std::size_t partitions() const noexcept { return std::size_t{1} << partition_bits; }
  std::size_t partition(std::uint64_t fingerprint) const noexcept {
    return fingerprint >> (64 - partition_bits);
  }
  std::uint64_t least(std::size_t partition) const noexcept {
    return std::uint64_t{partition} << (64 - partition_bits);
  }
  std::uint64_t most(std::size_t partition) const noexcept {
    return least(partition) + (UINT64_MAX >> partition_bits);
  }
};

// Blocks of one size, used again. Gives no memory back before clear(). Not for several threads at
// once.
class BlockPool {
 public:
  BlockPool(std::size_t block_bytes, std::uint64_t memory);

  std::uint32_t* take();
  void give(std::uint32_t* block) { free_.push_back(block); }
  void clear();  // no block is in use
  std::uint64_t bytes() const noexcept { return chunks_.size() * chunk_bytes_; }

 private:
  struct Free {
    void operator()(std::uint32_t* memory) const noexcept;
  };

  std::size_t block_bytes_;
  std::size_t chunk_bytes_;
  std::vector<std::unique_ptr<std::uint32_t, Free>> chunks_{};
  std::vector<std::uint32_t*> free_{};
};

// Rows as write_row() writes them, in the order of their places once sorted.
class MemoryRows {
 public:
  void add(Place place, std::string_view row);
  void sort();
  std::size_t size() const noexcept { return entries_.size(); }
  std::string_view row(std::size_t index) const noexcept {
    const Entry& entry = entries_[index];
    return std::string_view(chunks_[entry.chunk]).substr(entry.begin, entry.size);
  }
  std::uint64_t bytes() const noexcept { return bytes_ + entries_.size() * sizeof(Entry); }

 private:
  struct Entry {
    Place place;
    std::uint32_t chunk;
    std::uint32_t begin;
    std::uint32_t size;
  };

  std::vector<std::string> chunks_{};
  std::vector<Entry> entries_{};
  std::uint64_t bytes_ = 0;
};

// What is sorted and spilled together.
struct Generation {
  struct Filled {
    std::uint32_t* block = nullptr;
    std::size_t words = 0;
  };

  std::vector<std::vector<Filled>> blocks{};  // [channel * partitions + partition]
  MemoryRows rows{};
  std::uint64_t block_count = 0;
  std::uint32_t first_document = 0;  // of the rows
};

}  // namespace countermark::scan
