// SPDX-License-Identifier: Apache-2.0
// The public parameters of a mark: scheme, layers, and which tokenizer it counts tokens with.
//
// A profile holds no secret. It is parsed from bytes, here and only here, and its digest is the
// same through every door. Specification: docs/mark.md, "Context and route", and
// docs/formats.md, "Profile".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "watermark/error.h"
#include "watermark/tokenizer_reference.h"

namespace countermark {

// Whose randomness a layer carries: everyone's, a cohort's, or an account's.
enum class LayerKind : std::uint8_t { kShared, kCohort, kAccount };

const char* layer_name(LayerKind kind) noexcept;

// Shares are counted in 65,536ths of all marked positions.
inline constexpr std::uint32_t kShareTotal = 65'536;
inline constexpr unsigned kMaxWidth = 16;
inline constexpr std::size_t kMaxLayers = 16;
inline constexpr std::uint32_t kMaxSlots = 65'536;

struct Layer {
  LayerKind kind = LayerKind::kShared;
  unsigned width = 0;       // tokens of context, 1 to kMaxWidth
  std::uint32_t share = 0;  // 0 (switched off) to kShareTotal
  std::uint32_t slots = 1;  // 1 to kMaxSlots

  bool operator==(const Layer&) const = default;
};

class Profile {
 public:
  static constexpr std::string_view kScheme = "countermark/1";

  // The starting defaults of the specification: shared width 2 share 1/2, cohort width 2 share
  // 1/8, account width 3 share 3/8 with 8 slots.
  static Profile defaults();

  // Reads a profile from its JSON text. Unknown and duplicate fields are errors. One to kMaxLayers
  // layers come in ascending width, and their shares sum to kShareTotal. A kind may stand at
  // several widths; each is a layer of its own.
  static Result<Profile> parse(std::string_view json);

  // A profile from its parts, under the same rules; errors name the field.
  static Result<Profile> create(std::vector<Layer> layers,
                                std::optional<TokenizerReference> tokenizer);

  const std::vector<Layer>& layers() const noexcept { return layers_; }
  const std::optional<TokenizerReference>& tokenizer() const noexcept { return tokenizer_; }

  // Indices of the layers of that kind, ascending.
  std::vector<std::uint8_t> layers_of(LayerKind kind) const;

  // One line of JSON, keys sorted, no spaces: what the digest covers.
  std::string canonical_json() const;

  // The same for people: two spaces of indentation, a final line feed.
  std::string pretty_json() const;

  // SHA-256 of canonical_json(), lower-case hex.
  std::string digest() const;

  bool operator==(const Profile&) const = default;

 private:
  Profile() = default;

  std::vector<Layer> layers_{};
  std::optional<TokenizerReference> tokenizer_{};
};

}  // namespace countermark
