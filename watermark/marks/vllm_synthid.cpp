// SPDX-License-Identifier: Apache-2.0
// The SynthID prototype of a vLLM branch: the g values of a token are the bits of one Philox word,
// bit d that of depth d. No release has it.
//
// Source: research on the branch; its other variant, a derived key for each layer, is not
// specified there and left out.
#include <algorithm>
#include <array>
#include <vector>

#include "watermark/marks/foreign_mark.h"
#include "watermark/marks/foreign_schemes.h"
#include "watermark/marks/vllm_philox.h"

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
    internal::vllm_inputs(key_, context_tokens(), contexts, tokens, out);
  }

  void raw_values(unsigned /*key*/, std::span<const PrfInput> in,
                  std::span<std::uint64_t> out) const override {
    const unsigned depth = profile().parameters().depth;
    std::vector<std::uint64_t> streams;
    for (unsigned first = 0; first < depth; first += kBlock)
      streams.push_back(kStream | first / kBlock);
    std::fill(out.begin(), out.end(), 0);
    internal::vllm_words_of(key_, in, streams, [&](std::size_t block, const auto& words) {
      for (std::size_t i = 0; i < words.size(); ++i)
        out[i] |= std::uint64_t{words[i]} << (block * kBlock);
    });
    const std::uint64_t mask = depth == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << depth) - 1;
    for (std::uint64_t& bits : out) bits &= mask;
  }

  bool tells_tuples_apart() const noexcept override {
    return context_tokens() <= internal::kPhiloxTokens;
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
