// SPDX-License-Identifier: Apache-2.0
// TextSeal's marks: Gumbel with one key, Gumbel with two mixed by a coin that nobody can toss
// again, and a green list, all from one hash of 8,191 values.
//
// The hash begins with a sum of small multiples of context, token and key, so that tuples with one
// sum have one value, whatever the key, and keys whose difference is a multiple of 183 are shifted
// copies of each other: the law of a statistic over its tuples is a model. Source: TextSeal
// (arXiv 2605.12456).
#include <algorithm>
#include <array>
#include <vector>

#include "watermark/marks/foreign_mark.h"
#include "watermark/marks/foreign_schemes.h"
#include "watermark/prf/textseal_hash.h"

namespace countermark {
namespace {

constexpr std::array<std::string_view, 3> kPrfs = {"gumbelmax", "textseal", "greenlist"};
constexpr std::array<std::int64_t, 2> kPublicKeys = {42, 12'387};
// Of the second key from the first, unless both are given.
constexpr std::uint64_t kSecondKey = 12'345;
constexpr std::uint32_t kCells = 8'191;

class TextSeal : public ForeignMark {
 public:
  TextSeal(const ForeignProfile& profile, const std::array<std::int64_t, 2>& keys)
      : ForeignMark(profile),
        keys_(keys),
        green_(is("greenlist") ? green_levels(profile.parameters().gamma) : 0) {}

  void inputs(unsigned key, TokenSpan contexts, TokenSpan tokens,
              std::span<PrfInput> out) const override {
    const std::size_t width = context_tokens();
    for (std::size_t i = 0; i < tokens.size(); ++i)
      out[i] = {static_cast<std::uint64_t>(
                    textseal_input(keys_[key], contexts.subspan(i * width, width), tokens[i])),
                0, 0};
  }

  void raw_values(unsigned /*key*/, std::span<const PrfInput> in,
                  std::span<std::uint64_t> out) const override {
    std::vector<std::int64_t> sums(in.size());
    std::vector<std::uint32_t> levels(in.size());
    for (std::size_t i = 0; i < in.size(); ++i) sums[i] = static_cast<std::int64_t>(in[i].a);
    textseal_levels(sums, levels);
    const bool listed = is("greenlist");
    for (std::size_t i = 0; i < in.size(); ++i)
      out[i] = !listed ? levels[i] : levels[i] < green_ ? 1 : 0;
  }

  NullModel null_model() const noexcept override {
    const Ratio mixing = profile().parameters().mixing;
    if (is("greenlist")) return {NullLaw::kGreen, green_, kCells};
    if (is("gumbelmax")) return {NullLaw::kExponentialBound, 0, 0};
    // `mixing` is the share of the first key here.
    return {NullLaw::kTwoExponentialBounds, mixing.numerator,
            mixing.denominator - mixing.numerator};
  }

  unsigned keys() const noexcept override { return is("textseal") ? 2 : 1; }
  std::uint64_t cells() const noexcept override { return kCells; }

  // r + 1e-30 in single precision: only the lowest level feels it.
  double uniform(std::uint64_t raw_value) const noexcept override {
    return raw_value == 0 ? 1e-30 : static_cast<float>(raw_value) / float{kCells};
  }

  // The source's option after_topp, on by default.
  GreenBias bias() const noexcept override { return {.candidates = 0, .after_truncation = true}; }

 private:
  bool is(std::string_view prf) const noexcept { return profile().prf() == prf; }

  // How many of the levels r / 8191 are below gamma, both in single precision.
  static std::uint32_t green_levels(const Ratio& gamma) {
    const auto limit = static_cast<float>(gamma.value());
    std::uint32_t levels = 0;
    while (levels < kCells && static_cast<float>(levels) / float{kCells} < limit) ++levels;
    return levels;
  }

  std::array<std::int64_t, 2> keys_;
  std::uint32_t green_;
};

Result<SharedForeignMark> create(const ForeignProfile& profile, const ForeignKey& key) {
  const auto& values = key.integers();
  if (values.size() > 2)
    return fail(ErrorCode::kKey, "textseal/1 takes one integer, or those of both keys");
  for (const KeyInteger& value : values)
    if (!value.is_signed())
      return fail(ErrorCode::kKey, "textseal/1 takes keys from -2^63 to 2^63 - 1");
  const std::uint64_t second = values.size() == 2 ? values[1].bits : values[0].bits + kSecondKey;
  return std::make_shared<TextSeal>(profile, std::array{static_cast<std::int64_t>(values[0].bits),
                                                        static_cast<std::int64_t>(second)});
}

// The source begins one token later than it must.
void settle(ForeignParameters& parameters, unsigned given) {
  if (!holds(given, Field::kFirstPosition))
    parameters.first_position = parameters.context_width + 1;
}

}  // namespace

constinit const SchemeInfo kTextSeal = {
    .id = "textseal/1",
    .owner = "TextSeal",
    .fields = fields({Field::kGamma, Field::kDelta, Field::kPrf, Field::kMixing}),
    .prfs = kPrfs,
    .key_form = ForeignKey::Form::kIntegers,
    .takes_one_integer = true,
    .max_width = 10,
    .padding = std::nullopt,
    .model_reason = "weak-prf",
    .public_keys = kPublicKeys,
    .defaults = {.context_width = 1,
                 .gamma = {1, 2},
                 .delta = 2,
                 .mixing = {1, 2},
                 .dedup = Dedup::kTuple,
                 .first_position = 2},
    .create = create,
    .settle = settle,
};

}  // namespace countermark
