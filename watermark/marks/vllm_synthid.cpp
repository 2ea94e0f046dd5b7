// SPDX-License-Identifier: Apache-2.0
// The SynthID prototype of a vLLM branch: the g values of a token are the bits of one Philox word,
// bit d that of depth d. No release has it.
//
// Source: research on the branch; its other variant, a derived key for each layer, is not
// specified there and left out.
#include <vector>

#include "watermark/marks/foreign_mark.h"
#include "watermark/marks/foreign_schemes.h"
#include "watermark/prf/philox.h"

namespace countermark {
namespace {

// Stream words of the block-th 32 depths.
constexpr std::uint64_t kStream = std::uint64_t{0x53594e54} << 32;
constexpr unsigned kBlock = 32;

class VllmSynthId : public ForeignMark {
 public:
  VllmSynthId(const ForeignProfile& profile, std::uint64_t key) : ForeignMark(profile), key_(key) {}

  void inputs(unsigned /*key*/, TokenSpan contexts, TokenSpan tokens,
              std::span<PrfInput> out) const override {
    std::vector<PhiloxBlock> states(tokens.size());
    vllm_states(key_, context_tokens(), contexts, states);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const PhiloxBlock& s = states[i];
      out[i] = {s[0] | std::uint64_t{s[1]} << 32, s[2] | std::uint64_t{s[3]} << 32, tokens[i]};
    }
  }

  void raw_values(unsigned /*key*/, std::span<const PrfInput> in,
                  std::span<std::uint64_t> out) const override {
    std::vector<PhiloxBlock> states(in.size());
    std::vector<TokenId> tokens(in.size());
    std::vector<std::uint32_t> words(in.size());
    for (std::size_t i = 0; i < in.size(); ++i) {
      states[i] = {static_cast<std::uint32_t>(in[i].a), static_cast<std::uint32_t>(in[i].a >> 32),
                   static_cast<std::uint32_t>(in[i].b), static_cast<std::uint32_t>(in[i].b >> 32)};
      tokens[i] = in[i].token;
      out[i] = 0;
    }
    const unsigned depth = profile().parameters().depth;
    for (unsigned first = 0; first < depth; first += kBlock) {
      vllm_words(key_, kStream | first / kBlock, states, tokens, words);
      for (std::size_t i = 0; i < in.size(); ++i) out[i] |= std::uint64_t{words[i]} << first;
    }
    const std::uint64_t mask = depth == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << depth) - 1;
    for (std::uint64_t& bits : out) bits &= mask;
  }

  NullModel null_model() const noexcept override {
    return {NullLaw::kBits, profile().parameters().depth, 0};
  }

 private:
  std::uint64_t key_;
};

Result<SharedForeignMark> create(const ForeignProfile& profile, const ForeignKey& key) {
  COUNTERMARK_TRY(const std::uint64_t value, internal::unsigned_key(profile.scheme(), key));
  return std::make_shared<VllmSynthId>(profile, value);
}

constexpr std::array<std::int64_t, 1> kPublicKeys = {42};

}  // namespace

constinit const SchemeInfo kVllmSynthId = {
    .id = "vllm-synthid/1",
    .owner = "vLLM",
    .fields = fields({Field::kDepth, Field::kHistoryLimit}),
    .prfs = {},
    .key_form = ForeignKey::Form::kInteger,
    .takes_one_integer = true,
    .max_width = 64,
    .padding = 0xffffffff,
    .model_reason = "unreleased",
    .public_keys = kPublicKeys,
    .defaults = {.context_width = 4,
                 .depth = 32,
                 .dedup = Dedup::kContext,
                 .first_position = 0,
                 .history_limit = 8192},
    .create = create,
    .settle = nullptr,
};

}  // namespace countermark
