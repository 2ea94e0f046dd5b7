// SPDX-License-Identifier: Apache-2.0
// A toy language model and decoders over it: one token at a time, and by the ways of speculation.
// They draw with the sampler alone, as an engine would.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "tests/support/random.h"
#include "watermark/batch.h"
#include "watermark/sampler.h"

namespace countermark::tests {

// Logits that depend on the last two tokens; small vocabularies make texts repeat themselves.
struct ToyModel {
  TokenId vocab_size = 4;
  double spread = 2;  // logits are uniform in [0, spread)
  std::uint64_t seed = 17;
  std::optional<TokenId> channel_end{};  // the token after which another channel starts

  std::vector<float> logits(TokenSpan committed, TokenSpan path = {}) const {
    std::uint64_t state = seed;
    const std::size_t length = committed.size() + path.size();
    for (std::size_t back = 1; back <= 2 && back <= length; ++back) {
      const std::size_t at = length - back;
      state = 31 * state + (at < committed.size() ? committed[at] : path[at - committed.size()]);
    }
    SplitMix64 random(state);
    std::vector<float> out(vocab_size);
    for (float& logit : out) logit = static_cast<float>(spread * random.unit());
    return out;
  }

  std::vector<double> probabilities(TokenSpan committed, TokenSpan path = {}) const {
    std::vector<double> out;
    double total = 0;
    for (const double logit : logits(committed, path)) {
      out.push_back(std::exp(logit));
      total += out.back();
    }
    for (double& probability : out) probability /= total;
    return out;
  }

  Draw draw(const Response& response, TokenSpan path = {}, std::uint32_t attempt = 0) const {
    SamplerWorkspace workspace;
    return sample({logits(response.tokens(), path)}, {}, response, path, attempt, workspace)
        .value();
  }

  // Commits a token. False when a channel ends with it, and with the channel every draft.
  bool commit(Response& response, TokenId token) const {
    response.commit(token);
    return token != channel_end || !response.start_channel();
  }
};

// Commits one draw after the other until the response has `length` tokens; the draws.
inline std::vector<Draw> decode(const ToyModel& model, Response& response, std::size_t length) {
  std::vector<Draw> draws;
  while (response.tokens().size() < length) {
    draws.push_back(model.draw(response));
    model.commit(response, draws.back().token);
  }
  return draws;
}

// The same by draw-and-match: drafts of 1 to 6 tokens, each right with probability 3/4; all rows
// are drawn as if the draft stood, and kept up to the first draw that differs from it.
inline std::vector<Draw> decode_speculatively(const ToyModel& model, Response& response,
                                              std::size_t length, SplitMix64& random) {
  std::vector<Draw> draws;
  while (response.tokens().size() < length) {
    std::vector<TokenId> draft;
    for (std::uint32_t left = 1 + random.below(6); left > 0; --left)
      draft.push_back(random.below(4) > 0 ? model.draw(response, draft).token
                                          : random.below(model.vocab_size));
    std::vector<Draw> rows;
    for (std::size_t row = 0; row <= draft.size(); ++row)
      rows.push_back(model.draw(response, TokenSpan(draft).first(row)));
    for (std::size_t row = 0; row < rows.size() && response.tokens().size() < length; ++row) {
      draws.push_back(rows[row]);
      if (!model.commit(response, rows[row].token)) break;
      if (row < draft.size() && rows[row].token != draft[row]) break;
    }
  }
  return draws;
}

// Rows for a batch, with what they point to. Moving it keeps the rows valid, copying would not.
struct DraftTrees {
  std::vector<BatchRow> rows{};
  std::vector<std::vector<TokenId>> paths{};  // by row
  std::vector<std::vector<float>> logits{};   // by row

  DraftTrees() = default;
  DraftTrees(DraftTrees&&) = default;
  DraftTrees& operator=(DraftTrees&&) = default;

  // Adds a row below `parent`, an index of a row, or below the committed tokens.
  void add(const ToyModel& model, const Response& response, std::uint32_t parent, TokenId draft,
           std::uint32_t attempt = 0) {
    std::vector<TokenId> path;
    if (parent != BatchRow::kNoParent) {
      path = paths.at(parent);
      path.push_back(draft);
    }
    logits.push_back(model.logits(response.tokens(), path));
    paths.push_back(std::move(path));
    rows.push_back({{logits.back()}, {}, &response, attempt, parent, draft});
  }

  // Adds a tree of `size` rows of random shape. A draft is right with probability 1/2 or more, and
  // siblings may propose the same token.
  void grow(const ToyModel& model, const Response& response, std::uint32_t size,
            SplitMix64& random) {
    const auto root = static_cast<std::uint32_t>(rows.size());
    add(model, response, BatchRow::kNoParent, 0);
    while (rows.size() < root + size) {
      const std::uint32_t parent =
          root + random.below(static_cast<std::uint32_t>(rows.size()) - root);
      add(model, response, parent,
          random.below(2) > 0 ? model.draw(response, paths[parent]).token
                              : random.below(model.vocab_size));
    }
  }
};

// The same by draw-and-match on a tree of 1 to 10 rows: from a row's draw to the child that
// proposed it, until there is none.
inline std::vector<Draw> decode_by_trees(const ToyModel& model, Response& response,
                                         std::size_t length, SplitMix64& random) {
  std::vector<Draw> draws;
  BatchWorkspace workspace;
  while (response.tokens().size() < length) {
    DraftTrees tree;
    tree.grow(model, response, 1 + random.below(10), random);
    std::vector<Result<Draw>> out(tree.rows.size());
    sample_batch(tree.rows, workspace, out);
    for (std::size_t row = 0; row < out.size() && response.tokens().size() < length;) {
      draws.push_back(out[row].value());
      if (!model.commit(response, draws.back().token)) break;
      row = static_cast<std::size_t>(std::find_if(tree.rows.begin(), tree.rows.end(),
                                                  [&](const BatchRow& child) {
                                                    return child.parent == row &&
                                                           child.draft == draws.back().token;
                                                  }) -
                                     tree.rows.begin());
    }
  }
  return draws;
}

// What an engine with a ratio test does to one draft from the law q where the law p is wanted.
struct RatioTest {
  std::vector<double> p;
  std::vector<double> q;

  // Whether the draft stands, by the engine's own random number; if not, p is what is left of it.
  bool accept(TokenId draft, SplitMix64& engine) {
    if (engine.unit() * q[draft] < p[draft]) return true;
    double total = 0;
    for (std::size_t i = 0; i < p.size(); ++i) {
      p[i] = std::max(p[i] - q[i], 0.0);
      total += p[i];
    }
    for (double& probability : p) probability /= total;
    return false;
  }

  // A draw from what is left, after the drafts of `path`.
  TokenId residual(const Response& response, TokenSpan path, std::uint32_t attempt) const {
    std::vector<float> logits;
    for (const double probability : p) logits.push_back(static_cast<float>(std::log(probability)));
    SamplerWorkspace workspace;
    return sample({logits}, {}, response, path, attempt, workspace)->token;
  }
};

}  // namespace countermark::tests
