// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/bpe_model.h"

#include <algorithm>
#include <cassert>

namespace countermark::text {
namespace {

constexpr std::uint32_t kEnd = std::numeric_limits<std::uint32_t>::max();

// Orders a heap so that the lowest rank, then the leftmost, comes out first.
bool comes_later(const BpeModel::Scratch::Candidate& a, const BpeModel::Scratch::Candidate& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.at > b.at;
}

constexpr std::uint64_t pair_key(TokenId left, TokenId right) {
  return std::uint64_t{left} << 32 | right;
}

}  // namespace

void BpeModel::add_merge(TokenId left, TokenId right, std::uint32_t rank, TokenId merged) {
  rules_[pair_key(left, right)] = Rule{rank, merged};
}

const BpeModel::Rule* BpeModel::find(TokenId left, TokenId right) const {
  const auto rule = rules_.find(pair_key(left, right));
  return rule == rules_.end() ? nullptr : &rule->second;
}

void BpeModel::merge(Scratch& scratch, std::vector<TokenId>& ids) const {
  const auto& tokens = scratch.tokens;
  assert(tokens.size() < kEnd);
  auto& symbols = scratch.symbols;
  auto& heap = scratch.heap;
  symbols.clear();
  heap.clear();
  for (std::uint32_t at = 0; at < tokens.size(); ++at)
    symbols.push_back(
        {tokens[at], at == 0 ? kEnd : at - 1, at + 1 == tokens.size() ? kEnd : at + 1});

  const auto consider = [&](std::uint32_t at) {
    if (at == kEnd || symbols[at].next == kEnd) return false;
    const TokenId left = symbols[at].id;
    const TokenId right = symbols[symbols[at].next].id;
    const Rule* rule = find(left, right);
    if (rule == nullptr) return false;
    heap.push_back({rule->rank, at, left, right, rule->merged});
    return true;
  };
  for (std::uint32_t at = 0; at < symbols.size(); ++at) consider(at);
  std::make_heap(heap.begin(), heap.end(), comes_later);

  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), comes_later);
    const Scratch::Candidate best = heap.back();
    heap.pop_back();
    Scratch::Symbol& left = symbols[best.at];
    // Merged away or changed since the pair was found. A symbol that was merged into its left
    // neighbour has no token any more; while both tokens are the same, so are rank and place.
    if (left.id != best.left || left.next == kEnd || symbols[left.next].id != best.right) continue;
    Scratch::Symbol& right = symbols[left.next];
    left.id = best.merged;
    right.id = kNoToken;
    left.next = right.next;
    if (left.next != kEnd) symbols[left.next].previous = best.at;
    if (consider(left.previous)) std::push_heap(heap.begin(), heap.end(), comes_later);
    if (consider(best.at)) std::push_heap(heap.begin(), heap.end(), comes_later);
  }
  for (std::uint32_t at = symbols.empty() ? kEnd : 0; at != kEnd; at = symbols[at].next)
    ids.push_back(symbols[at].id);
}

}  // namespace countermark::text
