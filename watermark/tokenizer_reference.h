// SPDX-License-Identifier: Apache-2.0
// Which tokenizer a profile counts tokens with: the member "tokenizer" of every profile.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "watermark/error.h"

namespace countermark {

class JsonDocument;

struct TokenizerReference {
  std::string name{};
  std::string sha256{};  // of the tokenizer's file, 64 lower-case hex digits
  std::string file{};    // relative to the profile; may be empty

  bool operator==(const TokenizerReference&) const = default;
};

// The reference in a profile's document, if it has one; kInvalidInput, with the field.
Result<std::optional<TokenizerReference>> parse_tokenizer_reference(const JsonDocument& document);

// kInvalidArgument, with the field, when a part is not UTF-8 and so cannot be written as JSON.
Status check_tokenizer_reference(const std::optional<TokenizerReference>& reference);

nlohmann::json to_json(const TokenizerReference& reference);

}  // namespace countermark
