// SPDX-License-Identifier: Apache-2.0
// Other systems' marks for tests: profiles from as little as a scheme needs, and random keys.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/random_numbers.h"
#include "watermark/marks/foreign_mark.h"

namespace countermark::tests {

inline ForeignProfile foreign_profile(const std::string& json) {
  return ForeignProfile::parse(json).value();
}

// The scheme by its defaults; `vocab_size` where it needs one.
inline ForeignProfile foreign_profile(const SchemeInfo& scheme, std::uint32_t vocab_size) {
  std::string json = R"({"scheme":")" + std::string(scheme.id) + "\"";
  if (scheme.has(Field::kVocabSize)) json += ",\"vocabSize\":" + std::to_string(vocab_size);
  return foreign_profile(json + "}");
}

inline ForeignKey foreign_key(const std::string& text) { return ForeignKey::parse(text).value(); }

// A key that the profile's scheme takes; integers are from 0 to 2^63 - 1.
inline ForeignKey random_foreign_key(const ForeignProfile& profile, RandomNumbers& random) {
  const SchemeInfo& scheme = profile.scheme();
  const auto number = [&random] { return std::to_string(random.next() >> 1); };
  if (scheme.key_form == ForeignKey::Form::kHex) {
    std::string text = "hex:";
    const int digits = scheme.has(Field::kMixing) ? 32 : 16;
    for (int i = 0; i < digits; ++i) text += "0123456789abcdef"[random.below(16)];
    return foreign_key(text);
  }
  if (scheme.key_form == ForeignKey::Form::kInteger || !scheme.has(Field::kDepth))
    return foreign_key("int:" + number());
  std::string text = "ints:" + number();
  for (unsigned d = 1; d < profile.parameters().depth; ++d) text += "," + number();
  return foreign_key(text);
}

inline std::vector<TokenId> random_ids(RandomNumbers& random, std::size_t count,
                                       std::uint32_t vocab_size) {
  std::vector<TokenId> out(count);
  for (TokenId& id : out) id = random.below(vocab_size);
  return out;
}

// A text in the mark's spirit: each token the best of `candidates` random ones below `vocab_size`,
// by its score behind the tokens before it.
inline std::vector<TokenId> planted_ids(const ForeignMark& mark, std::size_t count,
                                        std::uint32_t vocab_size, std::uint64_t seed,
                                        std::size_t candidates = 8) {
  RandomNumbers random(seed);
  const std::size_t width = mark.context_tokens();
  const NullModel model = mark.null_model();
  std::vector<TokenId> ids(width, mark.scheme().padding.value_or(0));
  std::vector<PrfInput> inputs(candidates);
  std::vector<std::uint64_t> raws(candidates);
  std::vector<std::uint32_t> units(candidates);
  while (ids.size() < width + count) {
    const std::vector<TokenId> tokens = random_ids(random, candidates, vocab_size);
    std::vector<TokenId> contexts;
    for (std::size_t i = 0; i < candidates; ++i)
      contexts.insert(contexts.end(), ids.end() - static_cast<std::ptrdiff_t>(width), ids.end());
    std::vector<std::uint64_t> sums(candidates);
    for (unsigned key = 0; key < mark.keys(); ++key) {
      mark.inputs(key, contexts, tokens, inputs);
      mark.raw_values(key, inputs, raws);
      scores(mark, raws, units);
      const std::uint64_t weight = mark.keys() == 1 ? 1 : key == 0 ? model.a : model.b;
      for (std::size_t i = 0; i < candidates; ++i) sums[i] += weight * units[i];
    }
    const auto best = std::max_element(sums.begin(), sums.end()) - sums.begin();
    ids.push_back(tokens[static_cast<std::size_t>(best)]);
  }
  ids.erase(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(width));
  return ids;
}

}  // namespace countermark::tests
