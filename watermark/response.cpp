// SPDX-License-Identifier: Apache-2.0
#include "watermark/response.h"

#include <cassert>
#include <utility>

namespace countermark {
namespace {

// Whether this identity has a stream in a layer of that kind, and under which name.
std::optional<std::string_view> stream_name(LayerKind kind, const Identity& identity) {
  switch (kind) {
    case LayerKind::kShared:
      return "";
    case LayerKind::kCohort:
      if (!identity.cohort.empty()) return identity.cohort;
      break;
    case LayerKind::kAccount:
      if (!identity.account.empty()) return identity.account;
      break;
  }
  return std::nullopt;
}

}  // namespace

Response::Response(const NativeMark& mark, const Identity& identity, std::string_view nonce,
                   const Secret<16>& plain_key, std::size_t max_tokens)
    : Response(mark, identity, nonce, plain_key, max_tokens, max_tokens + 1) {}

Response::Response(const NativeMark& mark, const Identity& identity, std::string_view nonce,
                   const Secret<16>& plain_key, std::size_t max_tokens, std::size_t max_contexts)
    // A pointer that owns nothing.
    : Response(std::shared_ptr<const NativeMark>(std::shared_ptr<void>(), &mark), identity, nonce,
               plain_key, max_tokens, max_contexts) {}

Response::Response(std::shared_ptr<const NativeMark> mark, const Identity& identity,
                   std::string_view nonce, const Secret<16>& plain_key, std::size_t max_tokens,
                   std::size_t max_contexts)
    : mark_(std::move(mark)),
      plain_cipher_(plain_key, mark_->kernel()),
      max_tokens_(max_tokens),
      history_(max_contexts) {
  for (std::size_t i = 0; i < mark_->layers().size(); ++i) {
    const auto layer = static_cast<std::uint8_t>(i);
    slots_.push_back(mark_->slot(layer, nonce));
    const auto name = stream_name(mark_->layers()[i].kind, identity);
    tags_.push_back(name ? std::optional(mark_->tag(layer, *name, slots_[i])) : std::nullopt);
  }
  tokens_.reserve(max_tokens);
  events_.reserve(max_tokens + kMaxChannels);
}

Response Response::with_room() const {
  Response out = *this;
  out.tokens_.reserve(max_tokens_);
  out.events_.reserve(max_tokens_ + kMaxChannels);
  out.history_.make_room();
  return out;
}

Response::Event Response::event(bool is_commit) const noexcept {
  return {static_cast<std::uint32_t>(history_.size()), static_cast<std::uint32_t>(channel_start_),
          is_commit};
}

bool Response::commit(TokenId token) noexcept {
  if (tokens_.size() == max_tokens_) return false;
  events_.push_back(event(true));
  if (const auto route = mark_->route(channel())) history_.insert(route->fingerprint());
  tokens_.push_back(token);
  return true;
}

bool Response::start_channel() noexcept {
  if (events_.size() - tokens_.size() == kMaxChannels) return false;
  events_.push_back(event(false));
  channel_start_ = tokens_.size();
  return true;
}

void Response::rewind(std::size_t point) noexcept {
  assert(point <= events_.size());
  if (point == events_.size()) return;
  history_.rewind(events_[point].history_size);
  channel_start_ = events_[point].channel_start;
  for (; events_.size() > point; events_.pop_back())
    if (events_.back().is_commit) tokens_.pop_back();
}

}  // namespace countermark
