// SPDX-License-Identifier: Apache-2.0
#include "watermark/foreign_key.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <optional>
#include <utility>

#include "watermark/utf8.h"

namespace countermark {
namespace {

constexpr std::array kForms = {ForeignKey::Form::kInteger, ForeignKey::Form::kIntegers,
                               ForeignKey::Form::kHex, ForeignKey::Form::kText};
constexpr std::string_view kName = "#id:";
constexpr std::size_t kMaxNameSize = 255;
constexpr std::size_t kMaxIntegers = 64;
constexpr std::string_view kSpace = " \t\r";

struct Line {
  std::string_view text;
  std::uint64_t offset;
};

// The lines that are not blank, without the white space around them.
std::vector<Line> lines_of(std::string_view text) {
  std::vector<Line> out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    const std::size_t first = line.find_first_not_of(kSpace);
    if (first != line.npos)
      out.push_back({line.substr(first, line.find_last_not_of(kSpace) + 1 - first), at + first});
    at = end + 1;
  }
  return out;
}

std::optional<ForeignKey::Form> form_of(std::string_view line) {
  for (const ForeignKey::Form form : kForms)
    if (line.starts_with(std::string(key_form_name(form)) + ":")) return form;
  return std::nullopt;
}

// Decimal digits, perhaps behind a minus sign.
std::optional<KeyInteger> to_integer(std::string_view digits) {
  KeyInteger out;
  out.negative = digits.starts_with('-');
  if (out.negative) digits.remove_prefix(1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.bits);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  if (!out.negative) return out;
  if (out.bits > std::uint64_t{1} << 63) return std::nullopt;
  out.negative = out.bits != 0;
  out.bits = 0 - out.bits;
  return out;
}

}  // namespace

const char* key_form_name(ForeignKey::Form form) noexcept {
  switch (form) {
    case ForeignKey::Form::kInteger:
      return "int";
    case ForeignKey::Form::kIntegers:
      return "ints";
    case ForeignKey::Form::kHex:
      return "hex";
    case ForeignKey::Form::kText:
      return "text";
  }
  return "";
}

bool ForeignKey::is_one(std::string_view text) noexcept {
  for (const Line& line : lines_of(text))
    if (line.text.front() != '#') return form_of(line.text).has_value();
  return false;
}

Result<ForeignKey> ForeignKey::parse(std::string_view text) {
  const auto malformed = [](std::string what, std::uint64_t offset) {
    return fail(Error{ErrorCode::kKey, std::move(what), {}, {}, offset});
  };
  std::optional<ForeignKey> key;
  std::string name;
  for (const auto& [line, offset] : lines_of(text)) {
    if (line.starts_with(kName)) {
      name = line.substr(kName.size());
      if (name.empty() || name.size() > kMaxNameSize || find_invalid_utf8(name) != kValidUtf8)
        return malformed("expected a name of 1 to 255 bytes of UTF-8", offset + kName.size());
      continue;
    }
    if (line.front() == '#') continue;
    if (key) return malformed("expected one key, found a second line", offset);
    const auto form = form_of(line);
    if (!form) return malformed("expected int:, ints:, hex: or text:", offset);
    key = ForeignKey();
    key->form_ = *form;
    const std::size_t prefix = std::string_view(key_form_name(*form)).size() + 1;
    const std::string_view value = line.substr(prefix);
    if (*form == Form::kInteger || *form == Form::kIntegers) {
      for (std::size_t at = 0; at <= value.size();) {
        const std::size_t end = std::min(value.find(',', at), value.size());
        const auto integer = to_integer(value.substr(at, end - at));
        if (!integer)
          return malformed("expected an integer from -2^63 to 2^64 - 1", offset + prefix + at);
        key->integers_.push_back(*integer);
        at = end + 1;
      }
      if (*form == Form::kInteger && key->integers_.size() != 1)
        return malformed("expected one integer; several are written ints:", offset);
      if (key->integers_.size() > kMaxIntegers)
        return malformed("expected at most 64 integers", offset);
      continue;
    }
    key->text_.assign(value.begin(), value.end());
    if (value.empty()) return malformed("expected a value behind the colon", offset + prefix);
    if (*form == Form::kText) continue;
    for (char& c : key->text_) {
      if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
      if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
        return malformed("expected hexadecimal digits", offset + prefix);
    }
  }
  if (!key) return fail(ErrorCode::kKey, "has no key in it");
  key->name_ = std::move(name);
  return std::move(*key);
}

ForeignKey ForeignKey::decoy(Bytes seed, std::uint64_t index) const {
  std::string number;
  append_le32(number, static_cast<std::uint32_t>(index));
  append_le32(number, static_cast<std::uint32_t>(index >> 32));
  std::array<std::uint8_t, 32> block{};
  std::size_t used = block.size();
  std::uint32_t blocks = 0;
  const auto byte = [&]() -> std::uint8_t {
    if (used == block.size()) {
      std::string part;
      append_le32(part, blocks++);
      block = expand_key(seed, {"countermark foreign decoy", number, part});
      used = 0;
    }
    return block[used++];
  };
  int bits = 0;
  for (const KeyInteger& value : integers_)
    bits =
        std::max(bits, static_cast<int>(std::bit_width(value.negative ? ~value.bits : value.bits)));
  if (static_cast<std::size_t>(bits) * integers_.size() < 128 || bits > 63) bits = 63;
  ForeignKey out;
  out.form_ = form_;
  for (std::size_t i = 0; i < integers_.size(); ++i) {
    std::uint64_t value = 0;
    for (int j = 0; j < 8; ++j) value = value << 8 | byte();
    out.integers_.push_back({value >> (64 - bits), false});
  }
  for (std::size_t i = 0; i < text_.size(); ++i)
    out.text_.push_back(form_ == Form::kHex ? "0123456789abcdef"[byte() & 15]
                                            : static_cast<char>(byte()));
  return out;
}

}  // namespace countermark
