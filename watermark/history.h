// SPDX-License-Identifier: Apache-2.0
// The set of contexts that a response has already used, with undo.
//
// The embedder never marks the same context twice in a response, and the verifier scores only its
// first occurrence; both keep their memory here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace countermark {

// A set of 64-bit fingerprints that remembers the order of insertion. Capacity is fixed when it
// is made; nothing allocates afterwards. Each operation is O(1) on average.
class History {
 public:
  explicit History(std::size_t capacity);

  bool contains(std::uint64_t fingerprint) const noexcept;

  // Adds the fingerprint. False when it was there already, or when the history is full.
  bool insert(std::uint64_t fingerprint) noexcept;

  // Number of fingerprints held.
  std::size_t size() const noexcept { return log_.size(); }

  // A full history tells nothing about contexts that it did not take in, so the embedder stops
  // marking: forgetting one instead would repeat its randomness.
  bool full() const noexcept { return full_at(log_.size()); }

  // Whether it would be full with `size` fingerprints.
  bool full_at(std::size_t size) const noexcept { return size >= capacity_; }

  // For a copy: allocates what it may come to need.
  void make_room() { log_.reserve(capacity_); }

  // Forgets the latest insertions, down to `size` of them.
  void rewind(std::size_t size) noexcept;

 private:
  std::size_t find(std::uint64_t fingerprint) const noexcept;

  std::size_t capacity_;
  // Open addressing with linear probing over a power of two of at least twice the capacity.
  // Entries leave in the reverse order of their arrival, so a probe chain never has a hole.
  std::vector<std::uint32_t> slots_;  // 0: empty, else 1 + index in log_
  std::vector<std::uint64_t> log_;
};

}  // namespace countermark
