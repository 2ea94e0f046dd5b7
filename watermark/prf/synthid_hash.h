// SPDX-License-Identifier: Apache-2.0
// The two hashes of SynthID-Text: that of Hugging Face's transformers, which ends in a table of
// bits, and that of June 2025, which has none. One step of both is h -> (h + x) * a + 1 modulo
// 2^64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "watermark/error.h"
#include "watermark/kernels/dispatch.h"
#include "watermark/token.h"

namespace countermark {

std::uint64_t synthid_accumulate(std::uint64_t h, std::uint64_t x) noexcept;

// out[n] = the hash of contexts[n * width .. (n + 1) * width), from `initial` on: 1 with the table,
// synthid_initial_hash without.
void synthid_context_hashes(std::uint64_t initial, unsigned width, TokenSpan contexts,
                            std::span<std::uint64_t> out);

std::uint64_t synthid_initial_hash(std::span<const std::int64_t> keys);

constexpr std::size_t kMaxSynthIdDepth = 64;

// June 2025. out[n] = the bits of tokens[n] after the context of that hash, bit d that of keys[d];
// at most kMaxSynthIdDepth keys.
void synthid_bits(std::span<const std::uint64_t> context_hashes, TokenSpan tokens,
                  std::span<const std::int64_t> keys, std::span<std::uint64_t> out,
                  const Kernel* kernel = nullptr);

// The table that transformers draws from its seed.
class SynthIdTable {
 public:
  static constexpr std::uint32_t kMaxSize = 1U << 24;

  // size 1 to kMaxSize, or kInvalidArgument.
  static Result<SynthIdTable> create(std::uint64_t seed, std::uint32_t size);

  // As synthid_bits.
  void bits(std::span<const std::uint64_t> context_hashes, TokenSpan tokens,
            std::span<const std::int64_t> keys, std::span<std::uint64_t> out) const;

  // A byte an entry, 0 or 1.
  std::span<const std::uint8_t> entries() const noexcept { return entries_; }

 private:
  explicit SynthIdTable(std::vector<std::uint8_t> entries) : entries_(std::move(entries)) {}

  std::vector<std::uint8_t> entries_;
};

}  // namespace countermark
