// SPDX-License-Identifier: Apache-2.0
// Any bytes as a profile: one that is accepted keeps its rules, is the same through every door, and
// routes every context. The same of a profile of another system, whose mark scores what it is given
// under some key of its form.
#include "watermark/profile.h"

#include <array>
#include <numeric>
#include <vector>

#include "tests/fuzz/fuzz.h"
#include "tests/support/foreign.h"
#include "tests/support/random.h"

using countermark::ForeignMark;
using countermark::ForeignProfile;
using countermark::NullLaw;
using countermark::NullModel;
using countermark::PrfInput;
using countermark::Profile;
using countermark::TokenId;
using countermark::fuzz::require;

namespace {

// Larger lists take long, and all take the same path.
constexpr std::uint32_t kLargestLists = 1'000;

void check_error_of(const countermark::Error& error, std::size_t size) {
  using countermark::ErrorCode;
  countermark::fuzz::check_error(error, size);
  require(error.code == ErrorCode::kInvalidInput || error.code == ErrorCode::kUnsupported,
          "the code is pinned");
  require(error.offset.has_value(), "the error says where");
}

void check_mark(const ForeignMark& mark, std::uint8_t first) {
  const NullModel model = mark.null_model();
  const bool bits = model.law == NullLaw::kBits;
  const bool counted = model.law == NullLaw::kGreen || model.law == NullLaw::kGreenList;
  require(counted ? model.a > 0 && model.a < model.b : true, "some tokens are green and some red");
  require(bits ? model.a >= 1 && model.a <= 64 : true, "a token has 1 to 64 bits");
  require(mark.keys() == 1 || model.law == NullLaw::kTwoExponentialBounds,
          "two keys have the law of two");
  std::vector<TokenId> contexts(std::size_t{3} * mark.context_tokens());
  std::vector<TokenId> tokens(3);
  const std::uint32_t vocab_size = mark.profile().parameters().vocab_size;
  std::uint32_t next = first;
  for (auto* const ids : {&contexts, &tokens})
    for (TokenId& id : *ids) id = vocab_size == 0 ? next++ * 0x9e3779b9 : next++ % vocab_size;
  std::array<PrfInput, 3> inputs;
  std::array<std::uint64_t, 3> raws{};
  std::array<std::uint32_t, 3> units{};
  for (unsigned key = 0; key < mark.keys(); ++key) {
    mark.inputs(key, contexts, tokens, inputs);
    mark.raw_values(key, inputs, raws);
    for (const std::uint64_t raw : raws) {
      require(!counted || raw <= 1, "green or red");
      require(!bits || model.a == 64 || raw >> model.a == 0, "a bit a depth");
      require(bits || counted || raw < mark.cells(), "raw values are below their number");
    }
    scores(mark, raws, units);
    for (const std::uint32_t score : units) {
      require(!counted || score <= 1, "a count of one token");
      require(!bits || score <= model.a, "a count of one token's bits");
    }
  }
}

void check_foreign(const ForeignProfile& profile, std::uint8_t first) {
  for (const std::string& text : {profile.canonical_json(), profile.pretty_json()}) {
    const auto again = ForeignProfile::parse(text);
    require(again && *again == profile, "a profile reads back");
    require(again->digest() == profile.digest(), "the digest is stable");
    require(again->canonical_json() == profile.canonical_json(), "a profile is written one way");
  }
  const auto made =
      ForeignProfile::create(profile.scheme(), profile.parameters(), profile.tokenizer());
  require(made && *made == profile, "parts and text make the same profile");
  require(profile.scheme().prfs.empty() || !profile.prf().empty(), "the PRF has a name");

  if (profile.parameters().vocab_size > kLargestLists ||
      profile.parameters().table_size > (1U << 16))
    return;
  countermark::tests::RandomNumbers random(first);
  const auto mark =
      ForeignMark::create(profile, countermark::tests::random_foreign_key(profile, random));
  if (mark) {
    check_mark(**mark, first);
  } else {
    countermark::fuzz::check_error(mark.error(), 0);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto any = countermark::parse_profile({reinterpret_cast<const char*>(data), size});
  if (!any) check_error_of(any.error(), size);
  if (any && std::holds_alternative<ForeignProfile>(*any)) {
    check_foreign(std::get<ForeignProfile>(*any), data[size / 2]);
    return 0;
  }
  const auto profile = Profile::parse({reinterpret_cast<const char*>(data), size});
  if (!profile) {
    check_error_of(profile.error(), size);
    return 0;
  }
  require(any.has_value(), "our own profiles come through the common door");
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
