// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/unigram.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <utility>

#include "verifier/text/unicode_text.h"

namespace countermark::text {
namespace {

constexpr double kUnknownPenalty = 10;
// Where the best way ends with a character that is no piece.
constexpr std::uint32_t kUnknown = kNoToken - 1;

class Unigram final : public PieceModel {
 public:
  explicit Unigram(UnigramParts parts) : parts_(std::move(parts)) {}

  PieceEncoder::Merge merge() const override {
    return PieceEncoder::one_by_one(
        [this, scratch = Scratch()](std::string_view piece, std::vector<TokenId>& ids) mutable {
          search(piece, scratch);
          collect(piece, scratch);
          ids.insert(ids.end(), scratch.reversed.rbegin(), scratch.reversed.rend());
        });
  }

 private:
  struct Scratch {
    std::vector<std::uint32_t> last{};  // by end: the token that the best way there ends with
    std::vector<double> scores{};       // of those ways; by end, modulo their number
    std::vector<TokenId> reversed{};
  };

  void search(std::string_view text, Scratch& scratch) const {
    const std::size_t room = std::bit_ceil(parts_.longest + 1);
    scratch.last.assign(text.size() + 1, kNoToken);
    scratch.scores.assign(room, 0);
    const double unknown_score = parts_.least_score - kUnknownPenalty;
    for (std::size_t at = 0; at < text.size();) {
      const double till_here = scratch.scores[at & (room - 1)];
      const auto offer = [&](std::size_t end, std::uint32_t token, double score) {
        double& best = scratch.scores[end & (room - 1)];
        if (scratch.last[end] != kNoToken && !(score > best)) return;
        best = score;
        scratch.last[end] = token;
      };
      std::size_t next = at;
      read_character(text, next);
      bool has_character = false;
      parts_.pieces.prefixes(text, at, [&](TokenId id, std::size_t size) {
        offer(at + size, id, parts_.scores[id] + till_here);
        has_character = has_character || at + size == next;
      });
      if (!has_character) offer(next, kUnknown, unknown_score + till_here);
      at = next;
    }
  }

  // Walks back from the end.
  void collect(std::string_view text, Scratch& scratch) const {
    scratch.reversed.clear();
    std::size_t end = text.size();
    std::size_t unknown_end = end;
    while (end > 0) {
      const std::uint32_t token = scratch.last[end];
      const std::size_t begin =
          token == kUnknown ? last_character(text.substr(0, end)) : end - parts_.sizes[token];
      if (token != kUnknown && token != parts_.unknown) {
        if (end < unknown_end)
          append_unknown(text.substr(end, unknown_end - end), scratch.reversed);
        scratch.reversed.push_back(token);
        unknown_end = begin;
      }
      end = begin;
    }
    if (unknown_end > 0) append_unknown(text.substr(0, unknown_end), scratch.reversed);
  }

  void append_unknown(std::string_view text, std::vector<TokenId>& reversed) const {
    // What is unknown character by character may be a piece if scores are positive.
    const Trie::Match whole = parts_.pieces.longest(text, 0);
    const auto token = [this](char c) { return parts_.byte_tokens[static_cast<unsigned char>(c)]; };
    if (whole.size == text.size()) {
      reversed.push_back(whole.id);
    } else if (std::any_of(text.begin(), text.end(),
                           [&](char c) { return token(c) == kNoToken; })) {
      reversed.push_back(parts_.unknown);
    } else {
      for (std::size_t i = text.size(); i-- > 0;) reversed.push_back(token(text[i]));
    }
  }

  UnigramParts parts_;
};

}  // namespace

void UnigramParts::add(std::string_view piece, TokenId id, double score) {
  assert(piece.size() <= kLongestPiece);
  pieces.add(piece, id);
  if (scores.size() <= id) {
    scores.resize(std::size_t{id} + 1);
    sizes.resize(std::size_t{id} + 1);
  }
  scores[id] = score;
  sizes[id] = static_cast<std::uint32_t>(piece.size());
  longest = std::max(longest, piece.size());
  see_score(score);
}

std::unique_ptr<const PieceModel> make_unigram(UnigramParts parts) {
  return std::make_unique<Unigram>(std::move(parts));
}

}  // namespace countermark::text
