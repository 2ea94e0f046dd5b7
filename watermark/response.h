// SPDX-License-Identifier: Apache-2.0
// What is remembered of one response while it is written: its committed tokens and the contexts
// that they used. Everything else about a draw is a function of these and the key.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "watermark/draw.h"
#include "watermark/history.h"
#include "watermark/marks/native.h"

namespace countermark {

// For whom a response is written. A layer whose identity is empty is drawn unmarked.
struct Identity {
  std::string cohort{};
  std::string account{};
};

class Response {
 public:
  static constexpr std::size_t kMaxChannels = 64;

  // Starts a response of at most `max_tokens` tokens. `nonce` was made by the server and is new
  // for every response, every one of n alternatives, and every retry; it chooses the slots.
  // `plain_key`, 16 bytes from the engine's own generator, keys the unmarked draws. `mark` must
  // outlive the response. Allocates here and never again: about 40 bytes a token. A copy
  // has no memory to spare, see with_room.
  Response(const NativeMark& mark, const Identity& identity, std::string_view nonce,
           const Secret<16>& plain_key, std::size_t max_tokens);

  // The same with a history of `max_contexts` instead of one for every token: once it is full,
  // the rest of the response is unmarked.
  Response(const NativeMark& mark, const Identity& identity, std::string_view nonce,
           const Secret<16>& plain_key, std::size_t max_tokens, std::size_t max_contexts);

  // The same with a mark that lives as long as a response needs it.
  Response(std::shared_ptr<const NativeMark> mark, const Identity& identity, std::string_view nonce,
           const Secret<16>& plain_key, std::size_t max_tokens, std::size_t max_contexts);

  // From now on every draw is an unmarked one, of this kind. Contexts are recorded as ever.
  void never_mark(DrawKind why) noexcept { unmarked_ = why; }
  // From now on draws are marked only while `is_on`, which must outlive the response; others are
  // kOff.
  void obey(const std::atomic<bool>& is_on) noexcept { is_on_ = &is_on; }
  // Why it is never marked, if it is not; the switch that it obeys plays no part.
  std::optional<DrawKind> never_marked() const noexcept { return unmarked_; }
  // The kind of the draws, if they are not to be marked whatever their contexts.
  std::optional<DrawKind> unmarked() const noexcept {
    if (unmarked_) return unmarked_;
    if (is_on_ != nullptr && !is_on_->load(std::memory_order_relaxed)) return DrawKind::kOff;
    return std::nullopt;
  }

  // A copy that allocates here and never again, either.
  Response with_room() const;

  // Appends a token and records the context that it followed, marked or not. False, and nothing
  // happens, when max_tokens are committed.
  bool commit(TokenId token) noexcept;

  // Starts another channel, as from thinking to answer: contexts do not reach back across it, and
  // everything else goes on. False when the response has had kMaxChannels of them.
  bool start_channel() noexcept;

  // A point to return to, and the return: afterwards everything is as it was at the mark. Only
  // for tokens that are dropped without regard to what they say (a cancelled batch, rejected
  // drafts); a retry because of the content takes a higher attempt, or a new response. Without
  // channels a point is the number of committed tokens.
  std::size_t mark_point() const noexcept { return events_.size(); }
  void rewind(std::size_t point) noexcept;

  const NativeMark& mark() const noexcept { return *mark_; }
  // All committed tokens.
  TokenSpan tokens() const noexcept { return tokens_; }
  // Those of the current channel: what a route looks at.
  TokenSpan channel() const noexcept { return tokens().subspan(channel_start_); }
  const History& history() const noexcept { return history_; }
  const Aes128& plain_cipher() const noexcept { return plain_cipher_; }

  // The tag of this response's identity in a layer; nothing where it has none.
  const std::optional<Tag>& tag(std::uint8_t layer) const noexcept { return tags_[layer]; }
  // The slot of a layer that the nonce chose.
  std::uint32_t slot(std::uint8_t layer) const noexcept { return slots_[layer]; }

 private:
  // A commit or the start of a channel, with what to return to when it is undone.
  struct Event {
    std::uint32_t history_size;
    std::uint32_t channel_start;
    bool is_commit;
  };

  Event event(bool is_commit) const noexcept;

  std::shared_ptr<const NativeMark> mark_;
  std::optional<DrawKind> unmarked_{};
  const std::atomic<bool>* is_on_ = nullptr;
  Aes128 plain_cipher_;
  std::vector<std::optional<Tag>> tags_;  // by layer
  std::vector<std::uint32_t> slots_;      // by layer
  std::size_t max_tokens_;
  std::vector<TokenId> tokens_;
  std::size_t channel_start_ = 0;  // index in tokens_
  std::vector<Event> events_;
  History history_;
};

}  // namespace countermark
