// SPDX-License-Identifier: Apache-2.0
// SGLang's Gumbel mark under MurmurHash3, with one key and with two.
//
// u = (H + 1/2) / 2^32 for the hash H of key, context hash and token; the token is the argmax of
// ln(u) / p. Of two keys the one is taken that a coin says which is itself a hash of both keys and
// the context, so that the verifier knows it. The context hash has no key and 32 bits: contexts of
// one hash are one PRF input. What a key leaves is a state of 32 bits, too. Source: SGLang, pull
// request 37577 (September 2026).
#include <algorithm>
#include <array>
#include <vector>

#include "watermark/marks/foreign_mark.h"
#include "watermark/marks/foreign_schemes.h"
#include "watermark/prf/murmur3.h"

namespace countermark {
namespace {

class SglangGumbel : public ForeignMark {
 public:
  // `second` of one key: the same; the coin then tells nothing.
  SglangGumbel(const ForeignProfile& profile, const std::array<std::uint64_t, 2>& keys,
               std::uint64_t threshold)
      : ForeignMark(profile), keys_(keys), threshold_(threshold) {}

  void inputs(unsigned /*key*/, TokenSpan contexts, TokenSpan tokens,
              std::span<PrfInput> out) const override {
    std::vector<std::uint32_t> hashes(tokens.size());
    std::vector<std::uint32_t> coins(tokens.size());
    sglang_context_hashes(context_tokens(), contexts, hashes);
    if (threshold_ > 0) sglang_coins(keys_[0], keys_[1], hashes, coins);
    for (std::size_t i = 0; i < tokens.size(); ++i)
      out[i] = {hashes[i], threshold_ > 0 && coins[i] >= threshold_ ? 1U : 0U, tokens[i]};
  }

  void raw_values(unsigned /*key*/, std::span<const PrfInput> in,
                  std::span<std::uint64_t> out) const override {
    std::vector<std::uint32_t> hashes(in.size());
    std::vector<TokenId> tokens(in.size());
    std::vector<std::uint32_t> words(in.size());
    for (std::size_t i = 0; i < in.size(); ++i) {
      hashes[i] = static_cast<std::uint32_t>(in[i].a);
      tokens[i] = in[i].token;
    }
    sglang_words(keys_[0], hashes, tokens, words);
    std::copy(words.begin(), words.end(), out.begin());
    if (threshold_ == 0) return;
    // Both keys' words of all: a branch on a coin costs more.
    sglang_words(keys_[1], hashes, tokens, words);
    for (std::size_t i = 0; i < in.size(); ++i) out[i] = in[i].b != 0 ? words[i] : out[i];
  }

  NullModel null_model() const noexcept override { return {NullLaw::kExponentialBound, 0, 0}; }
  std::uint64_t cells() const noexcept override { return std::uint64_t{1} << 32; }

  double uniform(std::uint64_t raw_value) const noexcept override {
    return (static_cast<double>(raw_value) + 0.5) * 0x1p-32;
  }

  std::uint64_t context_fingerprint(TokenSpan context) const override {
    std::uint32_t hash = 0;
    sglang_context_hashes(context_tokens(), context, {&hash, 1});
    return hash;
  }

 private:
  std::array<std::uint64_t, 2> keys_;
  std::uint64_t threshold_;  // coins below it choose the first key; 0: there is one key
};

Result<SharedForeignMark> create_single(const ForeignProfile& profile, const ForeignKey& key) {
  if (key.text().size() > 16)
    return fail(ErrorCode::kKey, "sglang-gumbel/1 takes a key of 1 to 16 hexadecimal digits");
  const std::uint64_t value = internal::hex_word(key, 0, 1);
  return std::make_shared<SglangGumbel>(profile, std::array{value, value}, 0);
}

Result<SharedForeignMark> create_dual(const ForeignProfile& profile, const ForeignKey& key) {
  if (key.text().size() != 32)
    return fail(ErrorCode::kKey,
                "sglang-dual-gumbel/1 takes 32 hexadecimal digits: the first key's 16 (with its "
                "leading zeros), then the second's");
  const Ratio mixing = profile.parameters().mixing;
  // int(mix x 2^32), in double precision as the source computes it.
  const auto threshold = static_cast<std::uint64_t>(mixing.value() * 0x1p32);
  return std::make_shared<SglangGumbel>(
      profile, std::array{internal::hex_word(key, 0, 2), internal::hex_word(key, 1, 2)}, threshold);
}

// Contexts reach into the prompt; where it is not at hand, the first tokens have none.
constexpr ForeignParameters kDefaults = {.context_width = 4,
                                         .dedup = Dedup::kContext,
                                         .first_position = 0,
                                         .prompt_included = true,
                                         .history_limit = 4096};

}  // namespace

constinit const SchemeInfo kSglangGumbel = {
    .id = "sglang-gumbel/1",
    .owner = "SGLang",
    .fields = fields({Field::kHistoryLimit}),
    .prfs = {},
    .key_form = ForeignKey::Form::kHex,
    .takes_one_integer = false,
    .max_width = 64,
    .padding = std::nullopt,
    .model_reason = "small-key-space",
    .public_keys = {},
    .defaults = kDefaults,
    .create = create_single,
    .settle = nullptr,
};

constinit const SchemeInfo kSglangDualGumbel = {
    .id = "sglang-dual-gumbel/1",
    .owner = "SGLang",
    .fields = fields({Field::kHistoryLimit, Field::kMixing}),
    .prfs = {},
    .key_form = ForeignKey::Form::kHex,
    .takes_one_integer = false,
    .max_width = 64,
    .padding = std::nullopt,
    .model_reason = "",
    .public_keys = {},
    .defaults = {.context_width = 4,
                 .mixing = {1, 2},
                 .dedup = Dedup::kContext,
                 .first_position = 0,
                 .prompt_included = true,
                 .history_limit = 4096},
    .create = create_dual,
    .settle = nullptr,
};

}  // namespace countermark
