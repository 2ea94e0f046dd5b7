// SPDX-License-Identifier: Apache-2.0
// vLLM's SBW mark, a green list without a list: a token is green when a Philox word keyed by its
// context says so.
//
// A token v is green iff (word & (2^31 - 1)) < int(gamma (2^31 - 1)), word v mod 4 of Philox at
// counter v / 4 under a 64-bit seed. selfhash: the seed is the smallest of key x h(w) x h(v) over
// the window's later tokens w, and key x h(v)^2; lefthash: key x the sum of the context. Products
// wrap in 64 bits. The source's detector hashes the tokens that lefthash sums and its generator
// does not, so that it cannot read its own text: ours reads what the generator writes. Source:
// vLLM, pull request 56859; arXiv 2609.03844.
#include <algorithm>
#include <array>
#include <vector>

#include "watermark/marks/foreign_mark.h"
#include "watermark/marks/foreign_schemes.h"
#include "watermark/prf/philox.h"

namespace countermark {
namespace {

constexpr std::array<std::string_view, 2> kPrfs = {"selfhash", "lefthash"};
constexpr std::array<std::int64_t, 1> kPublicKeys = {42};
constexpr std::uint32_t kCells = std::uint32_t{1} << 31;

class VllmSbw : public ForeignMark {
 public:
  VllmSbw(const ForeignProfile& profile, std::uint64_t key)
      : ForeignMark(profile),
        key_(key),
        green_(static_cast<std::uint32_t>(profile.parameters().gamma.value() * (kCells - 1))) {}

  void inputs(unsigned /*key*/, TokenSpan contexts, TokenSpan tokens,
              std::span<PrfInput> out) const override {
    const std::size_t width = context_tokens();
    for (std::size_t i = 0; i < tokens.size(); ++i)
      out[i] = {seed(contexts.subspan(i * width, width), tokens[i]), 0, tokens[i]};
  }

  void raw_values(unsigned /*key*/, std::span<const PrfInput> in,
                  std::span<std::uint64_t> out) const override {
    std::vector<std::uint64_t> seeds(in.size());
    std::vector<TokenId> tokens(in.size());
    std::vector<std::uint32_t> words(in.size());
    for (std::size_t i = 0; i < in.size(); ++i) {
      seeds[i] = in[i].a;
      tokens[i] = in[i].token;
    }
    sbw_words(seeds, tokens, words);
    std::transform(words.begin(), words.end(), out.begin(),
                   [this](std::uint32_t word) { return (word & (kCells - 1)) < green_ ? 1 : 0; });
  }

  NullModel null_model() const noexcept override { return {NullLaw::kGreen, green_, kCells}; }

 private:
  std::uint64_t seed(TokenSpan context, TokenId token) const {
    if (!profile().parameters().self_salt) {
      std::int64_t sum = 0;  // the padding counts as -1
      for (const TokenId id : context) sum += static_cast<std::int32_t>(id);
      return key_ * static_cast<std::uint64_t>(sum);
    }
    const std::uint64_t own = sbw_hash(token);
    auto least = static_cast<std::int64_t>(key_ * own * own);
    for (const TokenId id : context)
      least = std::min(least, static_cast<std::int64_t>(key_ * sbw_hash(id) * own));
    return static_cast<std::uint64_t>(least);
  }

  std::uint64_t key_;
  std::uint32_t green_;
};

Result<SharedForeignMark> create(const ForeignProfile& profile, const ForeignKey& key) {
  COUNTERMARK_TRY(const std::uint64_t value, internal::unsigned_key(profile.scheme(), key));
  return std::make_shared<VllmSbw>(profile, value);
}

void settle(ForeignParameters& parameters, unsigned given) {
  parameters.self_salt = kPrfs[parameters.prf] == "selfhash";
  if (!parameters.self_salt && !holds(given, Field::kContextWidth)) parameters.context_width = 1;
}

}  // namespace

constinit const SchemeInfo kVllmSbw = {
    .id = "vllm-sbw/1",
    .owner = "vLLM",
    .fields = fields({Field::kGamma, Field::kDelta, Field::kPrf, Field::kHistoryLimit}),
    .prfs = kPrfs,
    .key_form = ForeignKey::Form::kInteger,
    .takes_one_integer = true,
    .max_width = 64,
    .padding = 0xffffffff,
    .model_reason = "unreleased",
    .public_keys = kPublicKeys,
    .defaults = {.context_width = 4,
                 .gamma = {1, 2},
                 .delta = 2,
                 .self_salt = true,
                 .dedup = Dedup::kContext,
                 .first_position = 0,
                 .history_limit = 8192},
    .create = create,
    .settle = settle,
};

}  // namespace countermark
