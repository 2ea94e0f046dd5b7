// SPDX-License-Identifier: Apache-2.0
// Merging, remembered and not, beside the plainest algorithm there is.
#include "verifier/text/bpe_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "verifier/text/piece_encoder.h"
#include "verifier/text/whole_pieces.h"

namespace countermark::text {
namespace {

using Ids = std::vector<TokenId>;
using Random = std::mt19937_64;

struct Rule {
  std::uint32_t rank;
  TokenId merged;
};
using Rules = std::map<std::pair<TokenId, TokenId>, Rule>;

// The definition: of all adjacent pairs the leftmost of the lowest rank, until there is none.
Ids merged_slowly(const Rules& rules, Ids tokens) {
  std::vector<const Rule*> pairs(std::max(tokens.size(), std::size_t{1}) - 1);
  const auto look_up = [&](std::size_t i) {
    const auto rule = rules.find({tokens[i], tokens[i + 1]});
    pairs[i] = rule == rules.end() ? nullptr : &rule->second;
  };
  for (std::size_t i = 0; i < pairs.size(); ++i) look_up(i);
  for (;;) {
    const auto best =
        std::min_element(pairs.begin(), pairs.end(), [](const Rule* a, const Rule* b) {
          return a != nullptr && (b == nullptr || a->rank < b->rank);
        });
    if (best == pairs.end() || *best == nullptr) return tokens;
    const auto place = best - pairs.begin();
    tokens[static_cast<std::size_t>(place)] = (*best)->merged;
    tokens.erase(tokens.begin() + place + 1);
    pairs.erase(best);
    if (place > 0) look_up(static_cast<std::size_t>(place) - 1);
    if (static_cast<std::size_t>(place) < pairs.size()) look_up(static_cast<std::size_t>(place));
  }
}

std::uint64_t below(Random& random, std::uint64_t limit) { return random() % limit; }

// Rules as no training makes them: any two tokens, any rank (few of them, so that many are equal),
// and as the union the id that the same letters have elsewhere.
struct Table {
  Rules rules{};
  std::vector<Merge> merges{};

  TokenId letters;

  static Table small(Random& random) { return {random, 4, 60, 40}; }
  static Table large(Random& random) { return {random, 3, 400, 200}; }

  // Up to so many of each.
  Table(Random& random, std::size_t most_letters, std::size_t most_merges, std::size_t most_ranks)
      : letters(static_cast<TokenId>(1 + below(random, most_letters))) {
    const std::size_t count = 1 + below(random, most_merges);
    const std::size_t ranks = 1 + below(random, most_ranks);
    std::vector<std::string> spelling;
    std::map<std::string, TokenId> ids;
    for (TokenId id = 0; id < letters; ++id) {
      spelling.emplace_back(1, static_cast<char>('a' + id));
      ids[spelling.back()] = id;
    }
    for (std::size_t i = 0; i < count; ++i) {
      const auto left = static_cast<TokenId>(below(random, spelling.size()));
      const auto right = static_cast<TokenId>(below(random, spelling.size()));
      const std::string both = spelling[left] + spelling[right];
      if (both.size() > 200) continue;
      const auto [known, is_new] = ids.emplace(both, static_cast<TokenId>(spelling.size()));
      if (is_new) spelling.push_back(both);
      const auto rank = static_cast<std::uint32_t>(below(random, ranks));
      rules[{left, right}] = {rank, known->second};
      merges.push_back({left, right, rank, known->second});
    }
  }
};

Ids random_letters(Random& random, TokenId letters, std::size_t size) {
  Ids tokens(size);
  for (TokenId& token : tokens) token = static_cast<TokenId>(below(random, letters));
  return tokens;
}

TEST(BpeModel, IsTheDefinition) {
  Random random(1);
  BpeModel::Scratch scratch;
  Ids tokens;
  for (int i = 0; i < 600; ++i) {
    const Table table = Table::small(random);
    const BpeModel model(table.merges);
    for (const std::size_t size : {0U, 1U, 2U, 3U, 5U, 17U, 31U, 32U, 33U, 34U, 90U}) {
      tokens = random_letters(random, table.letters, size);
      Ids ids{7};
      model.merge(tokens, scratch, ids);
      const Ids slow = merged_slowly(table.rules, tokens);
      ASSERT_EQ(Ids(ids.begin() + 1, ids.end()), slow) << "table " << i << ", " << size;
    }
  }
}

// Long words among short ones, more than are merged at once.
TEST(BpeModel, WordsSideBySideAreMergedOneByOne) {
  Random random(11);
  BpeModel::Scratch scratch;
  for (int i = 0; i < 200; ++i) {
    const Table table = Table::small(random);
    const BpeModel model(table.merges);
    std::vector<Ids> words(below(random, 40));
    std::vector<TokenSpan> spans;
    Ids one_by_one{7};
    std::vector<std::size_t> expected;
    for (Ids& word : words) {
      word = random_letters(random, table.letters, below(random, below(random, 8) == 0 ? 90 : 12));
      spans.emplace_back(word);
      model.merge(word, scratch, one_by_one);
      expected.push_back(one_by_one.size());
    }
    Ids together{7};
    std::vector<std::size_t> ends(words.size());
    model.merge_all(spans, scratch, together, ends);
    EXPECT_EQ(together, one_by_one);
    EXPECT_EQ(ends, expected);
  }
}

// Lengths around one window and of several, and tables that reach far enough back from a window's
// end for it to be done again.
TEST(BpeModel, WindowsAreTheWhole) {
  Random random(2);
  BpeModel::Scratch scratch;
  Ids tokens;
  for (int i = 0; i < 60; ++i) {
    const Table table = Table::large(random);
    const BpeModel model(table.merges);
    for (const std::size_t size : {511U, 512U, 513U, 700U, 1'024U, 2'500U}) {
      tokens = random_letters(random, table.letters, size);
      Ids ids;
      model.merge(tokens, scratch, ids);
      ASSERT_EQ(ids, merged_slowly(table.rules, tokens)) << "table " << i << ", " << size;
    }
  }
}

TEST(BpeModel, WindowsThatRepeatAreTheWhole) {
  Random random(5);
  BpeModel::Scratch scratch;
  Ids tokens;
  for (int i = 0; i < 60; ++i) {
    const Table table = Table::large(random);
    const BpeModel model(table.merges);
    const Ids period = random_letters(random, table.letters, 1 + below(random, 8));
    for (const std::size_t size : {513U, 1'024U, 2'500U}) {
      tokens.clear();
      while (tokens.size() < size) tokens.push_back(period[tokens.size() % period.size()]);
      if (below(random, 2) == 0) tokens[below(random, size)] = 0;
      Ids ids;
      model.merge(tokens, scratch, ids);
      ASSERT_EQ(ids, merged_slowly(table.rules, tokens)) << "table " << i << ", " << size;
    }
  }
}

TEST(BpeModel, MergesAMillionOfOneLetter) {
  constexpr TokenId kMost = 7;  // token i is 2^i letters
  std::vector<Merge> merges;
  for (TokenId id = 0; id < kMost; ++id) merges.push_back({id, id, id, id + 1});
  const BpeModel model(merges);
  BpeModel::Scratch scratch;
  Ids tokens;
  for (const std::size_t size : {std::size_t{1'000'000}, std::size_t{1'000'037}}) {
    tokens.assign(size, 0);
    Ids expected(size >> kMost, kMost);
    for (TokenId id = kMost; id-- > 0;)
      if ((size >> id & 1) != 0) expected.push_back(id);
    Ids ids;
    model.merge(tokens, scratch, ids);
    ASSERT_EQ(ids, expected);
  }
}

// Long runs of numbers that change, next to a plain search.
TEST(Tournament, KnowsTheLeast) {
  Random random(6);
  Tournament tournament;
  for (const std::size_t size : {0U, 1U, 2U, 8U, 9U, 64U, 65U, 513U, 4'097U}) {
    tournament.reset(size);
    EXPECT_EQ(tournament.least(), Tournament::kNone);
    std::vector<std::uint64_t> numbers(size, Tournament::kNone);
    for (std::size_t i = 0; i < size; ++i) tournament.set(i, numbers[i] = below(random, 1'000));
    tournament.settle();
    for (int i = 0; i < 2'000 && size != 0; ++i) {
      ASSERT_EQ(tournament.least(), *std::min_element(numbers.begin(), numbers.end())) << size;
      const std::size_t at = below(random, size);
      numbers[at] = below(random, 4) == 0 ? Tournament::kNone : below(random, 1'000);
      tournament.change(at, numbers[at]);
    }
  }
}

// All of many merges are found, and pairs near them are not.
TEST(MergeTable, IsAMap) {
  Random random(7);
  for (const std::size_t count : {0U, 1U, 12U, 13U, 1'000U, 50'000U}) {
    std::map<std::pair<TokenId, TokenId>, Rule> rules;
    std::vector<Merge> merges;
    for (std::size_t i = 0; i < count; ++i) {
      const auto left = static_cast<TokenId>(below(random, 1'000));
      const auto right = static_cast<TokenId>(below(random, i % 2 == 0 ? 100 : kNoToken));
      // Some have one rank.
      const Rule rule{static_cast<std::uint32_t>(below(random, i % 3 == 0 ? 5'000 : 1U << 31)),
                      static_cast<TokenId>(below(random, 1U << 31))};
      rules[{left, right}] = rule;
      merges.push_back({left, right, rule.rank, rule.merged});
    }
    const MergeTable table(merges);
    std::map<std::uint32_t, std::uint32_t> ranks;  // old and new
    for (const auto& [pair, rule] : rules) ranks.emplace(rule.rank, 0);
    std::uint32_t next = 0;
    for (auto& [rank, number] : ranks) number = next++;
    std::size_t confused = 0;
    for (const auto& [pair, rule] : rules) {
      const auto [left, right] = pair;
      for (const auto rank : {table.rank(left, right), table.first_rank(left, right)}) {
        ASSERT_EQ(rank, ranks[rule.rank]);
        ASSERT_EQ(table.merged(rank, left, right), rule.merged);
      }
      if (rules.contains({left, right + 1})) continue;
      for (const auto rank : {table.rank(left, right + 1), table.first_rank(left, right + 1)}) {
        if (rank == MergeTable::kNoRank) continue;
        ASSERT_EQ(table.merged(rank, left, right + 1), kNoToken);
        ++confused;
      }
    }
    EXPECT_LE(confused, count / 100);
  }
}

// Looking through all merges of a rank for each would take minutes.
TEST(MergeTable, ManyMergesMayHaveOneRank) {
  constexpr TokenId kCount = 300'000;
  std::vector<Merge> merges;
  for (TokenId id = 0; id < kCount; ++id) merges.push_back({id, kCount - id, 7, id});
  const MergeTable table(merges);
  for (TokenId id = 0; id < kCount; ++id) {
    ASSERT_EQ(table.rank(id, kCount - id), 0U);
    ASSERT_EQ(table.merged(0, id, kCount - id), id);
    ASSERT_EQ(table.merged(0, id, kCount - id + 1), kNoToken);
  }
  // A pair of another rank is none of this one.
  merges.push_back({kCount, kCount, 8, 1});
  const MergeTable two(merges);
  EXPECT_EQ(two.merged(1, kCount, kCount), 1U);
  EXPECT_EQ(two.merged(0, kCount, kCount), kNoToken);
}

TEST(WholePieces, AreFoundAndNoOthers) {
  EXPECT_FALSE(WholePieces({}).find("a"));
  IdsByString ids;
  for (TokenId id = 0; id < 10'000; ++id) ids.emplace("piece" + std::to_string(id), id);
  const WholePieces pieces(ids);
  for (TokenId id = 0; id < 20'000; ++id)
    ASSERT_EQ(pieces.find("piece" + std::to_string(id)),
              id < 10'000 ? std::optional(id) : std::nullopt);
}

// What the last letter is decides how everything before it is paired, however far away: each merge
// takes the letter before the last one's.
TEST(BpeModel, AnEndMayReachBackToTheBeginning) {
  constexpr TokenId kX = 0;
  constexpr TokenId kY = 1;
  constexpr TokenId kSize = 3'000;
  Rules rules;
  std::vector<Merge> merges;
  const auto add = [&](TokenId left, TokenId right, std::uint32_t rank, TokenId merged) {
    rules[{left, right}] = {rank, merged};
    merges.push_back({left, right, rank, merged});
  };
  add(kX, kX, kSize + 1, 2);  // last of all, from the left
  add(kX, kY, 0, 3);
  for (TokenId id = 3; id < kSize; ++id) add(kX, id, id - 2, id + 1);
  const BpeModel model(merges);
  BpeModel::Scratch scratch;
  Ids tokens;
  for (const std::size_t size : {600U, 1'500U, 2'900U}) {
    tokens.assign(size, kX);
    Ids pairs;
    model.merge(tokens, scratch, pairs);
    EXPECT_EQ(pairs, merged_slowly(rules, tokens));
    tokens.push_back(kY);
    Ids one;
    model.merge(tokens, scratch, one);
    EXPECT_EQ(one, merged_slowly(rules, tokens));
    EXPECT_EQ(one.size(), 1U);
  }
}

TEST(BpeModel, TheLaterOfTwoRulesStands) {
  const BpeModel model({{1, 2, 5, 10}, {1, 2, 3, 11}});
  BpeModel::Scratch scratch;
  Ids tokens;
  tokens = {1, 2};
  Ids ids;
  model.merge(tokens, scratch, ids);
  EXPECT_EQ(ids, Ids{11});
}

std::string random_piece(Random& random, std::size_t longest) {
  std::string piece(1 + below(random, longest), 'a');
  for (char& c : piece) c = static_cast<char>('a' + below(random, 2));
  return piece;
}

// What merging is to PieceEncoder: here ids up to the largest, as many as the piece likes, none of
// some, of which one can see which piece they came from.
void spell(std::string_view piece, Ids& ids) {
  constexpr TokenId kLargest = (1U << 24) - 1;
  std::uint32_t hash = 1;
  for (const char c : piece) hash = hash * 31 + static_cast<unsigned char>(c);
  for (std::size_t i = 0; i < piece.size() % 6; ++i)
    ids.push_back(kLargest - (hash + static_cast<std::uint32_t>(i)) % 100'000);
}

void expect_as_spelled(PieceEncoder& encoder, const std::vector<std::string>& pieces) {
  std::string text;
  std::vector<std::uint32_t> ends;
  Ids expected{1, 2, 3};
  Ids ids = expected;
  for (const std::string& piece : pieces) {
    text += piece;
    ends.push_back(static_cast<std::uint32_t>(text.size()));
    spell(piece, expected);
  }
  // On the heap, with nothing behind it that could be read.
  const std::vector<char> exact(text.begin(), text.end());
  const char* const limit = exact.data() + exact.size();
  encoder.begin();
  const std::size_t first = ends.size() / 2;
  encoder.add(exact.data(), std::span(ends).first(first), limit, ids);
  const std::uint32_t begin = first == 0 ? 0 : ends[first - 1];
  for (std::size_t i = first; i < ends.size(); ++i) ends[i] -= begin;
  encoder.add(exact.data() + begin, std::span(ends).subspan(first), limit, ids);
  encoder.finish(ids);
  ASSERT_EQ(ids, expected);
}

std::vector<std::string> random_pieces(Random& random) {
  std::vector<std::string> pieces(below(random, PieceEncoder::kMostPieces + 1));
  for (std::string& piece : pieces)
    piece = random_piece(random, below(random, 20) == 0 ? 700 : below(random, 4) == 0 ? 40 : 17);
  return pieces;
}

TEST(PieceEncoder, RemembersOnlyWhatIsSo) {
  Random random(3);
  for (const std::size_t entries : {std::size_t{2}, std::size_t{64}, std::size_t{1} << 16}) {
    ShortPieces known(entries);
    for (int i = 0; i < 1'000; ++i) {
      const std::string piece = random_piece(random, 17);
      const auto key = ShortPieces::key(piece);
      if (known.find(key, known.row(key)) != nullptr) continue;
      Ids ids;
      spell(piece, ids);
      known.add(key, ids, true);
    }
    std::size_t merges = 0;
    PieceEncoder encoder(known, PieceEncoder::one_by_one([&](std::string_view piece, Ids& ids) {
                           ++merges;
                           spell(piece, ids);
                         }));
    // Through the time before there is a memory, and long after what is old has made way.
    std::size_t pieces = 0;
    for (int i = 0; i < 2'000 && !HasFatalFailure(); ++i) {
      const auto batch = random_pieces(random);
      pieces += batch.size();
      expect_as_spelled(encoder, batch);
    }
    EXPECT_GT(merges, 4'096U);
    EXPECT_LT(merges, pieces);
    const std::size_t before = merges;
    expect_as_spelled(encoder, {"once"});
    expect_as_spelled(encoder, {"once", "once", "once"});
    EXPECT_EQ(merges, before + 1);
    // A text that was left before its end leaves nothing behind.
    encoder.begin();
    Ids lost;
    const std::string left = "left";
    encoder.add(left.data(), std::array<std::uint32_t, 1>{4}, left.data() + left.size(), lost);
    expect_as_spelled(encoder, {"once", "more"});
  }
}

TEST(ShortPieces, KeysAreOfPiecesUpToFifteenBytes) {
  const std::string text = "abcdefghijklmnopqrstuvwxyzabcdefghi";
  const auto key = [&](std::size_t size) { return ShortPieces::key(text.substr(0, size)); };
  ShortPieces cache(1'024);
  for (std::size_t size = 1; size <= 17; ++size) {
    EXPECT_TRUE(key(size).equals(ShortPieces::key_of_readable(text.data(), size))) << size;
    cache.add(key(size), Ids{static_cast<TokenId>(size)}, true);
  }
  for (std::size_t size = 1; size <= 17; ++size) {
    const auto* const found = cache.find(key(size), cache.row(key(size)));
    ASSERT_EQ(found != nullptr, size <= ShortPieces::kLongest) << size;
    if (found != nullptr) {
      EXPECT_EQ(found->ids[0] & ShortPieces::kIdMask, size);
    }
  }
  // Bytes of zero count.
  const std::string zeros(3, '\0');
  const auto one = ShortPieces::key(zeros.substr(0, 1));
  const auto two = ShortPieces::key(zeros.substr(0, 2));
  EXPECT_FALSE(one.equals(two));
  cache.add(one, Ids{}, true);
  EXPECT_EQ(cache.find(one, cache.row(one))->size(), 0U);
  EXPECT_EQ(cache.find(two, cache.row(two)), nullptr);
  cache.add(two, Ids{1, 2, 3, 4, 5}, true);  // too many
  EXPECT_EQ(cache.find(two, cache.row(two)), nullptr);
}

TEST(ShortPieces, InAFullRowTheOldestMakesWay) {
  ShortPieces cache(2);
  const auto add = [&](const std::string& piece, bool only_if_free) {
    cache.add(ShortPieces::key(piece), Ids{1}, only_if_free);
  };
  const auto has = [&](const std::string& piece) {
    const auto key = ShortPieces::key(piece);
    return cache.find(key, cache.row(key)) != nullptr;
  };
  for (const char* piece : {"a", "b", "c"}) add(piece, true);
  EXPECT_TRUE(has("a") && has("b") && !has("c"));
  add("c", false);
  EXPECT_TRUE(has("c"));
  EXPECT_NE(has("a"), has("b"));
  add("d", false);
  EXPECT_TRUE(has("c") && has("d") && !has("a") && !has("b"));
}

// More than both generations hold, by number and by size. What is looked up stays for good.
TEST(MetPieces, WhatIsLookedUpStays) {
  for (const std::size_t longest : {std::size_t{16}, std::size_t{480}}) {
    MetPieces pieces;
    Random random(4);
    const auto ids_of = [](std::string_view piece) {
      Ids ids;
      spell(piece, ids);
      return ids;
    };
    const auto find = [&](const std::string& piece) -> std::optional<Ids> {
      const auto found = pieces.find(piece, MetPieces::hash(piece));
      return found ? std::optional(Ids(found->begin(), found->end())) : std::nullopt;
    };
    for (int i = 0; i < 200'000; ++i) {
      std::string piece = std::to_string(i) + random_piece(random, longest);
      ASSERT_FALSE(find(piece));
      pieces.add(piece, MetPieces::hash(piece), ids_of(piece));
      ASSERT_EQ(find(piece), ids_of(piece));
      piece.back() = 'c';
      ASSERT_FALSE(find(piece));
      if (i == 0) pieces.add("kept", MetPieces::hash("kept"), ids_of("kept"));
      if (i == 0) pieces.add("left", MetPieces::hash("left"), ids_of("left"));
      if (i % 100 == 0) {
        ASSERT_EQ(find("kept"), ids_of("kept"));
      }
    }
    EXPECT_FALSE(find("left"));
  }
}

}  // namespace
}  // namespace countermark::text
