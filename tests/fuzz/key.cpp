// SPDX-License-Identifier: Apache-2.0
// Any bytes as the text of a key, and, behind a checksum that is right, any bytes as its payload.
// A key that is accepted is written as it was read, and an error repeats nothing of the text.
// The same bytes as a key of another system: what is accepted has the form it says, and decoys too.
#include "watermark/key.h"

#include <algorithm>
#include <array>

#include "tests/fuzz/fuzz.h"
#include "watermark/foreign_key.h"

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

void check_foreign(std::string_view text) {
  using countermark::ForeignKey;
  const auto key = ForeignKey::parse(text);
  if (!key) {
    countermark::fuzz::check_error(key.error(), text.size());
    require(key.error().code == countermark::ErrorCode::kKey, "the code is pinned");
    return;
  }
  require(ForeignKey::is_one(text), "a foreign key is recognised");
  require(countermark::find_invalid_utf8(key->name()) == countermark::kValidUtf8,
          "a name can be printed");
  const bool numbers =
      key->form() == ForeignKey::Form::kInteger || key->form() == ForeignKey::Form::kIntegers;
  require(key->integers().empty() != numbers && key->text().empty() == numbers,
          "a key has what its form says");
  for (const auto& value : key->integers())
    require(value.wide() >= -(countermark::KeyInteger::Wide{1} << 63) &&
                value.wide() < countermark::KeyInteger::Wide{1} << 64 &&
                value.negative == (value.wide() < 0),
            "an integer is in range");

  // Its canonical text reads back the same.
  std::string written = std::string(key_form_name(key->form())) + ":" + std::string(key->text());
  for (std::size_t i = 0; i < key->integers().size(); ++i) {
    const auto& value = key->integers()[i];
    written += (i == 0 ? "" : ",") + (value.negative
                                          ? std::to_string(static_cast<std::int64_t>(value.bits))
                                          : std::to_string(value.bits));
  }
  const ForeignKey again = countermark::fuzz::must(ForeignKey::parse(written), "a key reads back");
  require(again.form() == key->form() && again.integers() == key->integers() &&
              again.text() == key->text(),
          "a key reads back the same");

  const std::array<std::uint8_t, 4> seed = {1, 2, 3, 4};
  const ForeignKey decoy = key->decoy(seed, text.size());
  require(decoy.form() == key->form() && decoy.integers().size() == key->integers().size() &&
              decoy.text().size() == key->text().size() && decoy.name().empty(),
          "a decoy has the key's form");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  countermark::fuzz::Input input(data, size);
  if (input.below(2) == 0) {
    const std::string_view text = input.rest();
    check_text(text);
    check_foreign(text);
    return 0;
  }
  const std::string_view payload = input.rest();
  const std::string text = with_checksum(payload);
  check_text(text);
  require(countermark::parse_key(text).has_value() == is_key(payload),
          "a payload is a key exactly when its layout is one");
  return 0;
}
