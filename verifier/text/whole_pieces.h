// SPDX-License-Identifier: Apache-2.0
// Pieces that are tokens before any merge. Nearly every piece that is looked up here is none, since
// those that are have been met before: that is told from a few bits, without a look at the words.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "verifier/text/vocabulary.h"

namespace countermark::text {

class WholePieces {
 public:
  explicit WholePieces(IdsByString ids);

  std::optional<TokenId> find(std::string_view piece) const;

 private:
  struct Place {
    std::size_t word;
    std::uint64_t bits;
  };
  Place place(std::string_view piece) const;

  IdsByString ids_;
  // Two bits for each piece, both in one word (Bloom 1970, in blocks). Empty: there are none.
  std::vector<std::uint64_t> filter_{};
};

}  // namespace countermark::text
