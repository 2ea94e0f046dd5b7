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
constexpr std::int32_t kNone = std::numeric_limits<std::int32_t>::max();
constexpr std::uint32_t kSign = std::uint32_t{1} << 31;
// Up to here looking through all pairs for the best is faster than a tournament.
constexpr std::size_t kFew = 31;
constexpr std::uint32_t kPlaces = kFew + 1;
constexpr std::size_t kTogether = 8;  // words, of which each step waits for memory
// Longer runs of tokens are merged in windows; one fits into the first cache.
constexpr std::size_t kWindow = 512;

}  // namespace

// A short word while it is merged, between two guards, which merge with nothing.
class BpeModel::Word {
 public:
  void begin(TokenSpan tokens, const MergeTable& merges) {
    size_ = tokens.size();
    token_[0] = token_[size_ + 1] = kNoToken;
    for (std::size_t at = 0; at < size_; ++at) token_[at + 1] = tokens[at];
    pair_.fill(kNone);
    for (std::size_t at = 0; at <= size_; ++at) {
      next_[at] = static_cast<std::uint8_t>(at + 1);
      previous_[at + 1] = static_cast<std::uint8_t>(at);
      note(at, merges.first_rank(token_[at], token_[at + 1]), merges);
    }
    after_ = before_ = {};
    forget();
  }

  // Merges one pair; false when there is none.
  bool step(const MergeTable& merges) {
    note(after_at_, merges.rank(after_), merges);
    note(before_at_, merges.rank(before_), merges);
    const std::int32_t best = least();
    if (best >= 0) return false;
    const std::uint32_t at = static_cast<std::uint32_t>(best) % kPlaces;
    const std::uint32_t rank = (static_cast<std::uint32_t>(best) ^ kSign) / kPlaces;
    const std::uint8_t right = next_[at];
    const TokenId merged = merges.merged(rank, token_[at], token_[right]);
    if (merged == kNoToken) {
      pair_[at] = kNone;
      forget();
      return true;
    }
    token_[at] = merged;
    next_[at] = next_[right];
    previous_[next_[at]] = static_cast<std::uint8_t>(at);
    pair_[right] = kNone;
    look(at, merges);
    return true;
  }

  void append_to(std::vector<TokenId>& ids) const {
    for (std::size_t at = 1; at <= size_; at = next_[at]) ids.push_back(token_[at]);
  }

  // What of ranks fits beside a place.
  static constexpr std::uint32_t kRanks = kSign / kPlaces;

 private:
  static constexpr std::size_t kTogether = 8;  // pairs that are compared
  static constexpr std::size_t kNowhere = kFew + kTogether;

  void note(std::size_t at, std::uint32_t rank, const MergeTable& merges) {
    static_assert(MergeTable::kNoRank * kPlaces >= kSign);
    pair_[at] =
        static_cast<std::int32_t>((rank * kPlaces + static_cast<std::uint32_t>(at)) ^ kSign);
    merges.fetch(rank);
  }

  // Asks what the token there becomes with its neighbours, which the next step is told.
  void look(std::size_t at, const MergeTable& merges) {
    after_at_ = at;
    after_ = merges.look(token_[at], token_[next_[at]]);
    before_at_ = previous_[at];
    before_ = merges.look(token_[before_at_], token_[at]);
  }
  void forget() { after_at_ = before_at_ = kNowhere; }

  // Eight by eight, which compilers make vectors of.
  std::int32_t least() const {
    std::array<std::int32_t, kTogether> least;
    std::copy_n(pair_.begin(), kTogether, least.begin());
    for (std::size_t at = kTogether; at < size_; at += kTogether)
      for (std::size_t i = 0; i < kTogether; ++i) least[i] = std::min(least[i], pair_[at + i]);
    for (std::size_t half = kTogether / 2; half > 0; half /= 2)
      for (std::size_t i = 0; i < half; ++i) least[i] = std::min(least[i], least[i + half]);
    return least[0];
  }

  std::size_t size_;
  std::array<TokenId, kFew + 2> token_;
  // A token and the next: the rank, and the place in the low bits; less 2^31, so that those that do
  // not merge are not negative. Room for whole eights.
  std::array<std::int32_t, kNowhere + 1> pair_;
  std::array<std::uint8_t, kFew + 2> next_;
  std::array<std::uint8_t, kFew + 2> previous_;
  // The pairs that the last step made.
  std::size_t after_at_;
  std::size_t before_at_;
  MergeTable::Look after_;
  MergeTable::Look before_;
};

void BpeModel::merge_all(std::span<const TokenSpan> words, Scratch& scratch,
                         std::vector<TokenId>& ids, std::span<std::size_t> ends) const {
  std::array<Word, kTogether> open;
  std::array<Word*, kTogether> at_work;
  for (std::size_t first = 0; first < words.size(); first += kTogether) {
    const auto group = words.subspan(first, std::min(kTogether, words.size() - first));
    std::size_t left = 0;
    const auto is_short = [&](TokenSpan word) {
      return word.size() <= kFew && merges_.ranks() <= Word::kRanks;
    };
    for (std::size_t i = 0; i < group.size(); ++i) {
      if (!is_short(group[i])) continue;
      open[i].begin(group[i], merges_);
      at_work[left++] = &open[i];
    }
    while (left > 0) {
      std::size_t kept = 0;
      for (std::size_t i = 0; i < left; ++i) {
        at_work[kept] = at_work[i];
        kept += at_work[i]->step(merges_) ? std::size_t{1} : 0;
      }
      left = kept;
    }
    for (std::size_t i = 0; i < group.size(); ++i) {
      if (is_short(group[i])) {
        open[i].append_to(ids);
      } else {
        merge_long(group[i], scratch, ids);
      }
      if (!ends.empty()) ends[first + i] = ids.size();
    }
  }
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
void BpeModel::merge_long(TokenSpan tokens, Scratch& scratch, std::vector<TokenId>& ids) const {
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
