// SPDX-License-Identifier: Apache-2.0
#include "watermark/prf/hash.h"

#include <cryptopp/hmac.h>
#include <cryptopp/misc.h>
#include <cryptopp/osrng.h>
#include <cryptopp/sha.h>
#include <unistd.h>

#include <algorithm>

namespace countermark {

std::string to_hex(Bytes bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(2 * bytes.size());
  for (const std::uint8_t byte : bytes) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::array<std::uint8_t, 32> sha256(std::string_view bytes) {
  std::array<std::uint8_t, 32> digest{};
  const Bytes in = as_bytes(bytes);
  CryptoPP::SHA256().CalculateDigest(digest.data(), in.data(), in.size());
  return digest;
}

std::array<std::uint8_t, 32> hmac_sha256(Bytes key, Bytes message) {
  std::array<std::uint8_t, 32> digest{};
  CryptoPP::HMAC<CryptoPP::SHA256>(key.data(), key.size())
      .CalculateDigest(digest.data(), message.data(), message.size());
  return digest;
}

void append_length_prefixed(std::string& out, std::string_view field) {
  const auto size = static_cast<std::uint32_t>(field.size());
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((size >> shift) & 255);
  out += field;
}

void append_le32(std::string& out, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>((value >> shift) & 255);
}

std::array<std::uint8_t, 32> expand_key(Bytes key, std::initializer_list<std::string_view> fields) {
  std::string info;
  for (const std::string_view field : fields) append_length_prefixed(info, field);
  info += '\x01';
  return hmac_sha256(key, as_bytes(info));
}

void wipe(void* memory, std::size_t size) noexcept {
  CryptoPP::SecureWipeBuffer(static_cast<CryptoPP::byte*>(memory), size);
}

void wipe(std::string& text) noexcept { wipe(text.data(), text.size()); }

void random_bytes(void* out, std::size_t size) {
  auto* at = static_cast<CryptoPP::byte*>(out);
  while (size > 0) {
    const std::size_t part = std::min<std::size_t>(size, 256);  // getentropy's most
    // Without a file: a server that has run out of descriptors still begins responses.
    if (getentropy(at, part) != 0) return CryptoPP::OS_GenerateRandomBlock(false, at, size);
    at += part;
    size -= part;
  }
}

}  // namespace countermark
