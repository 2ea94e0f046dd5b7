// SPDX-License-Identifier: Apache-2.0
// SHA-256, HMAC-SHA-256 and the one key expansion of MARK: thin wrappers over Crypto++.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace countermark {

using Bytes = std::span<const std::uint8_t>;

inline Bytes as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// Lower-case hexadecimal.
std::string to_hex(Bytes bytes);

std::array<std::uint8_t, 32> sha256(std::string_view bytes);

std::array<std::uint8_t, 32> hmac_sha256(Bytes key, Bytes message);

// LP(x) of the specification: u32 big-endian length | bytes, appended to `out`.
void append_length_prefixed(std::string& out, std::string_view field);

// Appends the 4 bytes of `value`, little-endian.
void append_le32(std::string& out, std::uint32_t value);

// X(key, f1..fk): HMAC-SHA-256(key, LP(f1) | .. | LP(fk) | 0x01), which is HKDF-Expand (RFC 5869)
// for outputs of at most 32 bytes.
std::array<std::uint8_t, 32> expand_key(Bytes key, std::initializer_list<std::string_view> fields);

// Overwrites memory that held a secret, in a way that the compiler keeps.
void wipe(void* memory, std::size_t size) noexcept;
void wipe(std::string& text) noexcept;

// `size` bytes from the operating system's generator. Aborts if there is none.
void random_bytes(void* out, std::size_t size);

}  // namespace countermark
