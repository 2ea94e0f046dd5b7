// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/named_pretokenizers.h"

#include <vector>

#include "verifier/text/known_patterns.h"
#include "watermark/utf8.h"

namespace countermark::text {
namespace {

struct Name {
  const char* name;
  Family family;
  bool whole_pieces = false;
};

constexpr Name kNames[] = {
    {"gpt-2", Family::kGpt2},
    {"gpt2", Family::kGpt2},
    {"r50k_base", Family::kGpt2},
    {"p50k_base", Family::kGpt2},
    {"gpt-neox", Family::kGpt2},
    {"mpt", Family::kGpt2},
    {"olmo", Family::kGpt2},
    {"falcon", Family::kFalcon},
    {"starcoder", Family::kStarCoder},
    {"refact", Family::kStarCoder},
    {"command-r", Family::kStarCoder},
    {"deepseek-llm", Family::kDeepSeekLlm},
    {"deepseek-coder", Family::kDeepSeekCoder},
    {"deepseek-v3", Family::kDeepSeek3},
    {"llama-bpe", Family::kLlama3, true},
    {"llama3", Family::kLlama3, true},
    {"dbrx", Family::kLlama3},
    {"smaug-bpe", Family::kLlama3},
    {"qwen2", Family::kQwen2},
    {"qwen", Family::kQwen2},
    {"deepseek-r1-qwen", Family::kQwen2},
    {"cl100k_base", Family::kGpt4},
    {"o200k_base", Family::kGpt4o},
    {"gpt-4o", Family::kGpt4o},
    {"llama4", Family::kGpt4o},
};

}  // namespace

Result<NamedPretokenizer> named_pretokenizer(std::string_view name) {
  std::string known;
  for (const Name& candidate : kNames) {
    if (name == candidate.name) {
      COUNTERMARK_TRY(const auto cuts, cuts_of(candidate.family));
      COUNTERMARK_TRY(auto pretokenizer, Pretokenizer::create(cuts));
      return NamedPretokenizer{std::move(pretokenizer), candidate.whole_pieces};
    }
    known += (known.empty() ? "" : ", ") + std::string(candidate.name);
  }
  return fail(ErrorCode::kUnsupported,
              "'" + replace_invalid_utf8(name) + "' names no pre-tokenizer; known: " + known);
}

}  // namespace countermark::text
