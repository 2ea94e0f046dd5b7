// SPDX-License-Identifier: Apache-2.0
// What a tokenizer.json says of text before and after its model: normalizer, pre_tokenizer and
// decoder.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "verifier/text/normalizer.h"
#include "verifier/text/pipeline_tokenizer.h"
#include "verifier/text/pretokenizer.h"
#include "verifier/text/tokenizer_json_fields.h"

namespace countermark::text {

struct TextRules {
  Normalizer normalizer{};
  bool on_bytes = false;  // ByteLevel: the model sees bytes in an alphabet of characters
  std::optional<std::vector<Cut>> before{};  // Metaspace; there if cuts come before it
  SpaceMark space_mark{};
  std::vector<Cut> cuts{};
  // The decoder, where it is not ByteLevel.
  std::string decoded_mark{};  // becomes a space; empty: nothing does
  bool decodes_bytes = false;  // "<0x0A>" is a byte
  std::size_t dropped_spaces = 0;
};

// kUnsupported, naming it, for what is not known.
Result<TextRules> read_text_rules(const TokenizerFields& fields);

}  // namespace countermark::text
