// SPDX-License-Identifier: Apache-2.0
#include "watermark/key.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "watermark/utf8.h"

namespace countermark {
namespace {

// V of the specification.
constexpr std::string_view kDerivation = "countermark/1";
constexpr std::string_view kMasterSalt = "countermark/1 master";

constexpr std::string_view kPrefix = "CM-SECRET-KEY-1";
constexpr std::string_view kBase32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";  // RFC 4648
constexpr char kMasterKind = 'M';
constexpr char kEpochKind = 'E';
constexpr std::size_t kChecksumSize = 4;
constexpr std::size_t kMaxIdSize = 255;

std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string_view byte_field(const std::uint8_t& byte) { return as_text(Bytes(&byte, 1)); }

// Wipes a string that held a secret when it leaves the scope.
struct Wiped {
  std::string text{};
  Wiped() = default;
  explicit Wiped(std::string from) : text(std::move(from)) {}
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  ~Wiped() { wipe(text); }
};

std::string checksum(std::string_view payload) {
  Wiped covered(std::string(kPrefix) + std::string(payload));
  return std::string(as_text(sha256(covered.text)).substr(0, kChecksumSize));
}

std::string to_base32(std::string_view bytes) {
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char byte : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(byte);
    for (count += 8; count >= 5; count -= 5) out += kBase32[(bits >> (count - 5)) & 31];
  }
  if (count > 0) out += kBase32[(bits << (5 - count)) & 31];
  return out;
}

// Strict: one spelling a value. Nothing on a foreign letter, or if unused bits are set.
std::optional<std::string> from_base32(std::string_view letters) {
  std::string out;
  out.reserve(letters.size());
  std::uint32_t bits = 0;
  int count = 0;
  for (const char letter : letters) {
    const auto value = kBase32.find(letter);
    if (value == kBase32.npos) return std::nullopt;
    bits = bits << 5 | static_cast<std::uint32_t>(value);
    count += 5;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>((bits >> count) & 255);
    }
  }
  if (count >= 5 || (bits & ((1U << count) - 1)) != 0) return std::nullopt;
  return out;
}

std::string encode(char kind, Bytes secret, std::initializer_list<std::string_view> ids) {
  Wiped payload;
  payload.text.reserve(1 + secret.size() + 2 * (1 + kMaxIdSize) + kChecksumSize);
  payload.text += kind;
  payload.text += as_text(secret);
  for (const std::string_view id : ids) {
    payload.text += static_cast<char>(id.size());
    payload.text += id;
  }
  payload.text += checksum(payload.text);
  return std::string(kPrefix) + to_base32(payload.text);
}

// The text of one id of an epoch key's payload, from `at`, which moves behind it.
std::optional<std::string_view> take_id(std::string_view payload, std::size_t& at) {
  if (at >= payload.size()) return std::nullopt;
  const std::size_t size = static_cast<unsigned char>(payload[at]);
  if (size == 0 || at + 1 + size > payload.size()) return std::nullopt;
  const std::string_view id = payload.substr(at + 1, size);
  at += 1 + size;
  return id;
}

Result<AnyKey> decode(std::string_view line, std::uint64_t offset) {
  const auto malformed = [offset](std::string what) {
    return fail(Error{ErrorCode::kKey, std::move(what), {}, {}, offset});
  };
  if (!line.starts_with(kPrefix))
    return malformed("expected a line that starts with " + std::string(kPrefix));
  auto decoded = from_base32(line.substr(kPrefix.size()));
  if (!decoded) return malformed("the key has a letter or a length that no key has; was it cut?");
  const Wiped bytes(std::move(*decoded));
  if (bytes.text.size() < 1 + 32 + kChecksumSize)
    return malformed("the key is too short; was it cut?");
  const std::string_view payload(bytes.text.data(), bytes.text.size() - kChecksumSize);
  if (checksum(payload) != bytes.text.substr(payload.size()))
    return malformed("the key's checksum does not match; was it mistyped or cut?");

  std::array<std::uint8_t, 32> raw{};
  std::memcpy(raw.data(), payload.data() + 1, raw.size());
  const Secret<32> secret(raw);
  wipe(raw.data(), raw.size());
  std::size_t at = 33;
  if (payload[0] == kMasterKind && payload.size() == at) return AnyKey(MasterKey(secret));
  if (payload[0] == kEpochKind) {
    const auto model_id = take_id(payload, at);
    const auto epoch_id = take_id(payload, at);
    if (model_id && epoch_id && at == payload.size()) {
      auto key = EpochKey::create(secret, *model_id, *epoch_id);
      if (!key) return malformed("the key carries an id that is not UTF-8");
      return AnyKey(*std::move(key));
    }
  }
  return malformed("a kind of key that this version does not know");
}

}  // namespace

MasterKey MasterKey::generate() {
  std::array<std::uint8_t, 32> bytes{};
  random_bytes(bytes.data(), bytes.size());
  MasterKey key{Secret<32>(bytes)};
  wipe(bytes.data(), bytes.size());
  return key;
}

Result<EpochKey> MasterKey::epoch(std::string_view model_id, std::string_view epoch_id) const {
  const Secret<32> prk(hmac_sha256(as_bytes(kMasterSalt), bytes_.view()));
  return EpochKey::create(
      Secret<32>(expand_key(prk.view(), {kDerivation, "epoch", model_id, epoch_id})), model_id,
      epoch_id);
}

std::string MasterKey::to_text() const { return encode(kMasterKind, bytes_.view(), {}); }

Result<EpochKey> EpochKey::create(const Secret<32>& bytes, std::string_view model_id,
                                  std::string_view epoch_id) {
  for (const auto& [name, id] : {std::pair{"model", model_id}, std::pair{"epoch", epoch_id}}) {
    if (id.empty() || id.size() > kMaxIdSize)
      return fail(ErrorCode::kInvalidArgument,
                  std::string("the ") + name + " id must have 1 to 255 bytes");
    if (find_invalid_utf8(id) != kValidUtf8)
      return fail(ErrorCode::kInvalidArgument, std::string("the ") + name + " id must be UTF-8");
  }
  return EpochKey(bytes, model_id, epoch_id);
}

std::array<std::uint8_t, 32> EpochKey::expand(
    std::initializer_list<std::string_view> fields) const {
  return expand_key(bytes_.view(), fields);
}

std::string EpochKey::key_id() const {
  return to_hex(Bytes(expand({kDerivation, "key-id"})).first(8));
}

Secret<16> EpochKey::context_key() const { return Secret<16>(expand({kDerivation, "context"})); }

Secret<16> EpochKey::candidate_key(std::uint8_t layer) const {
  return Secret<16>(expand({kDerivation, "candidate", byte_field(layer)}));
}

Secret<32> EpochKey::stream_key() const { return Secret<32>(expand({kDerivation, "stream"})); }

Secret<32> EpochKey::slot_key() const { return Secret<32>(expand({kDerivation, "slot"})); }

std::string EpochKey::to_text() const {
  return encode(kEpochKind, bytes_.view(), {model_id_, epoch_id_});
}

EpochKey EpochKey::decoy(Bytes seed, std::uint64_t index) const {
  std::string number;
  append_le32(number, static_cast<std::uint32_t>(index));
  append_le32(number, static_cast<std::uint32_t>(index >> 32));
  return EpochKey(Secret<32>(expand_key(seed, {"countermark decoy", number})), model_id_,
                  epoch_id_);
}

Result<AnyKey> parse_key(std::string_view text) {
  std::optional<std::pair<std::string_view, std::uint64_t>> found;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t'))
      line.remove_suffix(1);
    if (!line.empty() && line.front() != '#') {
      if (found)
        return fail(Error{ErrorCode::kKey, "expected one key, found a second line", {}, {}, at});
      found = {line, at};
    }
    at = end + 1;
  }
  if (!found) return fail(ErrorCode::kKey, "has no key in it");
  return decode(found->first, found->second);
}

}  // namespace countermark
