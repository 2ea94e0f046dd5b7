// SPDX-License-Identifier: Apache-2.0
// The native mark: exponential-minimum sampling keyed by AES-128, in layers that the context
// itself routes. This file turns contexts and tokens into keyed words; drawing is the sampler's,
// and counting the verifier's.
//
// Specification: docs/mark.md. Source of the sampling rule: Aaronson and Kirchner (2022), the
// exponential race; deviations: layers, a provable PRF, 32-bit words.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "watermark/error.h"
#include "watermark/key.h"
#include "watermark/marks/exponential_score.h"
#include "watermark/null_model.h"
#include "watermark/prf/aes.h"
#include "watermark/profile.h"
#include "watermark/token.h"

namespace countermark {

// Selects one identity's own randomness in one layer and slot: 96 bits derived from them under
// the stream key, so that no collision can be searched for.
using Tag = std::array<std::uint8_t, 12>;

// 64 bits that tell (width, context) pairs apart in a history. A collision makes one draw unmarked
// and has no other effect.
inline std::uint64_t context_fingerprint(const Block& state, unsigned width) noexcept {
  return load_le64(state.data()) + width;
}

// Where a position's randomness comes from, a function of the tokens before it alone.
struct Route {
  std::uint8_t layer = 0;
  unsigned width = 0;
  Block state{};  // S_h: the keyed MAC of the context

  std::uint64_t fingerprint() const noexcept { return context_fingerprint(state, width); }
};

// The routes of a run of positions of a response, counted from its first, and the memory to find
// them in; may be used again.
class Routes {
 public:
  // The positions of a layer of the profile, rising.
  std::span<const std::uint32_t> positions(std::uint8_t layer) const noexcept {
    return std::span(columns_[layer].positions).first(columns_[layer].size);
  }
  // By position, of those that a layer has.
  std::span<const Block> states() const noexcept { return states_; }
  // How many positions have fewer tokens before them than the width that decides.
  std::size_t short_context() const noexcept { return short_context_; }

 private:
  friend class NativeMark;
  struct Column {
    std::vector<std::uint32_t> positions{};
    std::size_t size = 0;
  };
  std::vector<Block> states_{};
  std::vector<Column> columns_{};                       // by layer
  std::array<std::vector<std::uint32_t>, 2> passed_{};  // on from one width to the next
  std::size_t short_context_ = 0;
};

// Immutable; may be used by many threads at once. No member function allocates, except tag(),
// slot() and, to make room, routes().
class NativeMark {
 public:
  static constexpr std::string_view kId = Profile::kScheme;

  // Expands the epoch's keys for the layers of `profile`. The kernel is the process's own
  // (active_kernel) unless one is given.
  static Result<NativeMark> create(const EpochKey& key, const Profile& profile,
                                   const Kernel* kernel = nullptr);

  // A mark under a random key that nobody has, for what must be drawn unmarked; its key, model and
  // epoch ids are empty.
  static Result<NativeMark> without_key(const Profile& profile, const Kernel* kernel = nullptr);

  // The route of the token that follows `response`, the tokens of this response so far (only the
  // last 16 matter). Nothing when they are fewer than the width that decides.
  std::optional<Route> route(TokenSpan response) const noexcept;

  // The routes of the tokens begin .. end - 1 of a response at once, as route() gives them one by
  // one. Of the first `layers` layers of the profile only; the others have no positions, and what
  // they alone need is not computed. O(end - begin): one AES block for a width of up to four tokens
  // that is looked at.
  void routes(TokenSpan response, std::uint32_t begin, std::uint32_t end, std::size_t layers,
              Routes& out) const;

  // The tag of an identity in a layer's slot. The identity of the shared layer is "".
  Tag tag(std::uint8_t layer, std::string_view identity, std::uint32_t slot) const;

  // The slot of a layer for a response with this nonce, which the server made.
  std::uint32_t slot(std::uint8_t layer, std::string_view nonce) const;

  // The keyed words of `tokens` under one route: out[i] for tokens[i], spans of one length.
  void words(const Route& route, const Tag& tag, TokenSpan tokens,
             std::span<std::uint32_t> out) const noexcept;

  // The keyed words of one layer's tuples: out[i] for (states[i], tokens[i]).
  void words(std::uint8_t layer, std::span<const Block> states, TokenSpan tokens, const Tag& tag,
             std::span<std::uint32_t> out) const noexcept;

  // Sums of scores, units of 2^-20, of one layer's tuples (states[i], tokens[i]) under many tags:
  // sums[j] for tags[j]. O(tuples x tags), one AES block each.
  void tallies(std::uint8_t layer, std::span<const Block> states, TokenSpan tokens,
               std::span<const Tag> tags, std::span<std::uint64_t> sums) const noexcept;

  // Law of the score of one tuple when the text is independent of the key.
  static constexpr NullModel null_model() noexcept { return {NullLaw::kExponentialBound}; }

  const Profile& profile() const noexcept { return profile_; }
  const std::vector<Layer>& layers() const noexcept { return profile_.layers(); }
  // The key's own, for who wants to know which one it is.
  const std::string& key_id() const noexcept { return key_id_; }
  const std::string& model_id() const noexcept { return model_id_; }
  const std::string& epoch_id() const noexcept { return epoch_id_; }
  const Kernel& kernel() const noexcept { return context_.kernel(); }
  // Under which contexts get their states, and a layer's candidates their words.
  const Aes128& context_cipher() const noexcept { return context_; }
  const Aes128& candidate_cipher(std::uint8_t layer) const noexcept { return candidate_[layer]; }

 private:
  NativeMark(const EpochKey& key, const Profile& profile, const Kernel& kernel);

  Block context_state(TokenSpan response, unsigned width) const noexcept;

  Profile profile_;
  std::string key_id_;
  std::string model_id_;
  std::string epoch_id_;
  Aes128 context_;
  std::vector<Aes128> candidate_;               // by layer
  std::array<Block, kMaxWidth + 1> initial_{};  // IV_h by width
  Secret<32> stream_key_;
  Secret<32> slot_key_;
};

}  // namespace countermark
