// SPDX-License-Identifier: Apache-2.0
// The green-list mark of Hugging Face transformers (WatermarkingConfig): its own variant of KGW.
//
// lefthash: the list's seed is key x the last token. selfhash: with T a permutation of 1,000,003
// numbers under the key, h(x) = T[x mod 1,000,003] + 1, it is the smallest of key x h(w) x h(token)
// over the window's tokens w, the last of which is the token itself; products wrap in 64 bits.
// Source: transformers, generation/logits_process.py; Kirchenbauer et al. (2023).
#include <algorithm>
#include <array>
#include <optional>

#include "watermark/marks/foreign_schemes.h"
#include "watermark/marks/green_list_mark.h"

namespace countermark {
namespace {

constexpr std::array<std::string_view, 2> kPrfs = {"lefthash", "selfhash"};
constexpr std::array<std::int64_t, 1> kPublicKeys = {15'485'863};

class HfKgw : public internal::GreenListMark {
 public:
  HfKgw(const ForeignProfile& profile, const KeyInteger& key) : GreenListMark(profile), key_(key) {
    if (profile.parameters().self_salt) table_.emplace(key.bits);
  }

  // With selfhash the source tests the 40 likeliest tokens.
  GreenBias bias() const noexcept override { return {.candidates = table_ ? 40U : 0U}; }

 private:
  std::uint32_t seed(TokenSpan context, TokenId token) const override {
    if (!table_) return internal::torch_seed(key_.wide() * context.back());
    const auto last = static_cast<std::uint64_t>((*table_)(token));
    const auto product = [&](TokenId id) {
      return static_cast<std::int64_t>(key_.bits * static_cast<std::uint64_t>((*table_)(id)) *
                                       last);
    };
    std::int64_t least = product(token);
    for (const TokenId id : context) least = std::min(least, product(id));
    return internal::torch_seed(least);
  }

  KeyInteger key_;
  std::optional<internal::HashTable> table_{};  // of selfhash
};

Result<SharedForeignMark> create(const ForeignProfile& profile, const ForeignKey& key) {
  // With selfhash torch takes keys from 2^63 on as the negative number of the same bits.
  return std::make_shared<HfKgw>(profile, key.integers().front());
}

// The source's lefthash looks at one token, whatever the width says, and its detector begins where
// a window of context_width + 1 tokens (lefthash) or context_width (selfhash) is whole.
void settle(ForeignParameters& parameters, unsigned given) {
  parameters.self_salt = kPrfs[parameters.prf] == "selfhash";
  if (!holds(given, Field::kFirstPosition))
    parameters.first_position = parameters.context_width - (parameters.self_salt ? 1 : 0);
}

}  // namespace

constinit const SchemeInfo kHfKgw = {
    .id = "hf-kgw/1",
    .owner = "transformers",
    .fields =
        fields({Field::kGamma, Field::kDelta, Field::kPrf, Field::kVocabSize, Field::kDevice}),
    .prfs = kPrfs,
    .key_form = ForeignKey::Form::kInteger,
    .takes_one_integer = true,
    .max_width = 64,
    .padding = std::nullopt,
    .model_reason = "small-key-space",
    .public_keys = kPublicKeys,
    .defaults = {.context_width = 1,
                 .gamma = {1, 4},
                 .delta = 2,
                 .dedup = Dedup::kNone,
                 .first_position = 1},
    .create = create,
    .settle = settle,
};

}  // namespace countermark
