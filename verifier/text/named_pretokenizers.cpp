// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/named_pretokenizers.h"

#include <vector>

#include "verifier/text/pattern.h"
#include "watermark/utf8.h"

namespace countermark::text {
namespace {

enum class Family {
  kGpt2,
  kFalcon,
  kStarCoder,
  kDeepSeekLlm,
  kDeepSeekCoder,
  kDeepSeek3,
  kLlama3,
  kQwen2,
  kGpt4,
  kGpt4o,
};

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

// The cased letters of DeepSeek's tokenizer.json.
constexpr std::string_view kCasedLetters =
    "A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af"
    "\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1"
    "\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5"
    "\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a"
    "\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d"
    "\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3"
    "\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115"
    "\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149"
    "\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d"
    "\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06"
    "\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f\U000104b0-\U000104d3"
    "\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-\U000118df"
    "\U0001e900-\U0001e943";
constexpr std::string_view kCjk = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+";

// What follows the words in the patterns of Llama 3 and its relatives.
constexpr std::string_view kRest = R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

std::string modern(std::string_view numbers) {
  return R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|)" + std::string(numbers) + "|" +
         std::string(kRest);
}

// What stands in the tokenizer.json of the family, or in tiktoken's openai_public.py.
std::vector<std::string> patterns(Family family) {
  switch (family) {
    case Family::kDeepSeekLlm:
      return {R"([\r\n])",
              R"(\s?[)" + std::string(kCasedLetters) + "]+",
              R"(\s?[!-/:-~！-／：-～‘-‟　-。]+)",
              R"(\s+$)",
              std::string(kCjk),
              R"(\p{N}+)"};
    case Family::kDeepSeekCoder:
      return {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", std::string(kCjk), R"(\p{N})"};
    case Family::kDeepSeek3:
      return {R"(\p{N}{1,3})", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
              R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|)"
              R"([^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|)"
              R"(\s*[\r\n]+|\s+(?!\S)|\s+)"};
    case Family::kLlama3:
      return {modern(R"(\p{N}{1,3})")};
    case Family::kQwen2:
      return {modern(R"(\p{N})")};
    case Family::kGpt4:
      return {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}|)"
              R"( ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s)"};
    case Family::kGpt4o:
      return {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
              R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
              R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
              R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}|)"
              R"( ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
    default:
      return {};
  }
}

Result<std::vector<Cut>> cuts_of(Family family) {
  if (family == Family::kGpt2) return std::vector<Cut>{gpt2_cut()};
  if (family == Family::kStarCoder) return std::vector<Cut>{{digit_pattern()}, gpt2_cut()};
  if (family == Family::kFalcon)
    return std::vector<Cut>{
        {punctuation_pattern() + "++"}, gpt2_cut(), byte_digits_cut(), byte_triples_cut()};
  std::vector<Cut> cuts;
  for (const std::string& pattern : patterns(family)) {
    COUNTERMARK_TRY(std::string rewritten, pcre2_pattern(pattern));
    cuts.push_back({std::move(rewritten)});
  }
  return cuts;
}

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
