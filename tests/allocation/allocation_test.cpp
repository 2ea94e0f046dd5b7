// SPDX-License-Identifier: Apache-2.0
// An engine's step allocates nothing once its memory is reserved. In a program of its own, since
// it counts every allocation.
#include <gtest/gtest.h>

#include <countermark.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "tests/support/random.h"
#include "watermark/batch.h"
#include "watermark/sampler.h"

namespace {
std::atomic<std::size_t> allocations{0};
}  // namespace

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"  // they are a pair of their own
#endif

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  ++allocations;
  const auto unit = static_cast<std::size_t>(alignment);
  if (void* memory = std::aligned_alloc(unit, (size + unit - 1) / unit * unit)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace countermark::tests {
namespace {

// The rows of a model-like vocabulary, in every type.
struct Rows {
  explicit Rows(std::size_t size) : f32(size), half(size) {
    SplitMix64 random(1);
    for (std::size_t i = 0; i < size; ++i) {
      f32[i] = static_cast<float>(20 * random.unit());
      half[i] = static_cast<std::uint16_t>(0x3c00 + random.below(0x800));
    }
  }
  std::vector<float> f32;
  std::vector<std::uint16_t> half;
};

const SamplingOptions kOptions[] = {
    {}, {0}, {0.7, 50, 0.95, 0}, {1, 0, 0.9, 0}, {1, 0, 1, 0.05}, {1e-5}, {1, 5'000, 1, 0}};

TEST(Allocation, CountsAtAll) {
  const std::size_t before = allocations;
  const std::vector<int> memory(10);
  EXPECT_GT(allocations, before);
  struct alignas(64) Line {
    int places[16];
  };
  const std::size_t between = allocations;
  const std::vector<Line> lines(10);
  EXPECT_GT(allocations, between);
}

TEST(Allocation, NoStepAllocates) {
  constexpr std::size_t kVocabulary = 40'000;
  const Rows rows(kVocabulary);
  SplitMix64 random(2);
  for (const Kernel* kernel : all_kernels()) {
    if (kernel->supported() == 0) continue;
    const NativeMark mark = make_mark(random.epoch_key(), Profile::defaults(), kernel);
    Response response(mark, {"cohort", "account"}, "nonce", random.secret<16>(), 300);
    SamplerWorkspace workspace;
    const std::vector<TokenId> path = {5, 6, 7};
    workspace.reserve(kVocabulary, path.size());
    const std::size_t before = allocations;
    for (int step = 0; step < 28; ++step) {
      const SamplingOptions& options = kOptions[step % 7];
      for (const LogitsRow& row :
           {LogitsRow(rows.f32), LogitsRow::f16(rows.half), LogitsRow::bf16(rows.half)}) {
        ASSERT_TRUE(sample(row, options, response, {}, 0, workspace).has_value());
        ASSERT_TRUE(sample(row, options, response, path, 1, workspace).has_value());
      }
      const std::size_t point = response.mark_point();
      response.commit(static_cast<TokenId>(step));
      if (step % 5 == 0) response.rewind(point);
    }
    EXPECT_EQ(allocations - before, 0u) << kernel->name;
  }
}

TEST(Allocation, NoBatchAllocates) {
  constexpr std::size_t kVocabulary = 1'000;
  const Rows vocabulary(kVocabulary);
  SplitMix64 random(3);
  const NativeMark mark = make_mark(random.epoch_key(), Profile::defaults());
  Response response(mark, {"cohort", "account"}, "nonce", random.secret<16>(), 300);
  std::vector<BatchRow> rows;
  for (std::uint32_t i = 0; i < 12; ++i)
    rows.push_back({LogitsRow(vocabulary.f32),
                    {0.7, 50, 0.95, 0},
                    &response,
                    0,
                    i == 0 ? BatchRow::kNoParent : (i - 1) / 2,
                    i});
  std::vector<Result<Draw>> draws(rows.size());
  BatchWorkspace workspace;
  workspace.reserve(rows.size(), kVocabulary, rows.size());
  const std::size_t before = allocations;
  for (int step = 0; step < 20; ++step) {
    sample_batch(rows, workspace, draws);
    ASSERT_TRUE(draws.back().has_value());
    response.commit(draws[0]->token);
  }
  EXPECT_EQ(allocations - before, 0u);
}

// Through the C interface, on a response and on a copy of it.
TEST(Allocation, NoStepInCAllocates) {
  constexpr std::size_t kVocabulary = 1'000;
  const Rows vocabulary(kVocabulary);
  const std::string key = SplitMix64(4).epoch_key().to_text();
  cm_service_options options = CM_INIT(cm_service_options);
  options.key = key.data();
  options.key_size = key.size();
  options.may_leak_timing = 1;
  cm_service* service = nullptr;
  ASSERT_EQ(cm_service_create(&options, &service, nullptr), CM_OK);
  cm_response_options wanted = CM_INIT(cm_response_options);
  wanted.account = "account";
  wanted.max_tokens = 300;
  std::array<cm_response*, 2> responses{};
  ASSERT_EQ(cm_response_create(service, &wanted, &responses[0], nullptr), CM_OK);
  ASSERT_EQ(cm_response_copy(responses[0], &responses[1], nullptr), CM_OK);
  cm_workspace* workspace = nullptr;
  ASSERT_EQ(cm_workspace_create(8, kVocabulary, 3, &workspace, nullptr), CM_OK);
  std::array<cm_row, 8> rows;
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    rows[i] = CM_INIT(cm_row);
    rows[i].response = responses[i / 4];
    rows[i].logits = vocabulary.f32.data();
    rows[i].size = kVocabulary;
    rows[i].temperature = 0.7;
    rows[i].top_k = i % 2 == 0 ? 50 : 0;
    rows[i].parent = i % 4 == 0 ? 0 : i;
    rows[i].draft = i;
  }
  std::array<cm_draw, 8> draws;
  const std::size_t before = allocations;
  for (int step = 0; step < 100; ++step) {
    ASSERT_EQ(cm_sample(service, workspace, rows.data(), rows.size(), draws.data(), nullptr),
              CM_OK);
    for (std::size_t i = 0; i < 2; ++i)
      ASSERT_EQ(cm_commit(responses[i], draws[4 * i].token), CM_OK);
    const std::uint64_t back = step % 10 == 9 ? 5 : 0;
    ASSERT_EQ(cm_rewind(responses[1], cm_mark_point(responses[1]) - back), CM_OK);
  }
  EXPECT_EQ(allocations - before, 0u);
  cm_workspace_free(workspace);
  for (cm_response* response : responses) cm_response_free(response);
  cm_service_free(service);
}

}  // namespace
}  // namespace countermark::tests
