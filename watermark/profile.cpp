// SPDX-License-Identifier: Apache-2.0
#include "watermark/profile.h"

#include <utility>

#include "watermark/json.h"
#include "watermark/prf/hash.h"

namespace countermark {
namespace {

constexpr LayerKind kKinds[] = {LayerKind::kShared, LayerKind::kCohort, LayerKind::kAccount};

std::optional<LayerKind> kind_of(std::string_view name) {
  for (const LayerKind kind : kKinds)
    if (name == layer_name(kind)) return kind;
  return std::nullopt;
}

// A rule that the parts break, as (pointer to the field, what was expected).
using Broken = std::optional<std::pair<std::string, std::string>>;

Broken first_broken_rule(const std::vector<Layer>& layers) {
  if (layers.empty() || layers.size() > kMaxLayers) return {{"/layers", "expected 1 to 16 layers"}};
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (i > 0 && layers[i].width < layers[i - 1].width)
      return {{"/layers/" + std::to_string(i) + "/width", "layers must stand in ascending width"}};
    total += layers[i].share;
  }
  if (total != kShareTotal)
    return {{"/layers", "the shares sum to " + std::to_string(total) + ", expected 65536"}};
  return std::nullopt;
}

nlohmann::json to_json(const Profile& profile) {
  nlohmann::json layers = nlohmann::json::array();
  for (const Layer& layer : profile.layers())
    layers.push_back({{"name", layer_name(layer.kind)},
                      {"width", layer.width},
                      {"share", layer.share},
                      {"slots", layer.slots}});
  nlohmann::json out = {{"scheme", Profile::kScheme}, {"layers", std::move(layers)}};
  if (profile.tokenizer()) out["tokenizer"] = to_json(*profile.tokenizer());
  return out;
}

Result<Layer> parse_layer(const JsonDocument& document, const std::string& at) {
  COUNTERMARK_CHECK(document.only_members(at, {"name", "width", "share", "slots"}));
  COUNTERMARK_TRY(const std::string name, document.string_at(at + "/name"));
  const auto kind = kind_of(name);
  if (!kind)
    return fail(document.error_at(at + "/name", ErrorCode::kInvalidInput,
                                  "expected shared, cohort or account"));
  COUNTERMARK_TRY(const std::uint64_t width, document.unsigned_at(at + "/width", 1, kMaxWidth));
  COUNTERMARK_TRY(const std::uint64_t share, document.unsigned_at(at + "/share", 0, kShareTotal));
  COUNTERMARK_TRY(const std::uint64_t slots, document.unsigned_at(at + "/slots", 1, kMaxSlots));
  return Layer{*kind, static_cast<unsigned>(width), static_cast<std::uint32_t>(share),
               static_cast<std::uint32_t>(slots)};
}

}  // namespace

const char* layer_name(LayerKind kind) noexcept {
  switch (kind) {
    case LayerKind::kShared:
      return "shared";
    case LayerKind::kCohort:
      return "cohort";
    case LayerKind::kAccount:
      return "account";
  }
  return "";
}

Profile Profile::defaults() {
  Profile profile;
  profile.layers_ = {{LayerKind::kShared, 2, 32'768, 1},
                     {LayerKind::kCohort, 2, 8'192, 1},
                     {LayerKind::kAccount, 3, 24'576, 8}};
  return profile;
}

Result<Profile> Profile::create(std::vector<Layer> layers,
                                std::optional<TokenizerReference> tokenizer) {
  Profile profile;
  profile.layers_ = std::move(layers);
  profile.tokenizer_ = std::move(tokenizer);
  COUNTERMARK_CHECK(check_tokenizer_reference(profile.tokenizer_));
  return parse(profile.canonical_json());
}

Result<Profile> Profile::parse(std::string_view json) {
  COUNTERMARK_TRY(const JsonDocument document, JsonDocument::parse(json));
  COUNTERMARK_CHECK(document.only_members("", {"scheme", "layers", "tokenizer"}));
  COUNTERMARK_TRY(const std::string scheme, document.string_at("/scheme"));
  if (scheme == "countermark/1-draft")
    return fail(document.error_at("/scheme", ErrorCode::kUnsupported,
                                  "the draft of " + std::string(kScheme) +
                                      " has ended: make a new profile (countermark profile new)"));
  if (scheme != kScheme)
    return fail(document.error_at("/scheme", ErrorCode::kUnsupported,
                                  "this version does not know the scheme"));
  if (!document.root().contains("layers") || !document.root()["layers"].is_array())
    return fail(document.error_at("/layers", ErrorCode::kInvalidInput, "expected an array"));
  Profile profile;
  for (std::size_t i = 0; i < document.root()["layers"].size(); ++i) {
    COUNTERMARK_TRY(const Layer layer, parse_layer(document, "/layers/" + std::to_string(i)));
    profile.layers_.push_back(layer);
  }
  COUNTERMARK_TRY(profile.tokenizer_, parse_tokenizer_reference(document));
  if (const Broken broken = first_broken_rule(profile.layers_))
    return fail(document.error_at(broken->first, ErrorCode::kInvalidInput, broken->second));
  return profile;
}

std::vector<std::uint8_t> Profile::layers_of(LayerKind kind) const {
  std::vector<std::uint8_t> out;
  for (std::size_t i = 0; i < layers_.size(); ++i)
    if (layers_[i].kind == kind) out.push_back(static_cast<std::uint8_t>(i));
  return out;
}

std::string Profile::canonical_json() const { return to_json(*this).dump(); }

std::string Profile::pretty_json() const { return to_json(*this).dump(2) + "\n"; }

std::string Profile::digest() const { return to_hex(sha256(canonical_json())); }

}  // namespace countermark
