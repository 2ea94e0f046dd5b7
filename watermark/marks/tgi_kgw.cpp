// SPDX-License-Identifier: Apache-2.0
// The green-list mark of Hugging Face's text-generation-inference: seed = key x previous token.
//
// It comes without a detector. Source: text-generation-inference, its watermark module; KGW's
// lefthash (Kirchenbauer et al., 2023) with gamma 1/2.
#include <array>

#include "watermark/marks/foreign_schemes.h"
#include "watermark/marks/green_list_mark.h"

namespace countermark {
namespace {

constexpr std::array<std::int64_t, 1> kPublicKeys = {15'485'863};

class TgiKgw : public internal::GreenListMark {
 public:
  TgiKgw(const ForeignProfile& profile, std::uint64_t key) : GreenListMark(profile), key_(key) {}

 private:
  // The product goes to the generator as it is, which keeps its lower 32 bits.
  std::uint32_t seed(TokenSpan context, TokenId /*token*/) const override {
    return static_cast<std::uint32_t>(key_ * context.back());
  }

  std::uint64_t key_;
};

Result<SharedForeignMark> create(const ForeignProfile& profile, const ForeignKey& key) {
  return std::make_shared<TgiKgw>(profile, key.integers().front().bits);
}

}  // namespace

constinit const SchemeInfo kTgiKgw = {
    .id = "tgi-kgw/1",
    .owner = "text-generation-inference",
    .fields = fields({Field::kGamma, Field::kDelta, Field::kVocabSize, Field::kDevice}),
    .prfs = {},
    .key_form = ForeignKey::Form::kInteger,
    .takes_one_integer = true,
    .max_width = 1,
    .padding = std::nullopt,
    .model_reason = "small-key-space",
    .public_keys = kPublicKeys,
    .defaults = {.context_width = 1,
                 .gamma = {1, 2},
                 .delta = 2,
                 .dedup = Dedup::kTuple,
                 .first_position = 0,
                 .prompt_included = true},
    .create = create,
    .settle = nullptr,
};

}  // namespace countermark
