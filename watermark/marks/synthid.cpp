// SPDX-License-Identifier: Apache-2.0
// SynthID-Text in its two public forms: transformers', whose hash ends in a table of 65,536 bits,
// and DeepMind's of June 2025, which has no table.
//
// Both chain h = (h + x) M + 1 over the context's tokens and the token, then a key for each depth.
// What follows of h + token is the same for all of h and token with that sum: it is the PRF input,
// in the table's form modulo its size, which leaves 65,536 different rows of g values for all
// contexts and tokens. Neither hash is a PRF, and the g values of a token depend on each other:
// the binomial law of their number is a model. Source: transformers,
// SynthIDTextWatermarkLogitsProcessor; synthid-text (Dathathri et al., Nature 634, 2024).
#include <array>
#include <bit>
#include <memory>
#include <vector>

#include "watermark/marks/foreign_mark.h"
#include "watermark/marks/foreign_schemes.h"
#include "watermark/prf/synthid_hash.h"

namespace countermark {
namespace {

// The keys that both sources publish, and that most text in the wild will carry.
constexpr std::array<std::int64_t, 30> kPublicKeys = {
    654, 400, 836, 123, 340, 443, 597, 160, 57,  29,  590, 639, 13,  715, 468,
    990, 966, 226, 324, 585, 118, 504, 421, 521, 129, 669, 732, 225, 90,  960};

// What follows from `hash + token`, as if from that hash and token 0.
void sums(std::span<const std::uint64_t> hashes, TokenSpan tokens, std::uint64_t mask,
          std::span<PrfInput> out) {
  for (std::size_t i = 0; i < tokens.size(); ++i) out[i] = {(hashes[i] + tokens[i]) & mask, 0, 0};
}

class SynthId : public ForeignMark {
 public:
  void raw_values(unsigned /*key*/, std::span<const PrfInput> in,
                  std::span<std::uint64_t> out) const override {
    std::vector<std::uint64_t> hashes(in.size());
    for (std::size_t i = 0; i < in.size(); ++i) hashes[i] = in[i].a;
    g_values(hashes, std::vector<TokenId>(in.size()), out);
  }

  void inputs(unsigned /*key*/, TokenSpan contexts, TokenSpan tokens,
              std::span<PrfInput> out) const override {
    std::vector<std::uint64_t> hashes(tokens.size());
    synthid_context_hashes(initial_, context_tokens(), contexts, hashes);
    sums(hashes, tokens, mask_, out);
  }

  NullModel null_model() const noexcept override { return {NullLaw::kBits, keys_.size(), 0}; }

  std::uint64_t context_fingerprint(TokenSpan context) const override {
    std::uint64_t hash = 0;
    synthid_context_hashes(initial_, context_tokens(), context, {&hash, 1});
    return hash;
  }

 protected:
  SynthId(const ForeignProfile& profile, std::vector<std::int64_t> keys, std::uint64_t initial,
          std::uint64_t mask)
      : ForeignMark(profile), keys_(std::move(keys)), initial_(initial), mask_(mask) {}

  std::span<const std::int64_t> depth_keys() const noexcept { return keys_; }

 private:
  virtual void g_values(std::span<const std::uint64_t> hashes, TokenSpan tokens,
                        std::span<std::uint64_t> out) const = 0;

  std::vector<std::int64_t> keys_;
  std::uint64_t initial_;
  std::uint64_t mask_;  // of what the g values depend on
};

class HfSynthId : public SynthId {
 public:
  HfSynthId(const ForeignProfile& profile, std::vector<std::int64_t> keys)
      : SynthId(profile, std::move(keys), 1, mask(profile.parameters().table_size)),
        table_(table_of(profile.parameters())) {}

 private:
  // The chain keeps lower bits apart from higher ones, so that a table whose size is a power of
  // two sees those of its index alone.
  static std::uint64_t mask(std::uint32_t table_size) {
    return std::has_single_bit(table_size) ? table_size - 1 : ~std::uint64_t{0};
  }

  // The source's default table serves every key, and is made once.
  static std::shared_ptr<const SynthIdTable> table_of(const ForeignParameters& parameters) {
    const auto make = [](std::uint64_t seed, std::uint32_t size) {
      return std::make_shared<const SynthIdTable>(*SynthIdTable::create(seed, size));
    };
    const ForeignParameters& usual = kHfSynthId.defaults;
    static const auto kUsual = make(usual.salt_key, usual.table_size);
    if (parameters.salt_key == usual.salt_key && parameters.table_size == usual.table_size)
      return kUsual;
    return make(parameters.salt_key, parameters.table_size);
  }

  void g_values(std::span<const std::uint64_t> hashes, TokenSpan tokens,
                std::span<std::uint64_t> out) const override {
    table_->bits(hashes, tokens, depth_keys(), out);
  }

  std::shared_ptr<const SynthIdTable> table_;
};

class SynthIdText : public SynthId {
 public:
  SynthIdText(const ForeignProfile& profile, const std::vector<std::int64_t>& keys)
      : SynthId(profile, keys, synthid_initial_hash(keys), ~std::uint64_t{0}) {}

 private:
  void g_values(std::span<const std::uint64_t> hashes, TokenSpan tokens,
                std::span<std::uint64_t> out) const override {
    synthid_bits(hashes, tokens, depth_keys(), out);
  }
};

template <typename Scheme>
Result<SharedForeignMark> create(const ForeignProfile& profile, const ForeignKey& key) {
  std::vector<std::int64_t> keys;
  for (const KeyInteger& value : key.integers()) {
    if (!value.is_signed())
      return fail(ErrorCode::kKey,
                  std::string(profile.scheme().id) + " takes keys from -2^63 to 2^63 - 1");
    keys.push_back(static_cast<std::int64_t>(value.bits));
  }
  if (keys.size() != profile.parameters().depth)
    return fail(ErrorCode::kMismatch, "the profile's depth is " +
                                          std::to_string(profile.parameters().depth) +
                                          ", and the key has " + std::to_string(keys.size()) +
                                          " integers: one for each depth");
  return std::make_shared<Scheme>(profile, keys);
}

// The sources' detectors begin where a context is whole.
void settle(ForeignParameters& parameters, unsigned given) {
  if (!holds(given, Field::kFirstPosition)) parameters.first_position = parameters.context_width;
}

constexpr ForeignParameters kDefaults = {.context_width = 4,
                                         .depth = 30,
                                         .dedup = Dedup::kContext,
                                         .first_position = 4,
                                         .history_limit = 1024};

}  // namespace

constinit const SchemeInfo kHfSynthId = {
    .id = "hf-synthid/1",
    .owner = "transformers",
    .fields = fields({Field::kSaltKey, Field::kDepth, Field::kTableSize, Field::kHistoryLimit}),
    .prfs = {},
    .key_form = ForeignKey::Form::kIntegers,
    .takes_one_integer = true,
    .max_width = 64,
    .padding = 0,
    .model_reason = "weak-prf",
    .public_keys = kPublicKeys,
    .defaults = {.context_width = 4,
                 .salt_key = 0,
                 .depth = 30,
                 .table_size = 65'536,
                 .dedup = Dedup::kContext,
                 .first_position = 4,
                 .history_limit = 1024},
    .create = create<HfSynthId>,
    .settle = settle,
};

constinit const SchemeInfo kSynthIdText = {
    .id = "synthid-text/2025-06",
    .owner = "synthid-text",
    .fields = fields({Field::kDepth, Field::kHistoryLimit}),
    .prfs = {},
    .key_form = ForeignKey::Form::kIntegers,
    .takes_one_integer = true,
    .max_width = 64,
    .padding = 0,
    .model_reason = "weak-prf",
    .public_keys = kPublicKeys,
    .defaults = kDefaults,
    .create = create<SynthIdText>,
    .settle = settle,
};

}  // namespace countermark
