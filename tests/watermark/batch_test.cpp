// SPDX-License-Identifier: Apache-2.0
// What a batch makes of its rows: the same draws as one by one, errors where they belong, and no
// memory of its own after the first step.
#include "watermark/batch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "tests/support/toy_engine.h"

namespace countermark::tests {
namespace {

class Batch : public ::testing::Test {
 protected:
  const std::vector<Result<Draw>>& draw(const std::vector<BatchRow>& rows) {
    out_.resize(rows.size());
    sample_batch(rows, workspace_, out_);
    return out_;
  }

  Response response(std::size_t max_contexts = 100) {
    return {mark_, {"cohort", "account"}, "nonce", random_.secret<16>(), 100, max_contexts};
  }

  // What `sample` says of one row after an explicit path.
  static void expect_drawn_alone(const Result<Draw>& draw, const BatchRow& row, TokenSpan path) {
    SamplerWorkspace workspace;
    const auto expected =
        sample(row.logits, row.options, *row.response, path, row.attempt, workspace);
    ASSERT_EQ(draw.has_value(), expected.has_value());
    if (!draw) {
      EXPECT_EQ(draw.error().code, expected.error().code);
      return;
    }
    EXPECT_EQ(draw->token, expected->token);
    EXPECT_STREQ(draw_kind_name(draw->kind), draw_kind_name(expected->kind));
    EXPECT_EQ(draw->layer, expected->layer);
  }

  SplitMix64 random_{1};
  NativeMark mark_ = make_mark(random_.epoch_key(), Profile::defaults());
  BatchWorkspace workspace_;
  std::vector<Result<Draw>> out_;
};

TEST_F(Batch, DrawsEachRowAsIfItWereAlone) {
  int kinds[8] = {};
  for (int round = 0; round < 400; ++round) {
    const ToyModel model{2 + random_.below(6), 2};
    std::vector<Response> responses;
    DraftTrees trees;
    for (std::uint32_t left = 1 + random_.below(5); left > 0; --left)
      responses.push_back(response(random_.below(30)));
    for (Response& response : responses) {
      for (std::uint32_t left = random_.below(20); left > 0; --left)
        response.commit(random_.below(model.vocab_size));
      // Some have more than one tree.
      for (std::uint32_t left = 1 + random_.below(2); left > 0; --left)
        trees.grow(model, response, 1 + random_.below(25), random_);
    }
    // Options, attempts and candidate lists differ from row to row.
    const std::vector<TokenId> ids = {7, 3, 1'000'000};
    const std::vector<float> logits = {0, 1, 0.5F};
    for (BatchRow& row : trees.rows) {
      row.options = {0.5 * random_.below(4), random_.below(4), 0.25 * (1 + random_.below(4)), 0};
      row.attempt = random_.below(8) == 0 ? random_.below(3) : 0;
      if (random_.below(8) == 0) row.logits = {logits, ids};
    }
    draw(trees.rows);
    for (std::size_t row = 0; row < trees.rows.size(); ++row) {
      expect_drawn_alone(out_[row], trees.rows[row], trees.paths[row]);
      ++kinds[static_cast<std::size_t>(out_[row]->kind)];
    }
  }
  for (const DrawKind kind :
       {DrawKind::kMarked, DrawKind::kShortContext, DrawKind::kRepeated, DrawKind::kHistoryFull,
        DrawKind::kRedraw, DrawKind::kOneCandidate, DrawKind::kGreedy})
    EXPECT_GE(kinds[static_cast<std::size_t>(kind)], 100) << draw_kind_name(kind);
}

TEST_F(Batch, OfNoRows) { EXPECT_TRUE(draw({}).empty()); }

// A draft may be any token: what its parent drew does not matter, nor whether it could.
TEST_F(Batch, ABadRowSpoilsNoOther) {
  const ToyModel model;
  const Response one = response(), other = response();
  constexpr std::uint32_t kNone = BatchRow::kNoParent;
  const std::vector<float> never(4, -std::numeric_limits<float>::infinity());
  const std::vector<TokenId> too_few_ids = {1, 2, 3};

  DraftTrees trees;
  std::vector<std::size_t> refused;
  const auto add = [&](const Response& response, std::uint32_t parent, TokenId draft) {
    trees.add(model, response, parent, draft);
    return static_cast<std::uint32_t>(trees.rows.size() - 1);
  };
  const auto refuse = [&](std::uint32_t parent) {
    trees.add(model, one, kNone, 3);
    trees.rows.back().parent = parent;
    refused.push_back(trees.rows.size() - 1);
    return static_cast<std::uint32_t>(trees.rows.size() - 1);
  };
  const std::uint32_t root = add(one, kNone, 0);
  const std::uint32_t others_root = add(other, kNone, 0);
  const std::uint32_t no_candidate = add(one, root, 2);
  trees.rows.back().logits = {never};
  add(one, no_candidate, 1);
  const std::uint32_t mismatch = add(other, others_root, 1);
  trees.rows.back().logits.ids = too_few_ids;
  add(other, mismatch, 1);
  const std::uint32_t strange = refuse(others_root);  // of another response
  refuse(refuse(strange));                            // below a refused row, and further below
  const auto next = static_cast<std::uint32_t>(trees.rows.size());
  refuse(next);       // itself
  refuse(next + 2);   // a later one
  refuse(kNone - 1);  // none of the batch
  refuse(kNone);
  trees.rows.back().response = nullptr;
  add(one, root, 1);

  draw(trees.rows);
  for (std::size_t row = 0; row < trees.rows.size(); ++row) {
    if (std::find(refused.begin(), refused.end(), row) == refused.end()) {
      expect_drawn_alone(out_[row], trees.rows[row], trees.paths[row]);
    } else {
      ASSERT_FALSE(out_[row].has_value()) << row;
      EXPECT_EQ(out_[row].error().code, ErrorCode::kInvalidArgument);
    }
  }
  EXPECT_EQ(out_[no_candidate].error().code, ErrorCode::kNoCandidate);
  EXPECT_EQ(out_[mismatch].error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(out_.back().has_value());
}

}  // namespace
}  // namespace countermark::tests
