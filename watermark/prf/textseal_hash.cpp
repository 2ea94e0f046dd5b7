// SPDX-License-Identifier: Apache-2.0
#include "watermark/prf/textseal_hash.h"

#include <array>
#include <cassert>

namespace countermark {
namespace {

constexpr std::array<std::uint64_t, kMaxTextSealContext> kPrimes{
    10'000'019, 10'000'247, 10'000'439, 10'000'643, 10'000'747,
    10'000'867, 10'000'993, 10'001'213, 10'001'357, 10'001'501};

}  // namespace

std::int64_t textseal_input(std::int64_t secret_key, TokenSpan context, TokenId token) noexcept {
  assert(context.size() <= kMaxTextSealContext);
  std::uint64_t sum =
      100'000'007 * std::uint64_t{token} + 500'001'713 * static_cast<std::uint64_t>(secret_key);
  for (std::size_t i = 0; i < context.size(); ++i) sum += kPrimes[i] * context[i];
  return static_cast<std::int64_t>(sum);
}

void textseal_levels(std::span<const std::int64_t> inputs, std::span<std::uint32_t> out) {
  assert(inputs.size() == out.size());
  for (std::size_t n = 0; n < out.size(); ++n) {
    auto h = static_cast<std::int64_t>(static_cast<std::uint64_t>(inputs[n]) * 15'485'863 * 40'499);
    h ^= h >> 13;
    const std::int64_t rest = h % kTextSealLevels;
    out[n] = static_cast<std::uint32_t>(rest < 0 ? rest + kTextSealLevels : rest);
  }
}

}  // namespace countermark
