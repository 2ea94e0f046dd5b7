// SPDX-License-Identifier: Apache-2.0
#include "watermark/tokenizer_reference.h"

#include <algorithm>
#include <utility>

#include "watermark/json.h"
#include "watermark/utf8.h"

namespace countermark {

Result<std::optional<TokenizerReference>> parse_tokenizer_reference(const JsonDocument& document) {
  if (!document.root().contains("tokenizer")) return std::nullopt;
  const std::string at = "/tokenizer";
  COUNTERMARK_CHECK(document.only_members(at, {"name", "sha256", "file"}));
  TokenizerReference tokenizer;
  COUNTERMARK_TRY(tokenizer.name, document.string_at(at + "/name"));
  COUNTERMARK_TRY(tokenizer.sha256, document.string_at(at + "/sha256"));
  if (document.root()["tokenizer"].contains("file")) {
    COUNTERMARK_TRY(tokenizer.file, document.string_at(at + "/file"));
  }
  const bool is_digest = tokenizer.sha256.size() == 64 &&
                         std::all_of(tokenizer.sha256.begin(), tokenizer.sha256.end(), [](char c) {
                           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                         });
  if (!is_digest)
    return fail(document.error_at(at + "/sha256", ErrorCode::kInvalidInput,
                                  "expected 64 lower-case hex digits"));
  if (tokenizer.name.empty())
    return fail(document.error_at(at + "/name", ErrorCode::kInvalidInput, "expected a name"));
  return tokenizer;
}

Status check_tokenizer_reference(const std::optional<TokenizerReference>& reference) {
  if (!reference) return {};
  for (const auto& [field, text] : {std::pair{"tokenizer.name", &reference->name},
                                    std::pair{"tokenizer.sha256", &reference->sha256},
                                    std::pair{"tokenizer.file", &reference->file}})
    if (find_invalid_utf8(*text) != kValidUtf8)
      return fail(Error{ErrorCode::kInvalidArgument, "must be UTF-8", {}, field});
  return {};
}

nlohmann::json to_json(const TokenizerReference& reference) {
  nlohmann::json out = {{"name", reference.name}, {"sha256", reference.sha256}};
  if (!reference.file.empty()) out["file"] = reference.file;
  return out;
}

}  // namespace countermark
