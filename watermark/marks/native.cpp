// SPDX-License-Identifier: Apache-2.0
#include "watermark/marks/native.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <numeric>

namespace countermark {
namespace {

constexpr std::string_view kContextHeader = "cm/1 context";
constexpr std::string_view kDerivation = "countermark/1";

}  // namespace

Result<NativeMark> NativeMark::create(const EpochKey& key, const Profile& profile,
                                      const Kernel* kernel) {
  if (kernel == nullptr) {
    COUNTERMARK_TRY(kernel, active_kernel());
  }
  return NativeMark(key, profile, *kernel);
}

NativeMark::NativeMark(const EpochKey& key, const Profile& profile, const Kernel& kernel)
    : profile_(profile),
      key_id_(key.key_id()),
      context_(key.context_key(), kernel),
      stream_key_(key.stream_key()),
      slot_key_(key.slot_key()) {
  for (std::size_t i = 0; i < profile_.layers().size(); ++i)
    candidate_.emplace_back(key.candidate_key(static_cast<std::uint8_t>(i)), kernel);
  for (unsigned width = 1; width <= kMaxWidth; ++width) {
    Block header;
    std::memcpy(header.data(), kContextHeader.data(), kContextHeader.size());
    store_le32(header.data() + kContextHeader.size(), width);
    initial_[width] = context_.encrypt(header);
  }
}

Block NativeMark::context_state(TokenSpan response, unsigned width) const noexcept {
  const auto end = static_cast<std::uint32_t>(width);
  Block state;
  kernel().context_states(&context_.key(), initial_[width].data(), width,
                          response.last(width).data(), &end, 1, state.data());
  return state;
}

std::optional<Route> NativeMark::route(TokenSpan response) const noexcept {
  std::uint64_t remaining = kShareTotal;
  const auto& layers = profile_.layers();
  for (std::size_t i = 0; i < layers.size();) {
    const unsigned width = layers[i].width;
    if (response.size() < width) return std::nullopt;
    const Block state = context_state(response, width);
    std::uint64_t coin = (std::uint64_t{load_le32(state.data() + 12)} * remaining) >> 32;
    std::uint64_t shares = 0;
    for (; i < layers.size() && layers[i].width == width; ++i) {
      if (coin < layers[i].share) return Route{static_cast<std::uint8_t>(i), width, state};
      coin -= layers[i].share;
      shares += layers[i].share;
    }
    remaining -= shares;
  }
  assert(false && "the shares of a profile sum to kShareTotal");
  return std::nullopt;
}

void NativeMark::routes(TokenSpan response, std::uint32_t begin, std::uint32_t end,
                        Routes& out) const {
  assert(begin <= end && end <= response.size());
  const auto& layers = profile_.layers();
  out.layers.assign(layers.size(), {});
  out.widths_.resize(layers.size());
  out.columns_.resize(layers.size());
  out.short_context = 0;
  // The positions that are still to be routed: of all, later of those that a width passed on.
  std::span<const std::uint32_t> passed;
  const Routes::AtWidth* before = nullptr;
  std::uint32_t remaining = kShareTotal;
  std::size_t index = 0;  // of the width
  for (std::size_t first = 0, last = 0; first < layers.size(); first = last, ++index) {
    Routes::AtWidth& at = out.widths_[index];
    at.width = layers[first].width;
    std::array<std::uint32_t, kMaxLayers> bounds;
    std::uint32_t shares = 0;
    for (; last < layers.size() && layers[last].width == at.width; ++last)
      bounds[last - first] = shares += layers[last].share;

    const std::size_t candidates = before == nullptr ? end - begin : passed.size();
    at.positions.clear();
    if (before == nullptr) {
      const std::uint32_t from = std::max(begin, at.width);
      at.positions.resize(end > from ? end - from : 0);
      std::iota(at.positions.begin(), at.positions.end(), from);
    }
    for (const std::uint32_t place : passed)
      if (before->positions[place] >= at.width) at.positions.push_back(before->positions[place]);
    const std::size_t count = at.positions.size();
    out.short_context += candidates - count;
    at.states.resize(count);
    auto& columns = out.columns_[index];
    const std::size_t stride = count + 16;  // as split() wants it
    columns.resize((last - first + 1) * stride);
    std::array<std::size_t, kMaxLayers + 1> sizes{};
    if (count > 0) {
      kernel().context_states(&context_.key(), initial_[at.width].data(), at.width, response.data(),
                              at.positions.data(), count, at.states[0].data());
      kernel().split(at.states[0].data(), count, remaining, bounds.data(), last - first,
                     columns.data(), sizes.data());
    }
    const auto column = [&](std::size_t i) {
      return std::span<const std::uint32_t>(columns).subspan(i * stride, sizes[i]);
    };
    for (std::size_t i = first; i < last; ++i) out.layers[i] = {&at, column(i - first)};
    passed = column(last - first);
    before = &at;
    remaining -= shares;
  }
}

Tag NativeMark::tag(std::uint8_t layer, std::string_view identity, std::uint32_t slot) const {
  std::string message;
  append_length_prefixed(message, kDerivation);
  message += static_cast<char>(layer);
  append_length_prefixed(message, identity);
  append_le32(message, slot);
  const auto digest = hmac_sha256(stream_key_.view(), as_bytes(message));
  Tag tag;
  std::copy_n(digest.begin(), tag.size(), tag.begin());
  return tag;
}

std::uint32_t NativeMark::slot(std::uint8_t layer, std::string_view nonce) const {
  const std::uint32_t slots = profile_.layers()[layer].slots;
  if (slots == 1) return 0;
  std::string message(1, static_cast<char>(layer));
  append_length_prefixed(message, nonce);
  const auto digest = hmac_sha256(slot_key_.view(), as_bytes(message));
  return static_cast<std::uint32_t>((std::uint64_t{load_le32(digest.data())} * slots) >> 32);
}

void NativeMark::words(const Route& route, const Tag& tag, TokenSpan tokens,
                       std::span<std::uint32_t> out) const noexcept {
  assert(out.size() == tokens.size());
  kernel().words_of_state(&candidate_[route.layer].key(), route.state.data(), tag.data(),
                          tokens.data(), tokens.size(), out.data());
}

void NativeMark::words(std::uint8_t layer, std::span<const Block> states, TokenSpan tokens,
                       const Tag& tag, std::span<std::uint32_t> out) const noexcept {
  assert(states.size() == tokens.size() && out.size() == tokens.size());
  if (states.empty()) return;
  kernel().words(&candidate_[layer].key(), states[0].data(), tag.data(), tokens.data(),
                 tokens.size(), out.data());
}

void NativeMark::tallies(std::uint8_t layer, std::span<const Block> states, TokenSpan tokens,
                         std::span<const Tag> tags, std::span<std::uint64_t> sums) const noexcept {
  assert(states.size() == tokens.size() && sums.size() == tags.size());
  static_assert(sizeof(Tag) == 12 && sizeof(Block) == 16, "arrays of them are arrays of bytes");
  if (tags.empty()) return;
  const std::uint8_t* first_state = states.empty() ? nullptr : states[0].data();
  kernel().tallies(&candidate_[layer].key(), first_state, tokens.data(), tokens.size(),
                   tags[0].data(), tags.size(), sums.data());
}

}  // namespace countermark
