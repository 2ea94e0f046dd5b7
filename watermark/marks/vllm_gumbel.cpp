// SPDX-License-Identifier: Apache-2.0
// vLLM's Gumbel mark under Philox, with one key and with two.
//
// u = (m + 1) / (2^24 + 1) for the upper 24 bits m of a Philox word keyed by context and token; the
// token is the argmax of logit - ln(-ln u). With two keys each token is drawn under the first
// with probability 1 - mixing, by a coin that nobody can toss again. Source: vLLM, RFC 53916 and
// pull requests 54053 and 56122 (August 2026).
#include <algorithm>
#include <array>
#include <vector>

#include "watermark/marks/foreign_mark.h"
#include "watermark/marks/foreign_schemes.h"
#include "watermark/marks/vllm_philox.h"
#include "watermark/prf/hash.h"

namespace countermark {
namespace {

constexpr TokenId kPadding = 0xffffffff;
constexpr unsigned kMaxContext = 64;  // the source sets no bound and warns above 16
constexpr std::array<std::int64_t, 1> kPublicKeys = {42};

// One of the two keys of a dual mark.
std::uint64_t derived_key(std::uint64_t key, std::string_view domain) {
  std::string message(domain);
  for (int shift = 56; shift >= 0; shift -= 8) message += static_cast<char>(key >> shift);
  const auto digest = sha256(message);
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < 8; ++i) out = out << 8 | digest[i];
  wipe(message);
  return out;
}

class VllmGumbel : public ForeignMark {
 public:
  VllmGumbel(const ForeignProfile& profile, std::vector<std::uint64_t> keys)
      : ForeignMark(profile), keys_(std::move(keys)) {}

  void inputs(unsigned key, TokenSpan contexts, TokenSpan tokens,
              std::span<PrfInput> out) const override {
    internal::vllm_inputs(keys_[key], context_tokens(), contexts, tokens, out);
  }

  void raw_values(unsigned key, std::span<const PrfInput> in,
                  std::span<std::uint64_t> out) const override {
    constexpr std::uint64_t kStreams[] = {0};
    internal::vllm_words_of(keys_[key], in, kStreams,
                            [&](std::size_t /*stream*/, const auto& words) {
                              std::transform(words.begin(), words.end(), out.begin(),
                                             [](std::uint32_t word) { return word >> 8; });
                            });
  }

  bool tells_tuples_apart() const noexcept override {
    return context_tokens() <= internal::kPhiloxTokens;
  }

  NullModel null_model() const noexcept override {
    if (keys_.size() == 1) return {NullLaw::kExponentialBound, 0, 0};
    const Ratio mixing = profile().parameters().mixing;
    return {NullLaw::kTwoExponentialBounds, mixing.denominator - mixing.numerator,
            mixing.numerator};
  }

  unsigned keys() const noexcept override { return static_cast<unsigned>(keys_.size()); }
  std::uint64_t cells() const noexcept override { return 1 << 24; }

  // The quotient is taken in double: single precision would round the largest to 1.
  double uniform(std::uint64_t raw_value) const noexcept override {
    return static_cast<float>((static_cast<double>(raw_value) + 1) / ((1 << 24) + 1));
  }

 private:
  std::vector<std::uint64_t> keys_;
};

Result<SharedForeignMark> create_single(const ForeignProfile& profile, const ForeignKey& key) {
  COUNTERMARK_TRY(const std::uint64_t value, internal::unsigned_key(profile.scheme(), key));
  return std::make_shared<VllmGumbel>(profile, std::vector{value});
}

Result<SharedForeignMark> create_dual(const ForeignProfile& profile, const ForeignKey& key) {
  COUNTERMARK_TRY(const std::uint64_t value, internal::unsigned_key(profile.scheme(), key));
  return std::make_shared<VllmGumbel>(
      profile, std::vector{derived_key(value, "key_a"), derived_key(value, "key_b")});
}

constexpr ForeignParameters kDefaults = {
    .context_width = 4, .dedup = Dedup::kContext, .first_position = 0, .history_limit = 8192};

// Contexts that reach into the prompt are whole from the first token on; the source skips as many.
void settle(ForeignParameters& parameters, unsigned given) {
  if (parameters.prompt_included && !holds(given, Field::kFirstPosition))
    parameters.first_position = parameters.context_width;
}

}  // namespace

constinit const SchemeInfo kVllmGumbel = {
    .id = "vllm-gumbel/philox4x32-10-v1",
    .owner = "vLLM",
    .fields = fields({Field::kHistoryLimit}),
    .prfs = {},
    .key_form = ForeignKey::Form::kInteger,
    .takes_one_integer = true,
    .max_width = kMaxContext,
    .padding = kPadding,
    .model_reason = "",
    .public_keys = kPublicKeys,
    .defaults = kDefaults,
    .create = create_single,
    .settle = settle,
};

constinit const SchemeInfo kVllmDualGumbel = {
    .id = "vllm-dual-gumbel/philox4x32-10-v1",
    .owner = "vLLM",
    .fields = fields({Field::kHistoryLimit, Field::kMixing}),
    .prfs = {},
    .key_form = ForeignKey::Form::kInteger,
    .takes_one_integer = true,
    .max_width = kMaxContext,
    .padding = kPadding,
    .model_reason = "",
    .public_keys = kPublicKeys,
    .defaults = {.context_width = 4,
                 .mixing = {1, 10},
                 .dedup = Dedup::kContext,
                 .first_position = 0,
                 .history_limit = 8192},
    .create = create_dual,
    .settle = settle,
};

}  // namespace countermark
