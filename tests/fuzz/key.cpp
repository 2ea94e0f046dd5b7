// SPDX-License-Identifier: Apache-2.0
// Any bytes as the text of a key, and, behind a checksum that is right, any bytes as its payload.
// A key that is accepted is written as it was read, and an error repeats nothing of the text.
#include "watermark/key.h"

#include "tests/fuzz/fuzz.h"

namespace {

using countermark::fuzz::require;

constexpr std::string_view kPrefix = "CM-SECRET-KEY-1";
constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
// Longer than any run in a message ("SECRET"), shorter than anything worth having.
constexpr std::size_t kTellingRun = 8;

// RFC 4648, a letter at a time from a string of bits.
std::string base32(std::string_view bytes) {
  std::string bits;
  for (const char byte : bytes)
    for (int i = 7; i >= 0; --i)
      bits += (static_cast<unsigned char>(byte) >> i & 1) != 0 ? '1' : '0';
  while (bits.size() % 5 != 0) bits += '0';
  std::string out;
  for (std::size_t i = 0; i < bits.size(); i += 5)
    out += kLetters[std::stoul(bits.substr(i, 5), nullptr, 2)];
  return out;
}

std::string with_checksum(std::string_view payload) {
  const auto digest = countermark::sha256(std::string(kPrefix) + std::string(payload));
  std::string bytes(payload);
  for (std::size_t i = 0; i < 4; ++i) bytes += static_cast<char>(digest[i]);
  return std::string(kPrefix) + base32(bytes);
}

// Whether a payload is a key, by docs/formats.md.
bool is_key(std::string_view payload) {
  if (payload.size() < 33) return false;
  std::string_view rest = payload.substr(33);
  if (payload[0] == 'M') return rest.empty();
  if (payload[0] != 'E') return false;
  for (int ids = 0; ids < 2; ++ids) {
    const std::size_t length = rest.empty() ? 0 : static_cast<unsigned char>(rest[0]);
    if (length == 0 || rest.size() < 1 + length) return false;
    if (countermark::find_invalid_utf8(rest.substr(1, length)) != countermark::kValidUtf8)
      return false;
    rest.remove_prefix(1 + length);
  }
  return rest.empty();
}

std::string text_of(const countermark::AnyKey& key) {
  return std::visit([](const auto& any) { return any.to_text(); }, key);
}

void check_text(std::string_view text) {
  const auto key = countermark::parse_key(text);
  if (key) {
    const std::string written = text_of(*key);
    require(text.find(written) != text.npos, "a key is written as it was read");
    require(text_of(countermark::fuzz::must(countermark::parse_key(written), "a key reads back")) ==
                written,
            "a key reads back the same");
    return;
  }
  countermark::fuzz::check_error(key.error(), text.size());
  require(key.error().code == countermark::ErrorCode::kKey, "the code is pinned");
  std::size_t run = 0;
  for (const char c : key.error().describe()) {
    run = kLetters.find(c) == kLetters.npos ? 0 : run + 1;
    require(run < kTellingRun, "an error tells nothing of a key");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  countermark::fuzz::Input input(data, size);
  if (input.below(2) == 0) {
    check_text(input.rest());
    return 0;
  }
  const std::string_view payload = input.rest();
  const std::string text = with_checksum(payload);
  check_text(text);
  require(countermark::parse_key(text).has_value() == is_key(payload),
          "a payload is a key exactly when its layout is one");
  return 0;
}
