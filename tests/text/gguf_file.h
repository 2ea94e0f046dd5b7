// SPDX-License-Identifier: Apache-2.0
// GGUF files written by hand.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

namespace countermark::text {

// Little-endian, in `size` bytes.
inline std::string little(std::uint64_t value, int size) {
  std::string bytes;
  for (int i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
  return bytes;
}

inline std::string gguf_string(const std::string& text) { return little(text.size(), 8) + text; }

class GgufFile {
 public:
  GgufFile& add(const std::string& key, std::uint32_t type, const std::string& payload) {
    ++keys_;
    body_ += gguf_string(key) + little(type, 4) + payload;
    return *this;
  }
  GgufFile& add_string(const std::string& key, const std::string& text) {
    return add(key, 8, gguf_string(text));
  }
  GgufFile& add_bool(const std::string& key, bool value) { return add(key, 7, little(value, 1)); }
  GgufFile& add_strings(const std::string& key, const std::vector<std::string>& texts) {
    std::string payload = little(8, 4) + little(texts.size(), 8);
    for (const std::string& text : texts) payload += gguf_string(text);
    return add(key, 9, payload);
  }
  GgufFile& add_integers(const std::string& key, const std::vector<int>& values) {
    std::string payload = little(5, 4) + little(values.size(), 8);
    for (const int value : values) payload += little(static_cast<std::uint32_t>(value), 4);
    return add(key, 9, payload);
  }
  GgufFile& add_floats(const std::string& key, const std::vector<float>& values) {
    std::string payload = little(6, 4) + little(values.size(), 8);
    for (const float value : values) payload += little(std::bit_cast<std::uint32_t>(value), 4);
    return add(key, 9, payload);
  }

  std::string bytes(std::uint32_t version = 3) const {
    return "GGUF" + little(version, 4) + little(0, 8) + little(keys_, 8) + body_;
  }

 private:
  std::uint64_t keys_ = 0;
  std::string body_{};
};

}  // namespace countermark::text
