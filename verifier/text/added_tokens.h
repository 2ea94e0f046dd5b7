// SPDX-License-Identifier: Apache-2.0
// Tokens that are cut out of a text before anything else is done to it.
#pragma once

#include <string_view>
#include <unordered_map>
#include <vector>

#include "verifier/text/trie.h"
#include "watermark/error.h"
#include "watermark/token.h"

namespace countermark::text {

// The flags of a Hugging Face AddedToken.
struct AddedFlags {
  bool single_word = false;  // not where \w stands beside it
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space after it

  bool operator==(const AddedFlags&) const = default;
};

class AddedTokens {
 public:
  void add(std::string_view content, TokenId id, AddedFlags flags = {});

  // As Trie::cut, with the flags as Hugging Face's library reads them: what is found and then does
  // not stand alone is passed over, and a token that stands in the white space which the one before
  // it took is taken as well, unless it would take the same. Linear.
  template <typename Between>
  Status cut(std::string_view text, std::vector<TokenId>& ids, const Between& between) const {
    if (flags_.empty()) return tokens_.cut(text, ids, between);
    Cursor cursor;
    while (find(text, cursor)) {
      if (cursor.end_before < cursor.begin)
        COUNTERMARK_CHECK(
            between(text.substr(cursor.end_before, cursor.begin - cursor.end_before)));
      ids.push_back(cursor.id);
    }
    if (cursor.end < text.size()) COUNTERMARK_CHECK(between(text.substr(cursor.end)));
    return {};
  }

 private:
  struct Cursor {
    std::size_t at = 0;          // where the search goes on
    std::size_t end_before = 0;  // of the token before the one found
    std::size_t begin = 0;       // of the one found, with the white space that it takes
    std::size_t end = 0;
    std::size_t space_end = 0;  // of the white space last taken, up to which all is white space
    TokenId id = kNoToken;
  };
  bool find(std::string_view text, Cursor& cursor) const;

  Trie tokens_{};
  std::unordered_map<TokenId, AddedFlags> flags_{};  // where there are any
};

}  // namespace countermark::text
