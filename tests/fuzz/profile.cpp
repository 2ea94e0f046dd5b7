// SPDX-License-Identifier: Apache-2.0
// Any bytes as a profile: one that is accepted keeps its rules, is the same through every door, and
// routes every context.
#include "watermark/profile.h"

#include <array>
#include <numeric>

#include "tests/fuzz/fuzz.h"
#include "tests/support/random.h"

using countermark::Profile;
using countermark::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto profile = Profile::parse({reinterpret_cast<const char*>(data), size});
  if (!profile) {
    using countermark::ErrorCode;
    const auto& error = profile.error();
    countermark::fuzz::check_error(error, size);
    require(error.code == ErrorCode::kInvalidInput || error.code == ErrorCode::kUnsupported,
            "the code is pinned");
    require(error.offset.has_value(), "the error says where");
    return 0;
  }
  const auto& layers = profile->layers();
  require(!layers.empty() && layers.size() <= countermark::kMaxLayers, "1 to 16 layers");
  std::uint64_t shares = 0;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    shares += layers[i].share;
    require(layers[i].width >= 1 && layers[i].width <= countermark::kMaxWidth, "widths in range");
    require(layers[i].slots >= 1 && layers[i].slots <= countermark::kMaxSlots, "slots in range");
    require(i == 0 || layers[i - 1].width <= layers[i].width, "widths ascend");
  }
  require(shares == countermark::kShareTotal, "the shares sum to their total");

  for (const std::string& text : {profile->canonical_json(), profile->pretty_json()}) {
    const auto again = Profile::parse(text);
    require(again && *again == *profile, "a profile reads back");
    require(again->digest() == profile->digest(), "the digest is stable");
  }
  const auto made = Profile::create(layers, profile->tokenizer());
  require(made && *made == *profile, "parts and text make the same profile");

  const auto key = countermark::tests::SplitMix64(1).epoch_key();
  const auto mark = countermark::tests::make_mark(key, *profile);
  std::array<countermark::TokenId, countermark::kMaxWidth> context{};
  std::iota(context.begin(), context.end(), data[size / 2]);
  for (std::size_t length = 0; length <= context.size(); ++length) {
    const auto route = mark.route(countermark::TokenSpan(context).first(length));
    require(route.has_value() || length < layers.back().width, "enough tokens have a route");
    if (!route) continue;
    require(layers[route->layer].share > 0, "a layer without a share is never taken");
    require(layers[route->layer].width == route->width && route->width <= length,
            "the route is its layer's");
  }
  return 0;
}
