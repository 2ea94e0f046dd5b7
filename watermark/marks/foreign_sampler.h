// SPDX-License-Identifier: Apache-2.0
// Text with another system's mark, drawn as that system's sampler draws it.
//
// It is there so that the reading of every scheme can be tested on text that carries it, and so
// that detectors can be compared. For marking what is served, use our own (sampler.h): here is no
// speculation, no undo, no account. Where a source draws with a generator of its own that no
// verifier needs to know, the draw is ordinary here: made with the plain key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "watermark/draw.h"
#include "watermark/marks/foreign_mark.h"
#include "watermark/prf/aes.h"
#include "watermark/truncation.h"

namespace countermark {

// One response. Several may share a mark; one is for one thread at a time.
class ForeignSampler {
 public:
  // `plain_key`, 16 bytes from the caller's own generator and new for every response, makes the
  // ordinary randomness. `prompt` is where the contexts of schemes without padding begin; others
  // do not look at it unless the profile includes it.
  ForeignSampler(SharedForeignMark mark, const Secret<16>& plain_key, TokenSpan prompt);

  // From now on every draw is an unmarked one, of this kind.
  void never_mark(DrawKind why) noexcept { unmarked_ = why; }

  // Draws the next token; nothing is remembered until it is committed. Of equally good tokens the
  // lowest id. Temperature 0 takes the largest logit, unmarked. Errors as truncate's.
  //
  // O(vocab_size log vocab_size) and, without truncation, as many values of the PRF.
  Result<Draw> draw(const LogitsRow& row, const SamplingOptions& options) const;

  // The distribution that `draw` takes the token from, by rising id: under a green list or SynthID
  // what the mark makes of the row, under a Gumbel mark, which takes the place of the randomness,
  // the row's own.
  Result<Distribution> law(const LogitsRow& row, const SamplingOptions& options) const;

  void commit(TokenId token);

 private:
  struct Plan {
    DrawKind kind = DrawKind::kMarked;
    std::vector<TokenId> context{};
  };
  // Two uniforms in [0, 1) of this position.
  struct Randomness {
    double key;
    double token;
  };

  std::optional<std::vector<TokenId>> context() const;
  bool is_known(TokenSpan context) const;
  Plan plan(const SamplingOptions& options) const;
  Randomness randomness() const noexcept;
  Result<Distribution> law(const Plan& planned, const LogitsRow& row,
                           const SamplingOptions& options) const;

  SharedForeignMark mark_;
  Aes128 plain_cipher_;
  std::optional<DrawKind> unmarked_{};
  std::vector<TokenId> tokens_;  // what contexts are made of
  std::size_t position_ = 0;     // tokens of the response
  // Position at which each context occurred last.
  std::unordered_map<std::uint64_t, std::size_t> last_seen_{};
};

namespace internal {

// SynthID's tournament between two copies, `depth` layers of it: p <- p (1 + g - sum of g p), layer
// by layer. `probabilities` sum to 1; bit d of g_values[i] is g of layer d. Source: Dathathri et
// al., Nature 634 (2024).
void play_tournament(std::span<const std::uint64_t> g_values, unsigned depth,
                     std::span<double> probabilities);

}  // namespace internal

}  // namespace countermark
