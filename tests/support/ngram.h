// SPDX-License-Identifier: Apache-2.0
// A world small enough to be lived through ten thousand times: a teacher whose text can be marked,
// and students of the same class that learn from it.
//
// A model is a trigram model over words, each of its two longer orders interpolated with the next
// shorter one by Witten and Bell's rule (IEEE Trans. Inf. Theory 37, 1991). The teacher learned
// from real text, the licences that every Debian machine has. It remembers more of what it read
// than a neural model does: sizes of effects are upper limits, their order and every null law are
// what is looked at.
//
// No model is for several threads at once while it learns; const functions are.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "tests/support/random.h"
#include "watermark/marks/foreign_sampler.h"
#include "watermark/sampler.h"

namespace countermark::tests {

using Text = std::vector<TokenId>;

struct Candidate {
  TokenId token;
  double probability;

  bool operator==(const Candidate&) const = default;
};

class Ngrams {
 public:
  static constexpr std::uint32_t kMostTokens = 4096;  // of a vocabulary

  // Learns from texts, each by itself. O(n log n).
  Ngrams(std::span<const Text> texts, std::uint32_t vocab_size);

  // The `count` most probable tokens after `before`, of which the last two matter, the most
  // probable one first and of equal ones the smaller id. O(tokens that came after the last one).
  void top(TokenSpan before, std::size_t count, std::vector<Candidate>& out) const;

  std::uint32_t vocab_size() const noexcept { return static_cast<std::uint32_t>(single_.size()); }

 private:
  struct Cell {
    TokenId token;
    std::uint32_t count;
  };
  // How often which tokens came after one context.
  struct After {
    std::span<const Cell> cells{};
    double total = 0;

    double share(std::size_t i, double of_shorter) const noexcept {
      return (cells[i].count + unseen() * of_shorter) / (total + unseen());
    }
    double unseen() const noexcept { return static_cast<double>(cells.size()); }
    double of_others(double of_shorter) const noexcept {
      return cells.empty() ? of_shorter : unseen() * of_shorter / (total + unseen());
    }
  };
  // All contexts of one length, sorted.
  class Order {
   public:
    // Of (context, token) pairs, the token in the lowest bits.
    explicit Order(std::vector<std::uint64_t> grams);
    After after(std::uint64_t context) const noexcept;

   private:
    std::vector<std::uint64_t> contexts_{};
    std::vector<std::size_t> first_{};  // cell of each context, and the end
    std::vector<double> totals_{};
    std::vector<Cell> cells_{};
  };

  static Order order(std::span<const Text> texts, std::size_t width);

  std::vector<double> single_;   // by token
  std::vector<TokenId> common_;  // the most probable ones first
  Order pairs_;
  Order triples_;
};

// Writes by a model, from its 40 most probable tokens. Keeps what it has looked up: one a thread.
class Author {
 public:
  explicit Author(const Ngrams& model) : model_(&model) {}

  // Texts go on from `prompt` and do not repeat it. The marked ones are each one response, drawn
  // by the sampler that servers use.
  Text plain(SplitMix64& random, TokenSpan prompt, std::size_t tokens);
  Text marked(const NativeMark& mark, const Identity& identity, SplitMix64& random,
              TokenSpan prompt, std::size_t tokens);
  Text marked(const SharedForeignMark& mark, SplitMix64& random, TokenSpan prompt,
              std::size_t tokens);

 private:
  struct Row {
    std::vector<TokenId> ids{};
    std::vector<float> logits{};
    std::vector<double> sums{};  // of probabilities, up to each
  };

  const Row& row(TokenSpan before);

  const Ngrams* model_;
  std::unordered_map<std::uint64_t, Row> rows_{};
  std::vector<Candidate> candidates_{};
  SamplerWorkspace workspace_{};
};

// The words of the real text are numbered by how frequent they are.
struct World {
  std::vector<Text> human{};  // paragraphs, each once
  std::uint32_t vocab_size = 0;
  std::unique_ptr<const Ngrams> teacher{};

  // Nothing where there are no licences.
  static std::optional<World> load();

  // Two tokens that stand somewhere in the real text.
  Text prompt(SplitMix64& random) const;
};

// Documents of `size` tokens, `tokens` in all, by whatever `write` gives for a prompt.
template <typename Write>
std::vector<Text> documents(const World& world, SplitMix64& random, std::size_t tokens,
                            std::size_t size, Write write) {
  std::vector<Text> out;
  for (std::size_t done = 0; done < tokens; done += size)
    out.push_back(write(world.prompt(random), std::min(size, tokens - done)));
  return out;
}

// The `count` tokens that a suspect expects most after `before`, as Ngrams::top. Called for one
// place of its reading after the other.
using Predict =
    std::function<void(TokenSpan before, std::size_t count, std::vector<Candidate>& out)>;

Predict reader(const Ngrams& model);
// Expects again, first of all, what followed the two last tokens when it read them last, in
// whichever text.
Predict copier(const Ngrams& model);

// What a suspect predicts while it reads, as countermark.predictions/1.
std::string predictions_file(std::span<const Text> read, const Predict& suspect, std::size_t top_k);

}  // namespace countermark::tests
