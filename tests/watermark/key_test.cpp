// SPDX-License-Identifier: Apache-2.0
// The text form of keys, which mistakes it refuses and how, and what ids a key may carry. The
// derivation itself is pinned by the vectors.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tests/support/random.h"
#include "watermark/key.h"

namespace countermark::tests {
namespace {

constexpr std::string_view kPrefix = "CM-SECRET-KEY-1";

MasterKey fixed_master() { return MasterKey(SplitMix64(1).secret<32>()); }
EpochKey fixed_epoch() { return fixed_master().epoch("demo-model", "2026-11").value(); }

// Both kinds of key text.
std::vector<std::string> key_texts() { return {fixed_master().to_text(), fixed_epoch().to_text()}; }

// Whether a message repeats 8 characters in a row of the secret part of a key's text.
bool leaks(const std::string& message, const std::string& key_text) {
  for (std::size_t at = kPrefix.size(); at + 8 <= key_text.size(); ++at)
    if (message.find(key_text.substr(at, 8)) != std::string::npos) return true;
  return false;
}

// `text`, a damaged form of `key_text`, is refused with kKey and without repeating the key.
void expect_refused(const std::string& text, const std::string& key_text) {
  const auto key = parse_key(text);
  ASSERT_FALSE(key.has_value());
  EXPECT_EQ(key.error().code, ErrorCode::kKey);
  EXPECT_FALSE(key.error().message.empty());
  EXPECT_FALSE(leaks(key.error().describe(), key_text));
}

std::string text_of(const AnyKey& key) {
  return std::visit([](const auto& any) { return any.to_text(); }, key);
}

// The text form written out on its own: prefix, then RFC 4648 base32 without padding of kind |
// secret | (length | id)* | first 4 bytes of SHA-256(prefix | all before).
std::string encoded(const std::string& payload) {
  const auto digest = sha256(std::string(kPrefix) + payload);
  std::string bytes = payload;
  for (int i = 0; i < 4; ++i) bytes += static_cast<char>(digest[static_cast<std::size_t>(i)]);
  std::string bits, out(kPrefix);
  for (const char byte : bytes)
    for (int bit = 7; bit >= 0; --bit)
      bits += (static_cast<unsigned char>(byte) >> bit & 1) != 0 ? '1' : '0';
  bits.append((5 - bits.size() % 5) % 5, '0');
  for (std::size_t at = 0; at < bits.size(); at += 5)
    out += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[std::stoul(bits.substr(at, 5), nullptr, 2)];
  return out;
}

TEST(Key, TextRoundTrip) {
  for (const std::string& text : key_texts()) {
    EXPECT_EQ(text.substr(0, kPrefix.size()), kPrefix);
    EXPECT_EQ(text.find('\n'), std::string::npos);
    const auto key = parse_key(text);
    ASSERT_TRUE(key.has_value()) << key.error().describe();
    EXPECT_EQ(text_of(*key), text);
  }
  const auto master = parse_key(fixed_master().to_text());
  ASSERT_TRUE(std::holds_alternative<MasterKey>(*master));
  const EpochKey again = std::get<MasterKey>(*master).epoch("demo-model", "2026-11").value();
  EXPECT_EQ(again.key_id(), fixed_epoch().key_id());
  const auto epoch = parse_key(fixed_epoch().to_text());
  ASSERT_TRUE(std::holds_alternative<EpochKey>(*epoch));
  EXPECT_EQ(std::get<EpochKey>(*epoch).model_id(), "demo-model");
  EXPECT_EQ(std::get<EpochKey>(*epoch).epoch_id(), "2026-11");
}

TEST(Key, TextIsPinned) {
  std::string master = "M", epoch = "E";
  std::array<std::uint8_t, 32> bytes{};
  for (std::uint8_t i = 0; i < 32; ++i) {
    bytes[i] = i;
    master += static_cast<char>(i);
    epoch += static_cast<char>(i);
  }
  epoch +=
      "\x0a"
      "demo-model"
      "\x07"
      "2026-11";
  EXPECT_EQ(MasterKey(Secret<32>(bytes)).to_text(), encoded(master));
  EXPECT_EQ(EpochKey::create(Secret<32>(bytes), "demo-model", "2026-11").value().to_text(),
            encoded(epoch));
}

TEST(Key, EveryChangeOfOneCharacterIsRefused) {
  for (const std::string& text : key_texts()) {
    for (std::size_t at = 0; at < text.size(); ++at) {
      for (int c = 0; c < 256; ++c) {
        std::string changed = text;
        changed[at] = static_cast<char>(c);
        if (changed == text) continue;
        SCOPED_TRACE("byte " + std::to_string(at) + " became " + std::to_string(c));
        expect_refused(changed, text);
      }
    }
  }
}

TEST(Key, MissingExtraAndSwappedCharactersAreRefused) {
  for (const std::string& text : key_texts()) {
    for (std::size_t at = 0; at < text.size(); ++at) {
      SCOPED_TRACE(at);
      std::string changed = text;
      expect_refused(changed.erase(at, 1), text);
      changed = text;
      expect_refused(changed.insert(at, "A"), text);
      changed = text;
      expect_refused(changed.insert(at, 1, text[at]), text);
      if (at + 1 < text.size() && text[at] != text[at + 1]) {
        changed = text;
        std::swap(changed[at], changed[at + 1]);
        expect_refused(changed, text);
      }
    }
    expect_refused(text + "A", text);
    expect_refused(text + "=", text);
  }
}

TEST(Key, CutAtEveryLengthIsRefused) {
  for (const std::string& text : key_texts()) {
    for (std::size_t size = 0; size < text.size(); ++size) {
      SCOPED_TRACE(size);
      expect_refused(text.substr(0, size), text);
      if (size > 0) expect_refused(text.substr(size), text);
    }
  }
}

TEST(Key, LowerCaseAndForeignLettersAreRefused) {
  for (const std::string& text : key_texts()) {
    std::string lower = text;
    for (char& c : lower)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    expect_refused(lower, text);
    std::string tail_lower = text.substr(0, kPrefix.size()) + lower.substr(kPrefix.size());
    expect_refused(tail_lower, text);
    for (const char* letter : {"0", "1", "8", "9", "\xC3\xA9", "\xD0\x90"})  // А is Cyrillic
      expect_refused(text.substr(0, 20) + letter + text.substr(21), text);
    expect_refused("\xEF\xBB\xBF" + text, text);
    expect_refused(" " + text, text);
    expect_refused("key: " + text, text);
  }
}

TEST(Key, CommentsBlankLinesAndLineEndings) {
  for (const std::string& text : key_texts()) {
    for (const std::string& file :
         {text + "\n", text + "\r\n", "\n\n" + text, "# a comment\n" + text + "\n# another",
          "\r\n# " + text + "\r\n\r\n" + text + " \t\r\n\n", text + "\n" + std::string(5, '\n')}) {
      const auto key = parse_key(file);
      ASSERT_TRUE(key.has_value()) << key.error().describe();
      EXPECT_EQ(text_of(*key), text);
    }
    for (const std::string& file :
         {std::string(), std::string("\n"), "# " + text, std::string("\r\n#\n")})
      expect_refused(file, text);
    // A comment starts a line.
    expect_refused(text + " # mine", text);
    expect_refused(" # mine\n" + text, text);
  }
}

TEST(Key, TwoKeysAreRefusedAtTheSecond) {
  for (const std::string& text : key_texts()) {
    for (const std::string& other : key_texts()) {
      const std::string file = "# keys\n" + text + "\n" + other + "\n";
      expect_refused(file, text);
      expect_refused(file, other);
      EXPECT_EQ(parse_key(file).error().offset, 7 + text.size() + 1);
    }
  }
}

TEST(Key, AnErrorTellsTheOffsetOfItsLine) {
  const auto key = parse_key("# a comment\n\n" + fixed_master().to_text() + "A\n");
  ASSERT_FALSE(key.has_value());
  EXPECT_EQ(key.error().offset, 13u);
}

// Well-formed text with a right checksum around a payload that no version writes.
TEST(Key, PayloadsOfAnotherFormAreRefused) {
  const std::string secret(32, '\x5A');
  ASSERT_TRUE(parse_key(encoded("M" + secret)).has_value());
  ASSERT_TRUE(parse_key(encoded("E" + secret + "\1m\1e")).has_value());
  for (const char* payload : {"", "M", "X", "E"}) expect_refused(encoded(payload), "");
  for (const std::string& payload :
       {"X" + secret, "m" + secret, "M" + secret + "\1m\1e", "M" + secret + "x", "E" + secret,
        "E" + secret + "\1m", "E" + secret + "\1m\2e", "E" + secret + "\1m\1ee",
        "E" + secret + std::string("\0\1e", 3), "E" + secret + std::string("\1m\0", 3),
        "E" + secret + "\1\xFF\1e", "E" + secret + "\1m\2\xC0\x80", "M" + secret.substr(1)}) {
    const std::string text = encoded(payload);
    SCOPED_TRACE(to_hex(as_bytes(payload)));
    expect_refused(text, text);
    EXPECT_EQ(parse_key(text).error().offset, 0u);
  }
}

TEST(Key, IdsHaveOneTo255BytesOfUtf8) {
  const MasterKey master = fixed_master();
  const auto accepted = [&master](const std::string& id) {
    const auto as_model = master.epoch(id, "e"), as_epoch = master.epoch("m", id);
    EXPECT_EQ(as_model.has_value(), as_epoch.has_value());
    if (as_model && as_epoch) {
      for (const EpochKey& key : {*as_model, *as_epoch}) {
        const auto again = parse_key(key.to_text());
        EXPECT_TRUE(again.has_value() && std::get<EpochKey>(*again).model_id() == key.model_id() &&
                    std::get<EpochKey>(*again).epoch_id() == key.epoch_id());
      }
    } else {
      EXPECT_EQ(as_model.error().code, ErrorCode::kInvalidArgument);
      EXPECT_NE(as_model.error().message.find("model"), std::string::npos);
      EXPECT_NE(as_epoch.error().message.find("epoch"), std::string::npos);
    }
    return as_model.has_value();
  };
  EXPECT_FALSE(accepted(""));
  EXPECT_TRUE(accepted("m"));
  EXPECT_TRUE(accepted(std::string(255, 'm')));
  EXPECT_FALSE(accepted(std::string(256, 'm')));
  EXPECT_TRUE(accepted("mod\xC3\xA8le \xF0\x9F\x97\x9D\n#"));
  EXPECT_TRUE(accepted(std::string(1, '\0')));
  EXPECT_FALSE(accepted(std::string(254, 'm') + "\xC3\xA8"));  // 255 letters, 256 bytes
  for (const char* invalid : {"\xFF", "a\x80", "\xC3", "\xC0\x80", "\xED\xA0\x80",
                              "\xF4\x90\x80\x80", "\xE0\x80\x80", "\xF8\x88\x80\x80\x80"})
    EXPECT_FALSE(accepted(invalid)) << to_hex(as_bytes(invalid));
}

TEST(Key, EpochKeysDifferByEveryInput) {
  std::set<std::string> ids;
  const MasterKey other(SplitMix64(2).secret<32>());
  for (const auto& key :
       {fixed_master().epoch("m", "e"), fixed_master().epoch("me", "e"),
        fixed_master().epoch("m", "ee"), fixed_master().epoch("e", "m"), other.epoch("m", "e"),
        MasterKey::generate().epoch("m", "e"), MasterKey::generate().epoch("m", "e")}) {
    EXPECT_EQ(key->key_id().size(), 16u);
    EXPECT_EQ(key->key_id().find_first_not_of("0123456789abcdef"), std::string::npos);
    EXPECT_TRUE(ids.insert(key->key_id()).second);
  }
}

TEST(Key, DecoysAreDeterministicDistinctAndOfTheSameForm) {
  const EpochKey key = fixed_epoch();
  const std::string seed = "a seed", another_seed = "a seee";
  std::set<std::string> texts = {key.to_text()}, ids = {key.key_id()};
  for (const std::string& from : {seed, another_seed}) {
    for (const std::uint64_t index :
         {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{256},
          std::uint64_t{1} << 32, (std::uint64_t{1} << 32) + 1, ~std::uint64_t{0}}) {
      const EpochKey decoy = key.decoy(as_bytes(from), index);
      EXPECT_EQ(decoy.to_text(), key.decoy(as_bytes(from), index).to_text());
      EXPECT_EQ(decoy.model_id(), key.model_id());
      EXPECT_EQ(decoy.epoch_id(), key.epoch_id());
      EXPECT_TRUE(texts.insert(decoy.to_text()).second) << index;
      EXPECT_TRUE(ids.insert(decoy.key_id()).second) << index;
    }
  }
}

// What a secret was made from does not outlive it on the stack.
TEST(Secret, WipesWhatItTakesOver) {
  SplitMix64 random(1);
  std::array<std::uint8_t, 16> bytes{};
  std::array<std::uint8_t, 32> derived{};
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(1 + random.below(255));
  for (std::uint8_t& byte : derived) byte = static_cast<std::uint8_t>(1 + random.below(255));
  const auto kept = bytes;
  const auto prefix = to_hex(Bytes(derived).first(16));
  EXPECT_EQ(to_hex(Secret<16>(kept).view()), to_hex(Bytes(bytes)));
  // NOLINTBEGIN(bugprone-use-after-move): it is about what is left
  EXPECT_EQ(to_hex(Secret<16>(std::move(bytes)).view()), to_hex(Bytes(kept)));
  EXPECT_EQ(bytes, (std::array<std::uint8_t, 16>{}));
  EXPECT_EQ(to_hex(Secret<16>(std::move(derived)).view()), prefix);
  EXPECT_EQ(derived, (std::array<std::uint8_t, 32>{}));
  // NOLINTEND(bugprone-use-after-move)
}

}  // namespace
}  // namespace countermark::tests
