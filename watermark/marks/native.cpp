// SPDX-License-Identifier: Apache-2.0
#include "watermark/marks/native.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace countermark {
namespace {

constexpr std::string_view kContextHeader = "cm/1 context";
constexpr std::string_view kDerivation = "countermark/1";

// LE32(token >> 2) | tag: what distinguishes the blocks of one state.
Block candidate_block(TokenId token, const Tag& tag) noexcept {
  Block block;
  store_le32(block.data(), token >> 2);
  std::memcpy(block.data() + 4, tag.data(), tag.size());
  return block;
}

// Runs `count` candidate blocks through `cipher`, a few at a time, and picks each token's word.
template <typename StateOf>
void encrypt_words(const Aes128& cipher, TokenSpan tokens, const Tag& tag, StateOf state_of,
                   std::span<std::uint32_t> out) noexcept {
  constexpr std::size_t kBatch = 64;
  std::array<Block, kBatch> blocks;
  for (std::size_t begin = 0; begin < tokens.size(); begin += kBatch) {
    const std::size_t count = std::min(kBatch, tokens.size() - begin);
    for (std::size_t i = 0; i < count; ++i)
      blocks[i] = state_of(begin + i) ^ candidate_block(tokens[begin + i], tag);
    const std::span<Block> batch(blocks.data(), count);
    cipher.encrypt(batch, batch);
    for (std::size_t i = 0; i < count; ++i)
      out[begin + i] = load_le32(blocks[i].data() + std::size_t{4} * (tokens[begin + i] & 3));
  }
}

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
  const TokenSpan context = response.last(width);
  Block state = initial_[width];
  for (std::size_t begin = 0; begin < width; begin += 4) {
    Block block{};
    const std::size_t end = std::min<std::size_t>(begin + 4, width);
    for (std::size_t i = begin; i < end; ++i) store_le32(&block[4 * (i - begin)], context[i]);
    state = context_.encrypt(state ^ block);
  }
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
  encrypt_words(
      candidate_[route.layer], tokens, tag,
      [&route](std::size_t) -> const Block& { return route.state; }, out);
}

void NativeMark::words(std::uint8_t layer, std::span<const Block> states, TokenSpan tokens,
                       const Tag& tag, std::span<std::uint32_t> out) const noexcept {
  assert(states.size() == tokens.size() && out.size() == tokens.size());
  encrypt_words(
      candidate_[layer], tokens, tag, [states](std::size_t i) -> const Block& { return states[i]; },
      out);
}

}  // namespace countermark
