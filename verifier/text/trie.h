// SPDX-License-Identifier: Apache-2.0
// Which of many strings begins here, and which stand in a text: leftmost first, then longest.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
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
    if (text.empty()) return;
    const Head head{static_cast<unsigned char>(text[0]),
                    static_cast<unsigned char>(text.size() > 1 ? text[1] : 0), text.size() > 1};
    if (std::find(heads_.begin(), heads_.end(), head) == heads_.end()) heads_.push_back(head);
    is_first_[head.first] = true;
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

  // Calls `each(id, size)` for every string that stands in `text` at `at`, the shortest first.
  template <typename Each>
  void prefixes(std::string_view text, std::size_t at, const Each& each) const {
    std::uint32_t node = 0;
    for (std::size_t i = at; i < text.size(); ++i) {
      const auto child = children_.find(edge(node, text[i]));
      if (child == children_.end()) break;
      node = child->second;
      if (ids_[node] != kNoToken) each(ids_[node], i + 1 - at);
    }
  }

  // The first string that stands in `text` from `at` on, which is moved to where it begins, or to
  // the end of the text.
  Match find(std::string_view text, std::size_t& at) const {
    for (;; ++at) {
      at = may_begin(text, at);
      if (at == text.size()) return {};
      const Match match = longest(text, at);
      if (match.size != 0) return match;
    }
  }

  // Walks over `text`: appends the ids of the strings that stand in it to `ids` and calls
  // `between(part)`, a Status, for each part before, between and after them that is not empty.
  template <typename Between>
  Status cut(std::string_view text, std::vector<TokenId>& ids, const Between& between) const {
    std::size_t begin = 0;
    for (std::size_t at = 0;;) {
      const Match match = find(text, at);
      if (match.size == 0) break;
      if (begin < at) COUNTERMARK_CHECK(between(text.substr(begin, at - begin)));
      ids.push_back(match.id);
      begin = at += match.size;
    }
    if (begin < text.size()) COUNTERMARK_CHECK(between(text.substr(begin)));
    return {};
  }

 private:
  // The first two bytes of a string, or its only one.
  struct Head {
    unsigned char first;
    unsigned char second;
    bool has_second;

    friend bool operator==(const Head&, const Head&) = default;
  };
  using Block = unsigned char __attribute__((vector_size(16)));
  static constexpr std::size_t kFewHeads = 4;  // more take longer than one byte after another does

  // The first place from `at` on where a string may begin, or the end of `text`. Texts are long and
  // such places rare: goes by blocks where there are few heads.
  std::size_t may_begin(std::string_view text, std::size_t at) const {
    if (heads_.empty()) return text.size();
    while (heads_.size() <= kFewHeads && at + sizeof(Block) < text.size()) {
      Block here;
      Block after;
      std::memcpy(&here, text.data() + at, sizeof here);
      std::memcpy(&after, text.data() + at + 1, sizeof after);
      Block hits{};
      for (const Head& head : heads_) {
        const auto is_first = here == head.first;
        hits |= head.has_second ? is_first & (after == head.second) : is_first;
      }
      std::array<std::uint64_t, 2> any;
      static_assert(sizeof any == sizeof hits);
      std::memcpy(&any, &hits, sizeof hits);
      if ((any[0] | any[1]) != 0) break;
      at += sizeof(Block);
    }
    while (at < text.size() && !is_first_[static_cast<unsigned char>(text[at])]) ++at;
    return at;
  }

  static std::uint64_t edge(std::uint32_t node, char c) {
    return std::uint64_t{node} << 8 | static_cast<unsigned char>(c);
  }

  std::unordered_map<std::uint64_t, std::uint32_t> children_{};  // by edge
  std::vector<TokenId> ids_{kNoToken};                           // by node
  std::vector<Head> heads_{};
  std::array<bool, 256> is_first_{};
};

}  // namespace countermark::text
