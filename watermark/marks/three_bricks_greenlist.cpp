// SPDX-License-Identifier: Apache-2.0
// The green-list mark of "Three Bricks": the seed of a list is a polynomial in the context's
// tokens, s = (a s + token) mod (2^64 - 1), a = 35,317, that begins with the key.
//
// With key 0 and one token of context the seed is the token itself: there is no secret then. Only
// the seeding "hash" can be made again; the others read torch's unseeded generator. Source:
// Fernandez et al. (2023), arXiv 2308.00113, made from the specification.
#include <array>

#include "watermark/marks/foreign_schemes.h"
#include "watermark/marks/green_list_mark.h"

namespace countermark {
namespace {

constexpr std::array<std::int64_t, 1> kPublicKeys = {0};

class ThreeBricksGreenlist : public internal::GreenListMark {
 public:
  ThreeBricksGreenlist(const ForeignProfile& profile, std::uint64_t key)
      : GreenListMark(profile), key_(key) {}

 private:
  std::uint32_t seed(TokenSpan context, TokenId /*token*/) const override {
    __extension__ using Wide = unsigned __int128;
    constexpr Wide kModulus = (Wide{1} << 64) - 1;
    Wide s = key_;
    for (const TokenId id : context) s = (s * profile().parameters().salt_key + id) % kModulus;
    return static_cast<std::uint32_t>(s);
  }

  std::uint64_t key_;
};

Result<SharedForeignMark> create(const ForeignProfile& profile, const ForeignKey& key) {
  COUNTERMARK_TRY(const std::uint64_t value, internal::unsigned_key(profile.scheme(), key));
  return std::make_shared<ThreeBricksGreenlist>(profile, value);
}

// The source begins one token later than it must.
void settle(ForeignParameters& parameters, unsigned given) {
  if (!holds(given, Field::kFirstPosition))
    parameters.first_position = parameters.context_width + 1;
}

}  // namespace

constinit const SchemeInfo kThreeBricksGreenlist = {
    .id = "three-bricks-greenlist/1",
    .owner = "three_bricks",
    .fields =
        fields({Field::kGamma, Field::kDelta, Field::kSaltKey, Field::kVocabSize, Field::kDevice}),
    .prfs = {},
    .key_form = ForeignKey::Form::kInteger,
    .takes_one_integer = true,
    .max_width = 64,
    .padding = std::nullopt,
    .model_reason = "small-key-space",
    .public_keys = kPublicKeys,
    .defaults = {.context_width = 1,
                 .gamma = {1, 2},
                 .delta = 1,
                 .salt_key = 35'317,
                 .dedup = Dedup::kNone,
                 .first_position = 2},
    .create = create,
    .settle = settle,
};

}  // namespace countermark
