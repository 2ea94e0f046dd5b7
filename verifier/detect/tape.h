// SPDX-License-Identifier: Apache-2.0
// The distinct tuples of a text under one key: what may be scored, each once.
//
// Which positions enter is decided by the text and the key's routing alone, never by a score, so
// that under the null the words of a tape's tuples are independent and uniform. One tape serves a
// whole test: a document for `detect`, a corpus for a scan.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "verifier/detect/fingerprint_set.h"
#include "verifier/detect/tally.h"
#include "watermark/marks/native.h"

namespace countermark::detect {

// Where tokens went that are not on the tape.
struct Dropped {
  std::uint64_t short_context = 0;     // fewer tokens before it than the width that decides
  std::uint64_t repeated_context = 0;  // the context stood before in this response: never marked
  std::uint64_t prompt_context = 0;    // the context stands in material that the author was shown
  std::uint64_t repeated_tuple = 0;    // the tuple is on the tape already

  Dropped& operator+=(const Dropped& other) noexcept {
    short_context += other.short_context;
    repeated_context += other.repeated_context;
    prompt_context += other.prompt_context;
    repeated_tuple += other.repeated_tuple;
    return *this;
  }
  bool operator==(const Dropped&) const = default;
};

// Does not write to new elements: for columns that grow by a run of values at a time.
template <typename T>
struct Unwritten : std::allocator<T> {
  template <typename U>
  struct rebind {  // NOLINT(readability-identifier-naming): the name that allocators have
    using other = Unwritten<U>;
  };
  template <typename U>
  void construct(U* at) noexcept {
    ::new (static_cast<void*>(at)) U;
  }
  template <typename U, typename... Args>
  void construct(U* at, Args&&... args) {
    std::construct_at(at, std::forward<Args>(args)...);
  }
};

template <typename T>
using Column = std::vector<T, Unwritten<T>>;

// The tuples of one layer, as columns of one length. The layer's identity and slot are not part
// of them: one tape serves every account.
struct LayerTape {
  Column<Block> states{};
  Column<TokenId> tokens{};
  Column<std::uint64_t> positions{};  // of the token, counted over all tokens added
};

class Tape {
 public:
  // Of all layers. `mark` must outlive the tape.
  explicit Tape(const NativeMark& mark);
  // Of some layers, by their indices, which rise: tokens that others decide on are passed over, and
  // counted nowhere.
  Tape(const NativeMark& mark, std::vector<std::uint8_t> layers);

  // As after construction, but keeps its memory: for one document after the other.
  void clear();

  // Material that the author of the text was shown (prompt, retrieved text): no tuple at a context
  // that occurs in it will be taken from responses added later. Fewer than 2^32 - 1 tokens.
  void exclude(TokenSpan tokens);
  // The same for every text to come: clear() keeps it.
  void exclude_always(TokenSpan tokens);

  // One response, of fewer than 2^32 tokens. O(tokens); between 1 and 2 AES blocks a token by the
  // default profile.
  void add(TokenSpan response) { add(response, response); }
  // The same in reading mode: `scored` holds, for each place of the text that was read, the token
  // that is scored in the place of the one that stands there. As many as were read.
  void add(TokenSpan read, TokenSpan scored);

  const NativeMark& mark() const noexcept { return *mark_; }
  const LayerTape& layer(std::uint8_t index) const noexcept { return layers_[index]; }
  const Dropped& dropped() const noexcept { return dropped_; }
  // Tokens of all responses, scored or not.
  std::uint64_t tokens() const noexcept { return tokens_; }

 private:
  // Tuples of routes_, whose positions count from the beginning of `piece`, the first-th token.
  void add_layer(std::uint8_t index, TokenSpan piece, std::uint64_t first);
  void index_tuples();
  void exclude(TokenSpan tokens, FingerprintSet& from);
  std::size_t routed_layers() const noexcept {
    return wanted_.empty() ? 0 : wanted_.back() + std::size_t{1};
  }

  const NativeMark* mark_;
  std::vector<std::uint8_t> wanted_;
  std::vector<LayerTape> layers_;   // of all of the profile
  std::uint32_t shares_ = 0;        // of the wanted ones
  FingerprintSet excluded_;         // contexts
  FingerprintSet always_excluded_;  // contexts
  FingerprintSet seen_;             // contexts of the response that is being added
  // Empty until a second response comes: in one, no tuple repeats without its context.
  FingerprintSet tuples_;
  Dropped dropped_{};
  std::uint64_t tokens_ = 0;
  std::uint64_t responses_ = 0;
  // Reused from response to response.
  Routes routes_{};
  std::vector<std::uint32_t> positions_{};
  std::vector<std::uint64_t> fingerprints_{};
  std::vector<std::uint8_t> fresh_{};
};

// The tally of one identity's stream in one slot of a layer. O(tuples of the layer).
Tally tally(const Tape& tape, std::uint8_t layer, const Tag& tag);

// The sums of many tallies, which all have the layer's n: sums[j] for tags[j].
std::vector<std::uint64_t> tallies(const Tape& tape, std::uint8_t layer, std::span<const Tag> tags);

// The scores behind it: out[i] for the tape's tuple i, units of 2^-20.
std::vector<std::uint32_t> scores(const Tape& tape, std::uint8_t layer, const Tag& tag);
void scores(const Tape& tape, std::uint8_t layer, const Tag& tag, std::vector<std::uint32_t>& out);

// The fingerprints of a layer's tuples, by which the same tuple is known in another text.
void fingerprints(const Tape& tape, std::uint8_t layer, std::vector<std::uint64_t>& out);

// Those of the tuples' contexts.
void contexts(const Tape& tape, std::uint8_t layer, std::vector<std::uint64_t>& out);

}  // namespace countermark::detect
