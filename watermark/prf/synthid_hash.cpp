// SPDX-License-Identifier: Apache-2.0
#include "watermark/prf/synthid_hash.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <string>

#include "watermark/prf/hash.h"
#include "watermark/prf/torch_generator.h"

namespace countermark {
namespace {

// A step is linear: that with a key is that with 0, plus what depends on the key alone.
struct Addends {
  explicit Addends(std::span<const std::int64_t> keys) {
    assert(keys.size() <= kMaxSynthIdDepth);
    for (std::size_t d = 0; d < keys.size(); ++d)
      of_depth[d] = synthid_accumulate(0, static_cast<std::uint64_t>(keys[d]));
  }

  std::array<std::uint64_t, kMaxSynthIdDepth> of_depth{};
};

}  // namespace

std::uint64_t synthid_accumulate(std::uint64_t h, std::uint64_t x) noexcept {
  return (h + x) * 6364136223846793005 + 1;
}

void synthid_context_hashes(std::uint64_t initial, unsigned width, TokenSpan contexts,
                            std::span<std::uint64_t> out) {
  assert(contexts.size() == out.size() * width);
  for (std::size_t n = 0; n < out.size(); ++n) {
    out[n] = initial;
    for (const TokenId token : contexts.subspan(n * width, width))
      out[n] = synthid_accumulate(out[n], token);
  }
}

// The SHA-256 of the keys, 8 bytes each, little-endian, as a big-endian number modulo 2^63 - 1.
std::uint64_t synthid_initial_hash(std::span<const std::int64_t> keys) {
  std::string message;
  for (const std::int64_t key : keys) {
    append_le32(message, static_cast<std::uint32_t>(key));
    append_le32(message, static_cast<std::uint32_t>(static_cast<std::uint64_t>(key) >> 32));
  }
  constexpr std::uint64_t kModulus = (std::uint64_t{1} << 63) - 1;
  std::uint64_t rest = 0;
  for (const std::uint8_t byte : sha256(message)) {
    for (int bit = 7; bit >= 0; --bit) rest = (2 * rest + (byte >> bit & 1)) % kModulus;
  }
  return rest;
}

void synthid_bits(std::span<const std::uint64_t> context_hashes, TokenSpan tokens,
                  std::span<const std::int64_t> keys, std::span<std::uint64_t> out,
                  const Kernel* kernel) {
  assert(context_hashes.size() == out.size() && tokens.size() == out.size());
  if (keys.empty()) return std::fill(out.begin(), out.end(), 0);
  const Addends addends(keys);
  kernel_or_active(kernel).synthid_bits(context_hashes.data(), tokens.data(), out.size(),
                                        addends.of_depth.data(), static_cast<unsigned>(keys.size()),
                                        out.data());
}

Result<SynthIdTable> SynthIdTable::create(std::uint64_t seed, std::uint32_t size) {
  if (size == 0 || size > kMaxSize)
    return fail(ErrorCode::kInvalidArgument, "a SynthID table has 1 to 16,777,216 entries");
  TorchGenerator generator(seed);
  std::vector<std::uint8_t> entries(size);
  for (std::uint8_t& entry : entries) entry = static_cast<std::uint8_t>(generator.randint(2));
  return SynthIdTable(std::move(entries));
}

void SynthIdTable::bits(std::span<const std::uint64_t> context_hashes, TokenSpan tokens,
                        std::span<const std::int64_t> keys, std::span<std::uint64_t> out) const {
  assert(context_hashes.size() == out.size() && tokens.size() == out.size());
  const Addends addends(keys);
  const std::uint64_t size = entries_.size();
  const std::uint8_t* const entries = entries_.data();
  const std::size_t depth = keys.size();
  for (std::size_t n = 0; n < out.size(); ++n) {
    const std::uint64_t h =
        synthid_accumulate(synthid_accumulate(context_hashes[n], tokens[n]), 0) - 1;
    // From the last depth on, so that no bit has to be shifted to its place.
    std::uint64_t bits = 0;
    if ((size & (size - 1)) == 0) {
      for (std::size_t d = depth; d-- > 0;)
        bits = 2 * bits + entries[(h + addends.of_depth[d]) & (size - 1)];
    } else {
      for (std::size_t d = depth; d-- > 0;) {
        const std::int64_t rest =
            static_cast<std::int64_t>(h + addends.of_depth[d]) % static_cast<std::int64_t>(size);
        bits = 2 * bits + entries[static_cast<std::uint64_t>(rest) + (rest < 0 ? size : 0)];
      }
    }
    out[n] = bits;
  }
}

}  // namespace countermark
