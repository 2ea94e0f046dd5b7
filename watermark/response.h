// SPDX-License-Identifier: Apache-2.0
// What is remembered of one response while it is written: its committed tokens and the contexts
// that they used. Everything else about a draw is a function of these and the key.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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
  // Starts a response of at most `max_tokens` tokens. `nonce` was made by the server and is new
  // for every response, every one of n alternatives, and every retry; it chooses the slots.
  // `plain_key`, 16 bytes from the engine's own generator, keys the unmarked draws. `mark` must
  // outlive the response. Allocates here and never again: about 28 bytes a token.
  Response(const NativeMark& mark, const Identity& identity, std::string_view nonce,
           const Secret<16>& plain_key, std::size_t max_tokens);

  // The same with a history of `max_contexts` instead of one for every token: once it is full,
  // the rest of the response is unmarked.
  Response(const NativeMark& mark, const Identity& identity, std::string_view nonce,
           const Secret<16>& plain_key, std::size_t max_tokens, std::size_t max_contexts);

  // Appends a token and records the context that it followed, marked or not. False, and nothing
  // happens, when max_tokens are committed.
  bool commit(TokenId token) noexcept;

  // A point to return to, and the return: afterwards everything is as it was at the mark. Only
  // for tokens that are dropped without regard to what they say (a cancelled batch, rejected
  // drafts); a retry because of the content takes a higher attempt, or a new response.
  std::size_t mark_point() const noexcept { return tokens_.size(); }
  void rewind(std::size_t point) noexcept;

  const NativeMark& mark() const noexcept { return *mark_; }
  TokenSpan tokens() const noexcept { return tokens_; }
  const History& history() const noexcept { return history_; }
  const Aes128& plain_cipher() const noexcept { return plain_cipher_; }

  // The tag of this response's identity in a layer; nothing where it has none.
  const std::optional<Tag>& tag(std::uint8_t layer) const noexcept { return tags_[layer]; }
  // The slot of a layer that the nonce chose.
  std::uint32_t slot(std::uint8_t layer) const noexcept { return slots_[layer]; }

 private:
  const NativeMark* mark_;
  Aes128 plain_cipher_;
  std::vector<std::optional<Tag>> tags_;  // by layer
  std::vector<std::uint32_t> slots_;      // by layer
  std::size_t max_tokens_;
  std::vector<TokenId> tokens_;
  std::vector<std::uint32_t> history_sizes_;  // before each commit
  History history_;
};

}  // namespace countermark
