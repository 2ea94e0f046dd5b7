// SPDX-License-Identifier: Apache-2.0
#include "watermark/marks/foreign_mark.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>

#include "watermark/kernels/dispatch.h"
#include "watermark/marks/foreign_schemes.h"
#include "watermark/prf/aes.h"
#include "watermark/prf/hash.h"

namespace countermark {
namespace {

constexpr std::array kSchemes = {
    &kVllmGumbel,   &kVllmDualGumbel,   &kVllmSbw, &kVllmSynthId,
    &kSglangGumbel, &kSglangDualGumbel, &kHfKgw,   &kHfSynthId,
    &kSynthIdText,  &kLmWatermarking,   &kTgiKgw,  &kThreeBricksGreenlist,
    &kTextSeal,
};

// An integer below this was not drawn from 2^64: the chance is 2^-16.
constexpr std::uint64_t kSmallKey = std::uint64_t{1} << 48;

bool is_small(const KeyInteger& value) {
  return (value.negative ? 0 - value.bits : value.bits) < kSmallKey;
}

// The integers begin with a default that everybody can read; schemes of several keys publish them
// all.
bool is_public(const SchemeInfo& scheme, const ForeignKey& key) {
  const auto& values = key.integers();
  if (values.empty() || scheme.public_keys.empty()) return false;
  const auto is_default = [&](const KeyInteger& value) {
    return std::any_of(scheme.public_keys.begin(), scheme.public_keys.end(), [&](std::int64_t k) {
      return value == KeyInteger{static_cast<std::uint64_t>(k), k < 0};
    });
  };
  return std::all_of(values.begin(), values.end(), is_default);
}

}  // namespace

std::span<const SchemeInfo* const> foreign_schemes() noexcept { return kSchemes; }

const SchemeInfo* find_foreign_scheme(std::string_view id) noexcept {
  const auto found = std::find_if(kSchemes.begin(), kSchemes.end(),
                                  [id](const SchemeInfo* scheme) { return scheme->id == id; });
  return found == kSchemes.end() ? nullptr : *found;
}

Result<SharedForeignMark> ForeignMark::create(const ForeignProfile& profile,
                                              const ForeignKey& key) {
  const SchemeInfo& scheme = profile.scheme();
  const bool fits = key.form() == scheme.key_form ||
                    (key.form() == ForeignKey::Form::kInteger && scheme.takes_one_integer);
  if (!fits)
    return fail(ErrorCode::kKey, std::string(scheme.id) + " takes a key written " +
                                     key_form_name(scheme.key_form) + ":, not " +
                                     key_form_name(key.form()) + ":");
  return scheme.create(profile, key);
}

std::uint64_t ForeignMark::context_fingerprint(TokenSpan context) const {
  std::string ids;
  for (const TokenId id : context) append_le32(ids, id);
  return load_le64(sha256(ids).data());
}

void scores(const ForeignMark& mark, std::span<const std::uint64_t> raw_values,
            std::span<std::uint32_t> out) {
  assert(raw_values.size() == out.size());
  switch (mark.null_model().law) {
    case NullLaw::kExponentialBound:
    case NullLaw::kTwoExponentialBounds: {
      const std::uint64_t cells = mark.cells();
      assert(cells > 0);
      // The lower edge as a 32-bit word: exact where cells is a power of two, else rounded down.
      if (std::has_single_bit(cells)) {
        const int shift = 32 - std::countr_zero(cells);
        std::transform(raw_values.begin(), raw_values.end(), out.begin(),
                       [shift](auto raw) { return static_cast<std::uint32_t>(raw << shift); });
      } else {
        std::transform(raw_values.begin(), raw_values.end(), out.begin(), [cells](auto raw) {
          return static_cast<std::uint32_t>((raw << 32) / cells);
        });
      }
      kernel_or_active(nullptr).scores(out.data(), out.size(), out.data());
      break;
    }
    case NullLaw::kGreenList:
    case NullLaw::kGreen:
      std::transform(raw_values.begin(), raw_values.end(), out.begin(),
                     [](auto raw) { return static_cast<std::uint32_t>(raw); });
      break;
    case NullLaw::kBits:
      std::transform(raw_values.begin(), raw_values.end(), out.begin(),
                     [](auto raw) { return static_cast<std::uint32_t>(std::popcount(raw)); });
      break;
  }
}

std::vector<std::string> model_reasons(const ForeignProfile& profile, const ForeignKey& key) {
  const SchemeInfo& scheme = profile.scheme();
  std::vector<std::string> out;
  if (!scheme.model_reason.empty()) out.emplace_back(scheme.model_reason);
  const auto& values = key.integers();
  if (is_public(scheme, key))
    out.emplace_back("public-key");
  else if (!values.empty() && std::all_of(values.begin(), values.end(), is_small))
    out.emplace_back("small-key");
  return out;
}

namespace internal {

Result<std::uint64_t> unsigned_key(const SchemeInfo& scheme, const ForeignKey& key) {
  const KeyInteger value = key.integers().front();
  if (value.negative)
    return fail(ErrorCode::kKey,
                std::string(scheme.id) + " takes a key from 0 to 2^64 - 1, not a negative one");
  return value.bits;
}

std::uint64_t hex_word(const ForeignKey& key, std::size_t index, std::size_t count) {
  std::string digits(key.text());
  digits.insert(0, count * 16 - digits.size(), '0');
  std::uint64_t out = 0;
  for (const char c : digits.substr(index * 16, 16))
    out = out << 4 | static_cast<std::uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  wipe(digits);
  return out;
}

std::uint32_t torch_seed(WideInteger value) noexcept {
  constexpr WideInteger kModulus = (WideInteger{1} << 64) - 1;
  const WideInteger rest = value % kModulus;
  return static_cast<std::uint32_t>(rest < 0 ? rest + kModulus : rest);
}

}  // namespace internal

}  // namespace countermark
