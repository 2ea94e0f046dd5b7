// SPDX-License-Identifier: Apache-2.0
// SentencePiece's rules of normalization as its trainer compiles them: the size of a trie in four
// bytes, darts-clone's trie, and replacements, each of which ends in NUL.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace countermark::text {

// Whether a search for any text in `blob` stays inside it and finds at most as many rules at once
// as libsentencepiece has room for, and `accepts` all of the places in the replacements that a
// search leads to.
bool is_safe_charsmap(
    std::string_view blob,
    const std::function<bool(std::string_view replacements, std::size_t at)>& accepts = nullptr);

class Charsmap {
 public:
  // Nothing if `blob` is not safe or a replacement is not UTF-8.
  static std::optional<Charsmap> parse(std::string_view blob);

  // `text`, which is valid UTF-8, as Hugging Face's Precompiled normalizes it: each character by
  // the shortest rule that it begins with, and a cluster of characters of less than six bytes by
  // that of its first. SentencePiece itself takes the longest rule anywhere. Linear.
  std::string apply(std::string_view text) const;

 private:
  Charsmap() = default;
  std::optional<std::string_view> replacement(std::string_view piece) const;

  std::vector<std::uint32_t> units_{};
  std::string replacements_{};
};

}  // namespace countermark::text
