// SPDX-License-Identifier: Apache-2.0
// The public parameters of another system's mark, with that system's own defaults.
//
// What each scheme is, and which of the fields it has, stands in one file a scheme under
// watermark/marks. A field that a scheme does not have is refused, never ignored. Specification:
// docs/marks.md and docs/formats.md, "Foreign profile".
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "watermark/error.h"
#include "watermark/foreign_key.h"
#include "watermark/profile.h"
#include "watermark/token.h"

namespace countermark {

// A fraction as it is written, "1/4".
struct Ratio {
  std::uint32_t numerator = 0;
  std::uint32_t denominator = 1;

  double value() const noexcept { return static_cast<double>(numerator) / denominator; }
  bool operator==(const Ratio&) const = default;
};

// Which tokens the source's detector counts, once each.
enum class Dedup : std::uint8_t {
  kNone,     // all
  kTuple,    // each context and token
  kContext,  // each context, with the token that followed it first
};

struct ForeignParameters {
  // Tokens that the PRF looks at, the one to come included where the scheme salts with it.
  unsigned context_width = 1;
  Ratio gamma{};                 // share of green tokens
  double delta = 0;              // what is added to a green token's logit
  std::uint32_t vocab_size = 0;  // of the lists; 0: not known
  std::uint64_t salt_key = 0;    // seed of a public table
  unsigned depth = 0;            // g values a token
  std::uint8_t prf = 0;          // index in the scheme's names
  bool self_salt = false;        // whether the token to come is part of its own context
  Ratio mixing{};                // share of tokens of one key; which, the scheme says
  std::uint32_t table_size = 0;
  Dedup dedup = Dedup::kTuple;
  std::uint32_t first_position = 0;  // index of the first token that is scored
  bool prompt_included = false;      // whether contexts reach into the prompt
  // How many of a response's latest contexts are known again, where dedup is kContext; 0: all.
  std::uint32_t history_limit = 0;

  bool operator==(const ForeignParameters&) const = default;
};

enum class Field : std::uint16_t {
  kGamma = 1,
  kDelta = 2,
  kSaltKey = 4,
  kDepth = 8,
  kPrf = 16,
  kSelfSalt = 32,
  kMixing = 64,
  kTableSize = 128,
  kHistoryLimit = 256,
  kVocabSize = 512,  // must be given
  kDevice = 1024,    // "cpu", the only one whose lists can be made again
  // Those of every scheme.
  kContextWidth = 2048,
  kFirstPosition = 4096,
};

constexpr bool holds(unsigned fields, Field field) noexcept {
  return (fields & static_cast<unsigned>(field)) != 0;
}

constexpr unsigned fields(std::initializer_list<Field> list) noexcept {
  unsigned out = 0;
  for (const Field field : list) out |= static_cast<unsigned>(field);
  return out;
}

class ForeignMark;
class ForeignProfile;

// What is known of a scheme before any profile or key: one constant a scheme.
struct SchemeInfo {
  std::string_view id;
  std::string_view owner;  // whose it is, in "as published by"
  unsigned fields;
  std::span<const std::string_view> prfs;
  ForeignKey::Form key_form;
  bool takes_one_integer;  // where key_form is several
  unsigned max_width;
  // What stands before the first token where contexts are not full there.
  std::optional<TokenId> padding;
  // Why the null law is a model and no more whatever the key is, as a code ("weak-prf": values of
  // the PRF are known to depend on each other; "small-key-space": fewer than 2^64 keys make
  // different marks; "unreleased": no release of the source has it); "" where it is not.
  std::string_view model_reason;
  // Values that the source publishes as its defaults.
  std::span<const std::int64_t> public_keys;
  ForeignParameters defaults;
  Result<std::shared_ptr<const ForeignMark>> (*create)(const ForeignProfile&, const ForeignKey&);
  // Sets what follows from the fields that the profile has, and defaults that depend on them;
  // `given` holds the fields that are there.
  void (*settle)(ForeignParameters& parameters, unsigned given);

  bool has(Field field) const noexcept { return holds(fields, field); }
};

// All schemes, in the order of docs/marks.md.
std::span<const SchemeInfo* const> foreign_schemes() noexcept;

// The scheme of that id, or null.
const SchemeInfo* find_foreign_scheme(std::string_view id) noexcept;

class ForeignProfile {
 public:
  // Reads a profile from its JSON text; fields that are left out have the source's defaults.
  // Unknown and duplicate fields, and values that the scheme cannot work with, are errors.
  static Result<ForeignProfile> parse(std::string_view json);

  // A profile from its parts, under the same rules.
  static Result<ForeignProfile> create(const SchemeInfo& scheme,
                                       const ForeignParameters& parameters,
                                       std::optional<TokenizerReference> tokenizer);

  const SchemeInfo& scheme() const noexcept { return *scheme_; }
  const ForeignParameters& parameters() const noexcept { return parameters_; }
  const std::optional<TokenizerReference>& tokenizer() const noexcept { return tokenizer_; }
  // "" where the scheme has only one.
  std::string_view prf() const noexcept {
    return scheme_->prfs.empty() ? "" : scheme_->prfs[parameters_.prf];
  }
  // Tokens before the scored one that its PRF reads.
  unsigned context_tokens() const noexcept {
    return parameters_.context_width - (parameters_.self_salt ? 1 : 0);
  }
  // Green tokens of a list, int(V gamma) in double precision as the sources compute it.
  std::uint32_t green_size() const noexcept;

  // As of Profile, with every field that the scheme has.
  std::string canonical_json() const;
  std::string pretty_json() const;
  std::string digest() const;

  bool operator==(const ForeignProfile&) const = default;

 private:
  ForeignProfile() = default;

  const SchemeInfo* scheme_ = nullptr;
  ForeignParameters parameters_{};
  std::optional<TokenizerReference> tokenizer_{};
};

using AnyProfile = std::variant<Profile, ForeignProfile>;

// Our own profile, or a foreign one, as the member "scheme" says.
Result<AnyProfile> parse_profile(std::string_view json);

const std::optional<TokenizerReference>& tokenizer_of(const AnyProfile& profile);
std::string digest_of(const AnyProfile& profile);

}  // namespace countermark
