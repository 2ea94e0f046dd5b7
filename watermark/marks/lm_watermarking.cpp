// SPDX-License-Identifier: Apache-2.0
// The green-list marks of lm-watermarking, KGW's own code, with all of its PRFs.
//
// Its named schemes: "simple_1" or "lefthash" is additive with one token of context; "selfhash"
// or "algorithm-3" is anchored-minhash with four tokens, the one to come among them; "minhash" is
// minhash with four; "skipgram" is skipgram with five. The window's tokens are multiplied by the
// key as 64-bit integers that wrap; sums and products behind that are Python's, without bounds.
// Source: lm-watermarking, extended_watermark_processor.py and alternative_prf_schemes.py;
// Kirchenbauer et al. (2023), arXiv 2301.10226 and 2306.04634.
#include <algorithm>
#include <array>

#include "watermark/marks/foreign_schemes.h"
#include "watermark/marks/green_list_mark.h"

namespace countermark {
namespace {

using internal::WideInteger;

enum class Prf : std::uint8_t {
  kAdditive,
  kAnchoredMinhash,
  kMultiplicative,
  kMinfunc,
  kSimpleSkip,
  kSkipgram,
  kAnchoredSkipgram,
  kMinhash,
  kMinskipgram,
  kNoncomm,
  kPosition,
};
constexpr std::array<std::string_view, 11> kPrfs = {
    "additive",          "anchored-minhash", "multiplicative", "minfunc", "simple-skip", "skipgram",
    "anchored-skipgram", "minhash",          "minskipgram",    "noncomm", "position"};
constexpr unsigned kMaxWindow = 64;
constexpr std::array<std::int64_t, 1> kPublicKeys = {15'485'863};

class LmWatermarking : public internal::GreenListMark {
 public:
  LmWatermarking(const ForeignProfile& profile, const KeyInteger& key)
      : GreenListMark(profile), key_(key), hash_(profile.parameters().salt_key) {}

  // With the token in its own context the source stops behind number 40, counted from 0.
  GreenBias bias() const noexcept override {
    return {.candidates = profile().parameters().self_salt ? 41U : 0U};
  }

 private:
  std::uint32_t seed(TokenSpan context, TokenId token) const override {
    if (!profile().parameters().self_salt) return internal::torch_seed(value(context));
    std::array<TokenId, kMaxWindow> window;
    std::copy(context.begin(), context.end(), window.begin());
    window[context.size()] = token;
    return internal::torch_seed(value(TokenSpan(window).first(context.size() + 1)));
  }

  std::uint64_t hash(std::uint64_t x) const { return static_cast<std::uint64_t>(hash_(x)); }
  std::uint64_t hash_of(TokenId id) const { return hash(key_.bits * id); }

  // The PRF of the window before it is reduced to a seed.
  WideInteger value(TokenSpan ids) const {
    switch (static_cast<Prf>(profile().parameters().prf)) {
      case Prf::kAdditive: {
        WideInteger sum = 0;
        for (const TokenId id : ids) sum += id;
        return key_.wide() * sum;
      }
      case Prf::kAnchoredMinhash: {
        const std::uint64_t anchor = key_.bits * hash(ids.back());
        return least(ids, [&](TokenId id) { return anchor * hash(id); });
      }
      case Prf::kMultiplicative: {
        std::uint64_t product = 1;
        for (const TokenId id : ids) product *= id;
        return key_.wide() * static_cast<std::int64_t>(product);
      }
      case Prf::kMinfunc:
        return key_.wide() * *std::min_element(ids.begin(), ids.end());
      case Prf::kSimpleSkip: {
        std::uint64_t product = 1;
        for (std::size_t i = 0; i < ids.size(); i += 2) product *= hash_of(ids[i]);
        return static_cast<std::int64_t>(product);
      }
      case Prf::kSkipgram:
        return static_cast<std::int64_t>(hash_of(ids.front()));
      case Prf::kAnchoredSkipgram:
        return static_cast<std::int64_t>(hash_of(ids.front()) * hash_of(ids.back()));
      case Prf::kMinhash:
        return least(ids, [&](TokenId id) { return hash_of(id); });
      case Prf::kMinskipgram: {
        // The smallest product is that of the two smallest hashes: all are positive and short.
        std::uint64_t first = ~std::uint64_t{0};
        std::uint64_t second = first;
        for (const TokenId id : ids) {
          const std::uint64_t h = hash_of(id);
          second = std::min(second, std::max(first, h));
          first = std::min(first, h);
        }
        return static_cast<std::int64_t>(first * second);
      }
      case Prf::kNoncomm: {
        auto key = key_.bits;
        for (const TokenId id : ids) key = (key * hash(key * id)) & 0xffffffff;
        return static_cast<std::int64_t>(key);
      }
      case Prf::kPosition: {
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < ids.size(); ++i) sum += key_.bits * ids[i] * (i + 1);
        return static_cast<std::int64_t>(sum);
      }
    }
    return 0;
  }

  // The smallest of f(id), as signed integers.
  template <typename F>
  static std::int64_t least(TokenSpan ids, F f) {
    auto out = static_cast<std::int64_t>(f(ids.front()));
    for (const TokenId id : ids) out = std::min(out, static_cast<std::int64_t>(f(id)));
    return out;
  }

  KeyInteger key_;
  internal::HashTable hash_;
};

Result<SharedForeignMark> create(const ForeignProfile& profile, const ForeignKey& key) {
  const KeyInteger& value = key.integers().front();
  // torch takes larger ones for its tensors as the negative number of the same bits, but not there.
  if (profile.prf() == "noncomm" && !value.is_signed())
    return fail(ErrorCode::kKey,
                "lm-watermarking/1 with noncomm takes a key from -2^63 to 2^63 - 1");
  if (profile.prf() == "minskipgram" && profile.parameters().context_width < 2)
    return fail(ErrorCode::kMismatch, "minskipgram pairs tokens: contextWidth must be at least 2");
  return std::make_shared<LmWatermarking>(profile, value);
}

// The widths of the source's named schemes; "selfhash" alone has the token to come in its window.
unsigned named_width(Prf prf) {
  switch (prf) {
    case Prf::kAnchoredMinhash:
    case Prf::kMinhash:
    case Prf::kMinskipgram:  // not named; it needs pairs
      return 4;
    case Prf::kSkipgram:
      return 5;
    default:
      return 1;
  }
}

void settle(ForeignParameters& parameters, unsigned given) {
  const auto prf = static_cast<Prf>(parameters.prf);
  if (!holds(given, Field::kSelfSalt)) parameters.self_salt = prf == Prf::kAnchoredMinhash;
  if (!holds(given, Field::kContextWidth)) parameters.context_width = named_width(prf);
  if (!holds(given, Field::kFirstPosition))
    parameters.first_position = parameters.context_width - (parameters.self_salt ? 1 : 0);
}

}  // namespace

constinit const SchemeInfo kLmWatermarking = {
    .id = "lm-watermarking/1",
    .owner = "lm-watermarking",
    .fields = fields({Field::kGamma, Field::kDelta, Field::kSaltKey, Field::kPrf, Field::kSelfSalt,
                      Field::kVocabSize, Field::kDevice}),
    .prfs = kPrfs,
    .key_form = ForeignKey::Form::kInteger,
    .takes_one_integer = true,
    .max_width = kMaxWindow,
    .padding = std::nullopt,
    .model_reason = "small-key-space",
    .public_keys = kPublicKeys,
    .defaults = {.context_width = 4,
                 .gamma = {1, 4},
                 .delta = 2,
                 .salt_key = 2'971'215'073,
                 .prf = static_cast<std::uint8_t>(Prf::kAnchoredMinhash),
                 .self_salt = true,
                 .dedup = Dedup::kTuple,
                 .first_position = 3},
    .create = create,
    .settle = settle,
};

}  // namespace countermark
