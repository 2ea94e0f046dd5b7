// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/bpe_model.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <limits>

namespace countermark::text {
namespace {

constexpr std::uint32_t kEnd = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kNoPair = Tournament::kNone;
// Up to here looking through all pairs for the best is faster than a tournament.
constexpr std::size_t kFew = 32;
// Longer runs of tokens are merged in windows; one fits into the first cache.
constexpr std::size_t kWindow = 512;

}  // namespace

// Between two guards, which merge with nothing.
void BpeModel::merge_few(TokenSpan tokens, std::vector<TokenId>& ids) const {
  const std::size_t size = tokens.size();
  std::array<TokenId, kFew + 2> token;
  std::array<std::uint64_t, kFew + 2> pair;  // a token and the next: rank << 32 | place
  std::array<std::uint8_t, kFew + 2> next;
  std::array<std::uint8_t, kFew + 2> previous;
  const auto note = [&](std::size_t at, std::uint32_t rank) {
    pair[at] = std::uint64_t{rank} << 32 | at;
    merges_.fetch(rank);
  };
  token[0] = token[size + 1] = kNoToken;
  std::copy(tokens.begin(), tokens.end(), token.begin() + 1);
  for (std::size_t at = 0; at <= size; ++at) {
    next[at] = static_cast<std::uint8_t>(at + 1);
    previous[at + 1] = static_cast<std::uint8_t>(at);
    note(at, merges_.first_rank(token[at], token[at + 1]));
  }
  for (;;) {
    std::uint64_t best = kNoPair;
    for (std::size_t at = 1; at < size; ++at) best = std::min(best, pair[at]);
    if (best >> 32 == MergeTable::kNoRank) break;
    const auto at = static_cast<std::uint8_t>(best);
    const std::uint8_t right = next[at];
    const auto rank = static_cast<std::uint32_t>(best >> 32);
    const TokenId merged = merges_.merged(rank, token[at], token[right]);
    if (merged == kNoToken) {
      pair[at] = kNoPair;
      continue;
    }
    token[at] = merged;
    next[at] = next[right];
    previous[next[at]] = at;
    pair[right] = kNoPair;
    note(at, merges_.rank(merged, token[next[at]]));
    note(previous[at], merges_.rank(token[previous[at]], merged));
  }
  for (std::size_t at = 1; at <= size; at = next[at]) ids.push_back(token[at]);
}

void BpeModel::merge_many(TokenSpan tokens, Scratch& scratch) const {
  assert(tokens.size() < kEnd);
  auto& symbols = scratch.symbols;
  auto& best = scratch.best;
  const auto size = static_cast<std::uint32_t>(tokens.size());
  const auto look_up = [&](std::uint32_t at) {
    const auto& symbol = symbols[at];
    if (symbol.next == kEnd) return kNoPair;
    return std::uint64_t{merges_.rank(symbol.id, symbols[symbol.next].id)} << 32 | at;
  };

  symbols.resize(size);
  for (std::uint32_t at = 0; at < size; ++at)
    symbols[at] = {tokens[at], at == 0 ? kEnd : at - 1, at + 1 == size ? kEnd : at + 1};
  best.reset(size);
  for (std::uint32_t at = 0; at < size; ++at) best.set(at, look_up(at));
  best.settle();

  while (best.least() >> 32 != MergeTable::kNoRank) {
    const auto at = static_cast<std::uint32_t>(best.least());
    const auto rank = static_cast<std::uint32_t>(best.least() >> 32);
    auto& left = symbols[at];
    const std::uint32_t gone = left.next;
    const TokenId merged = merges_.merged(rank, left.id, symbols[gone].id);
    if (merged == kNoToken) {
      best.change(at, kNoPair);
      continue;
    }
    left.id = merged;
    left.next = symbols[gone].next;
    if (left.next != kEnd) symbols[left.next].previous = at;
    best.change(gone, kNoPair);
    best.change(at, look_up(at));
    if (left.previous != kEnd) best.change(left.previous, look_up(left.previous));
  }
  scratch.made.clear();
  scratch.begins.clear();
  for (std::uint32_t at = size == 0 ? kEnd : 0; at != kEnd; at = symbols[at].next) {
    scratch.made.push_back(symbols[at].id);
    scratch.begins.push_back(at);
  }
  scratch.begins.push_back(size);
}

// Why windows give what the whole gives: if no merge crosses a place, what happens on either side
// of it is what happens to that side alone, since the best of all pairs is the best of its side.
// Hence a run of tokens is what a text merges into if and only if each comes out of its own part
// alone and any two neighbours come out of theirs: the first merge across a border would happen
// among its two neighbours alone as well. All neighbours here come out of one window, since two
// windows meet in a token that both have made.
void BpeModel::merge(Scratch& scratch, std::vector<TokenId>& ids) const {
  const TokenSpan tokens = scratch.tokens;
  if (tokens.size() <= kFew) return merge_few(tokens, ids);
  const std::size_t before = ids.size();
  std::size_t window = kWindow;
  std::size_t begin = 0;
  TokenSpan merged{};   // what `scratch` holds the tokens of
  std::size_t met = 0;  // how long the first token must be, if not 0
  for (;;) {
    const bool is_last = tokens.size() - begin <= window;
    const TokenSpan here = tokens.subspan(begin, is_last ? std::dynamic_extent : window);
    // Text that repeats itself, as one letter does, repeats its windows too.
    if (!std::ranges::equal(here, merged)) merge_many(here, scratch);
    merged = here;
    const auto& begins = scratch.begins;
    // The token that the next window begins with is far from this one's end, which misleads.
    const auto far = std::upper_bound(begins.begin(), begins.end(), window - window / 4);
    const auto next =
        is_last ? scratch.made.size() : static_cast<std::size_t>(far - begins.begin()) - 1;
    if ((met != 0 && begins[1] != met) || next == 0) {
      // An end has reached back that far. Windows double, so that there are few attempts.
      window *= 2;
      ids.resize(before);
      begin = met = 0;
      continue;
    }
    ids.insert(ids.end(), scratch.made.begin(),
               scratch.made.begin() + static_cast<std::ptrdiff_t>(next));
    if (is_last) return;
    met = begins[next + 1] - begins[next];
    begin += begins[next];
  }
}

}  // namespace countermark::text
