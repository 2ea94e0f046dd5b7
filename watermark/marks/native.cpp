// SPDX-License-Identifier: Apache-2.0
#include "watermark/marks/native.h"

#include <algorithm>
#include <cassert>
#include <cstring>

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

Result<NativeMark> NativeMark::without_key(const Profile& profile, const Kernel* kernel) {
  std::array<std::uint8_t, 32> bytes;
  random_bytes(bytes.data(), bytes.size());
  const Secret<32> secret(std::move(bytes));  // NOLINT(performance-move-const-arg): they are wiped
  COUNTERMARK_TRY(const EpochKey nobodys, EpochKey::create(secret, "nobody", "never"));
  COUNTERMARK_TRY(NativeMark mark, create(nobodys, profile, kernel));
  mark.key_id_.clear();
  mark.model_id_.clear();
  mark.epoch_id_.clear();
  return mark;
}

NativeMark::NativeMark(const EpochKey& key, const Profile& profile, const Kernel& kernel)
    : profile_(profile),
      key_id_(key.key_id()),
      model_id_(key.model_id()),
      epoch_id_(key.epoch_id()),
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
                        std::size_t wanted, Routes& out) const {
  assert(begin <= end && end <= response.size() && wanted <= profile_.layers().size());
  constexpr std::size_t kSpare = 16;  // entries of a column that the kernel may write beyond
  const auto& layers = profile_.layers();
  out.columns_.resize(layers.size());
  for (Routes::Column& column : out.columns_) column.size = 0;
  out.short_context_ = 0;
  if (out.states_.size() < end - begin) out.states_.resize(end - begin);
  // The positions that are still to be routed: at first all of them, without a list.
  std::span<const std::uint32_t> pending;
  std::size_t count = end - begin;
  std::uint32_t remaining = kShareTotal;
  for (std::size_t first = 0, last = 0, index = 0; first < wanted; first = last, ++index) {
    const unsigned width = layers[first].width;
    const std::uint32_t from = std::min(end, std::max(begin, width)) - begin;
    std::size_t too_short = from;
    if (index > 0) {
      too_short = static_cast<std::size_t>(std::lower_bound(pending.begin(), pending.end(), from) -
                                           pending.begin());
      pending = pending.subspan(too_short);
    }
    count -= too_short;
    out.short_context_ += too_short;

    std::array<std::uint32_t, kMaxLayers> bounds;
    std::array<CountermarkColumn, kMaxLayers + 1> columns;
    std::uint32_t shares = 0;
    for (; last < layers.size() && layers[last].width == width; ++last) {
      bounds[last - first] = shares += layers[last].share;
      Routes::Column& column = out.columns_[last];
      if (column.positions.size() < count + kSpare) column.positions.resize(count + kSpare);
      columns[last - first] = {column.positions.data(), 0};
    }
    auto& passed = out.passed_[index % 2];
    if (passed.size() < count + kSpare) passed.resize(count + kSpare);
    columns[last - first] = {passed.data(), 0};
    if (count > 0)
      kernel().route(&context_.key(), initial_[width].data(), width, response.data() + begin,
                     index == 0 ? nullptr : pending.data(), from, count, remaining, bounds.data(),
                     last - first, out.states_[0].data(), columns.data());
    for (std::size_t i = first; i < last; ++i) out.columns_[i].size = columns[i - first].size;
    count = columns[last - first].size;
    pending = std::span(passed).first(count);
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
