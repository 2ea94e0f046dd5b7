// SPDX-License-Identifier: Apache-2.0
// AES-128 as a keyed permutation of 16-byte blocks, on a chosen kernel.
#pragma once

#include <array>
#include <cassert>
#include <cstdint>
#include <cstring>
#include <span>

#include "watermark/kernels/dispatch.h"
#include "watermark/prf/secret.h"

namespace countermark {

using Block = std::array<std::uint8_t, 16>;

inline Block operator^(const Block& a, const Block& b) noexcept {
  Block out;
  for (std::size_t i = 0; i < 16; ++i) out[i] = a[i] ^ b[i];
  return out;
}

inline std::uint32_t load_le32(const std::uint8_t* from) noexcept {
  return std::uint32_t{from[0]} | std::uint32_t{from[1]} << 8 | std::uint32_t{from[2]} << 16 |
         std::uint32_t{from[3]} << 24;
}

inline std::uint64_t load_le64(const std::uint8_t* from) noexcept {
  std::uint64_t out = 0;
  std::memcpy(&out, from, sizeof out);  // kernel.h has made sure of the order of bytes
  return out;
}

inline void store_le32(std::uint8_t* to, std::uint32_t value) noexcept {
  for (int i = 0; i < 4; ++i) to[i] = static_cast<std::uint8_t>(value >> (8 * i));
}

// Immutable; may be used by many threads at once. Does not allocate.
class Aes128 {
 public:
  Aes128(const Secret<16>& key, const Kernel& kernel) : kernel_(&kernel) {
    kernel.expand_key(key.data(), &key_);
  }
  Aes128(const Aes128&) = default;
  Aes128& operator=(const Aes128&) = default;
  ~Aes128() { wipe(&key_, sizeof key_); }

  Block encrypt(const Block& in) const noexcept {
    Block out;
    kernel_->encrypt_blocks(&key_, in.data(), out.data(), 1);
    return out;
  }

  // out[i] = AES(in[i]); the spans have one length and may be the same.
  void encrypt(std::span<const Block> in, std::span<Block> out) const noexcept {
    assert(in.size() == out.size());
    if (!in.empty()) kernel_->encrypt_blocks(&key_, in[0].data(), out[0].data(), in.size());
  }

  const Kernel& kernel() const noexcept { return *kernel_; }
  // For the kernel's primitives.
  const CountermarkAesKey& key() const noexcept { return key_; }

 private:
  CountermarkAesKey key_{};
  const Kernel* kernel_;
};

}  // namespace countermark
