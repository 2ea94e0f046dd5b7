// SPDX-License-Identifier: Apache-2.0
// Another system's mark under one key: what every scheme of watermark/marks can do.
//
// A scheme maps a tuple (context, token) in two steps. First to its PRF input, which is all that
// the scheme's PRF still sees of key and context: tuples of one input have one value, and count
// once. Then to its raw value, one integer: of a Gumbel scheme the integer that its uniform is made
// of, of a green list 1 for green and 0 for red, of SynthID the g values, bit d of depth d. Scores
// are made of raw values here, the same way for all; nothing here is a p-value.
//
// These schemes are read so that text that is in the world can be judged; for marking, use our own
// (docs/marks.md says why).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "watermark/error.h"
#include "watermark/foreign_profile.h"
#include "watermark/null_model.h"
#include "watermark/token.h"

namespace countermark {

struct PrfInput {
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  TokenId token = 0;

  bool operator==(const PrfInput&) const = default;
};

// How the source's sampler favours green tokens, where our profile does not say it.
struct GreenBias {
  // Only the likeliest tokens of so many are looked at; 0: all.
  std::size_t candidates = 0;
  // Whether temperature and truncation come first; else they see the changed logits.
  bool after_truncation = false;
};

// Immutable; may be used by many threads at once.
class ForeignMark {
 public:
  // The scheme of `profile` under `key`. kKey when the key is not of the scheme's form or range,
  // kMismatch when it does not fit the profile.
  static Result<std::shared_ptr<const ForeignMark>> create(const ForeignProfile& profile,
                                                           const ForeignKey& key);

  ForeignMark(const ForeignMark&) = delete;
  ForeignMark& operator=(const ForeignMark&) = delete;
  virtual ~ForeignMark() = default;

  // out[i] = what the PRF sees of the tuple (context i, tokens[i]) under the mark's key number
  // `key`. contexts holds context_tokens() ids a tuple, oldest first. O(n context_tokens()).
  virtual void inputs(unsigned key, TokenSpan contexts, TokenSpan tokens,
                      std::span<PrfInput> out) const = 0;

  // out[i] = the raw value of in[i] under key number `key`.
  virtual void raw_values(unsigned key, std::span<const PrfInput> in,
                          std::span<std::uint64_t> out) const = 0;

  // Law of one tuple's score when the text is independent of the key, if the scheme's PRF were an
  // ideal random function.
  virtual NullModel null_model() const noexcept = 0;

  // Keys that a token may have been drawn under without the text telling which: 1 or 2.
  virtual unsigned keys() const noexcept { return 1; }

  // Whether, under any key, tuples of unlike contexts always have unlike inputs.
  virtual bool tells_tuples_apart() const noexcept { return false; }

  // Raw values are below this, and the uniform of value r lies in [r / cells, (r + 1) / cells].
  // Of exponential laws only.
  virtual std::uint64_t cells() const noexcept { return 0; }

  // The rest is for drawing, watermark/marks/foreign_sampler.h.

  // The uniform that the source's sampler makes of a raw value, above 0 and below 1. Of exponential
  // laws only.
  virtual double uniform(std::uint64_t /*raw_value*/) const noexcept { return 0; }

  // Of green lists only.
  virtual GreenBias bias() const noexcept { return {}; }

  // What the source's sampler remembers of a context, to know it again: of most schemes all of it,
  // as 64 bits of its SHA-256.
  virtual std::uint64_t context_fingerprint(TokenSpan context) const;

  const ForeignProfile& profile() const noexcept { return profile_; }
  const SchemeInfo& scheme() const noexcept { return profile_.scheme(); }
  unsigned context_tokens() const noexcept { return profile_.context_tokens(); }

 protected:
  explicit ForeignMark(const ForeignProfile& profile) : profile_(profile) {}

 private:
  ForeignProfile profile_;
};

using SharedForeignMark = std::shared_ptr<const ForeignMark>;

// Scores of raw values: exponential laws: -ln(1 - raw / cells) at the lower edge of the value's
// cell, units of 2^-20, rounded down; green: raw; bits: the number of ones.
void scores(const ForeignMark& mark, std::span<const std::uint64_t> raw_values,
            std::span<std::uint32_t> out);

// Why a p-value under this profile and key is a model's and no more, as stable codes: that of the
// scheme (SchemeInfo::model_reason), "public-key" (a default that the source publishes),
// "small-key" (an integer below 2^48, which nobody draws from 2^64). Empty when the scheme's law
// may be relied on.
std::vector<std::string> model_reasons(const ForeignProfile& profile, const ForeignKey& key);

namespace internal {

// The one integer of a key, for schemes that take 0 to 2^64 - 1; kKey for a negative one.
Result<std::uint64_t> unsigned_key(const SchemeInfo& scheme, const ForeignKey& key);

// Sixteen hexadecimal digits of a key, the index-th of them; the key has `count` x 16 at most.
std::uint64_t hex_word(const ForeignKey& key, std::size_t index, std::size_t count);

// What of a number of any size torch.Generator.manual_seed keeps, once the number is reduced modulo
// 2^64 - 1 to a result that is not negative.
using WideInteger = KeyInteger::Wide;
std::uint32_t torch_seed(WideInteger value) noexcept;

}  // namespace internal

}  // namespace countermark
