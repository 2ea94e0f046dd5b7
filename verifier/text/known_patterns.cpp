// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/known_patterns.h"

#include <algorithm>
#include <string>

#include "verifier/text/pattern.h"
#include "verifier/text/scan.h"

namespace countermark::text {
namespace {

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
              R"(\s?[)" + std::string(kListedPunctuation) + "]+",
              R"(\s+$)",
              std::string(kCjk),
              R"(\p{N}+)"};
    case Family::kDeepSeekCoder:
      return {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", std::string(kCjk), R"(\p{N})"};
    case Family::kDeepSeek3:
      return {R"(\p{N}{1,3})", "[" + std::string(kHanAndKana) + "]+",
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

}  // namespace

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

const Scan* scan_of(const std::vector<Cut>& cuts) {
  struct Known {
    std::vector<Cut> cuts;
    const Scan* scan;
  };
  static const std::vector<Known> kKnown = [] {
    std::vector<Known> known;
    for (const auto& [family, scan] :
         {std::pair(Family::kGpt2, &kGpt2Scan), std::pair(Family::kLlama3, &kLlama3Scan),
          std::pair(Family::kQwen2, &kQwen2Scan), std::pair(Family::kGpt4, &kGpt4Scan),
          std::pair(Family::kGpt4o, &kGpt4oScan), std::pair(Family::kDeepSeek3, &kDeepSeek3Scan),
          std::pair(Family::kDeepSeekCoder, &kDeepSeekCoderScan),
          std::pair(Family::kDeepSeekLlm, &kDeepSeekLlmScan)}) {
      known.push_back({*cuts_of(family), scan});
      // Where one pattern matches all there is, keeping the matches keeps all.
      if (known.back().cuts.size() == 1) {
        known.push_back(known.back());
        known.back().cuts[0].keep = Cut::Keep::kMatches;
      }
    }
    // Hugging Face's files say Digits for the numbers of deepseek-coder.
    known.push_back({*cuts_of(Family::kDeepSeekCoder), &kDeepSeekCoderDigitsScan});
    known.back().cuts.back().pattern = digit_pattern();
    return known;
  }();
  const auto found = std::find_if(kKnown.begin(), kKnown.end(),
                                  [&](const Known& known) { return known.cuts == cuts; });
  return found == kKnown.end() ? nullptr : found->scan;
}

}  // namespace countermark::text
