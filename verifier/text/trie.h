// SPDX-License-Identifier: Apache-2.0
// Which of many strings begins here, and which stand in a text: leftmost first, then longest.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "verifier/text/bpe_model.h"
#include "watermark/error.h"
#include "watermark/token.h"

namespace countermark::text {

class Trie {
 public:
  struct Match {
    TokenId id = kNoToken;
    std::size_t size = 0;  // 0: nothing matched
  };

  // Of one string given twice the later id stands. The empty string never matches.
  void add(std::string_view text, TokenId id) {
    std::uint32_t node = 0;
    for (const char c : text) {
      const auto [child, is_new] =
          children_.try_emplace(edge(node, c), static_cast<std::uint32_t>(ids_.size()));
      if (is_new) ids_.push_back(kNoToken);
      node = child->second;
    }
    ids_[node] = id;
  }

  // The longest string that stands in `text` at `at`; linear in the longest of all.
  Match longest(std::string_view text, std::size_t at) const {
    Match best;
    std::uint32_t node = 0;
    for (std::size_t i = at; i < text.size(); ++i) {
      const auto child = children_.find(edge(node, text[i]));
      if (child == children_.end()) break;
      node = child->second;
      if (ids_[node] != kNoToken) best = {ids_[node], i + 1 - at};
    }
    return best;
  }

  // Walks over `text`: appends the ids of the strings that stand in it to `ids` and calls
  // `between(part)`, a Status, for each part before, between and after them that is not empty.
  template <typename Between>
  Status cut(std::string_view text, std::vector<TokenId>& ids, const Between& between) const {
    std::size_t begin = 0;
    for (std::size_t at = 0; at < text.size() && !children_.empty();) {
      const Match match = longest(text, at);
      if (match.size == 0) {
        ++at;
        continue;
      }
      if (begin < at) COUNTERMARK_CHECK(between(text.substr(begin, at - begin)));
      ids.push_back(match.id);
      begin = at += match.size;
    }
    if (begin < text.size()) COUNTERMARK_CHECK(between(text.substr(begin)));
    return {};
  }

 private:
  static std::uint64_t edge(std::uint32_t node, char c) {
    return std::uint64_t{node} << 8 | static_cast<unsigned char>(c);
  }

  std::unordered_map<std::uint64_t, std::uint32_t> children_{};  // by edge
  std::vector<TokenId> ids_{kNoToken};                           // by node
};

}  // namespace countermark::text
