// SPDX-License-Identifier: Apache-2.0
// The kernels of other systems' marks: each against the definitions, written plainly, on random
// input.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/support/random.h"
#include "watermark/prf/green_list.h"
#include "watermark/prf/hash.h"
#include "watermark/prf/murmur3.h"
#include "watermark/prf/philox.h"
#include "watermark/prf/synthid_hash.h"
#include "watermark/prf/torch_generator.h"

namespace countermark::tests {
namespace {

using Words = std::vector<std::uint32_t>;

std::vector<const Kernel*> supported_kernels() {
  std::vector<const Kernel*> out;
  for (const Kernel* kernel : all_kernels())
    if (kernel->supported() != 0) out.push_back(kernel);
  return out;
}

Words random_words(SplitMix64& random, std::size_t count, std::uint64_t below = 1ULL << 32) {
  Words out(count);
  for (std::uint32_t& word : out) word = static_cast<std::uint32_t>(random.next() % below);
  return out;
}

constexpr std::size_t kTuples = 101;  // whole vectors and a rest

TEST(ForeignKernels, Vllm) {
  SplitMix64 random(3);
  for (unsigned width = 1; width <= 64; ++width) {
    const std::uint64_t key = random.next();
    const std::uint64_t stream = random.next();
    const Words contexts = random_words(random, kTuples * width);
    const Words tokens = random_words(random, kTuples);
    std::vector<PhiloxBlock> states;
    Words words;
    const auto key_low = static_cast<std::uint32_t>(key);
    const auto key_high = static_cast<std::uint32_t>(key >> 32);
    for (std::size_t n = 0; n < kTuples; ++n) {
      PhiloxBlock state{0x574d4358, width, 0, 0};
      for (std::uint32_t offset = 0; offset < width; offset += 4) {
        for (std::uint32_t i = 0; i < 4; ++i)
          state[i] ^= offset + i < width ? contexts[n * width + offset + i] : 0xffffffff - i;
        state = philox4x32_10(state, key_low ^ offset, key_high);
      }
      states.push_back(state);
      const PhiloxBlock block =
          philox4x32_10({tokens[n] >> 2, state[0], state[1], state[2]},
                        key_low ^ state[3] ^ static_cast<std::uint32_t>(stream >> 32),
                        key_high ^ 0x574d544b ^ static_cast<std::uint32_t>(stream));
      words.push_back(block[tokens[n] & 3]);
    }
    for (const Kernel* kernel : supported_kernels()) {
      std::vector<PhiloxBlock> found_states(kTuples);
      Words found(kTuples);
      vllm_states(key, width, contexts, found_states, kernel);
      vllm_words(key, stream, states, tokens, found, kernel);
      ASSERT_EQ(found_states, states) << kernel->name << ' ' << width;
      ASSERT_EQ(found, words) << kernel->name << ' ' << width;
    }
  }
}

TEST(ForeignKernels, Sbw) {
  SplitMix64 random(4);
  std::vector<std::uint64_t> seeds(kTuples);
  for (std::uint64_t& seed : seeds) seed = random.next();
  const Words tokens = random_words(random, kTuples);
  Words words;
  for (std::size_t n = 0; n < kTuples; ++n)
    words.push_back(philox4x32_10({tokens[n] >> 2, 0, 0, 0}, static_cast<std::uint32_t>(seeds[n]),
                                  static_cast<std::uint32_t>(seeds[n] >> 32))[tokens[n] & 3]);
  for (const Kernel* kernel : supported_kernels()) {
    Words found(kTuples);
    sbw_words(seeds, tokens, found, kernel);
    ASSERT_EQ(found, words) << kernel->name;
  }
}

TEST(ForeignKernels, Sglang) {
  SplitMix64 random(5);
  for (unsigned width = 1; width <= 64; ++width) {
    const std::uint64_t key = random.next();
    const Words contexts = random_words(random, kTuples * width);
    const Words tokens = random_words(random, kTuples);
    Words hashes, words;
    for (std::size_t n = 0; n < kTuples; ++n) {
      hashes.push_back(murmur3_words(std::span(contexts).subspan(n * width, width)));
      words.push_back(
          murmur3_words(std::array{static_cast<std::uint32_t>(key),
                                   static_cast<std::uint32_t>(key >> 32), hashes[n], tokens[n]}));
    }
    for (const Kernel* kernel : supported_kernels()) {
      Words found(kTuples);
      sglang_context_hashes(width, contexts, found, kernel);
      ASSERT_EQ(found, hashes) << kernel->name << ' ' << width;
      sglang_words(key, found, tokens, found, kernel);  // in place
      ASSERT_EQ(found, words) << kernel->name << ' ' << width;
    }
  }
}

TEST(ForeignKernels, SynthId) {
  SplitMix64 random(6);
  for (std::size_t depth = 0; depth <= kMaxSynthIdDepth; ++depth) {
    std::vector<std::uint64_t> hashes(kTuples), bits(kTuples);
    std::vector<std::int64_t> keys(depth);
    for (std::uint64_t& hash : hashes) hash = random.next();
    for (std::int64_t& key : keys) key = static_cast<std::int64_t>(random.next());
    const Words tokens = random_words(random, kTuples);
    for (std::size_t n = 0; n < kTuples; ++n)
      for (std::size_t d = 0; d < depth; ++d) {
        auto k = synthid_accumulate(synthid_accumulate(hashes[n], tokens[n]),
                                    static_cast<std::uint64_t>(keys[d]));
        for (int round = 0; round < 12; ++round)
          k = static_cast<std::uint64_t>(static_cast<std::int64_t>(synthid_accumulate(k, 1)) >> 5);
        bits[n] |= (k >> 30 & 1) << d;
      }
    for (const Kernel* kernel : supported_kernels()) {
      std::vector<std::uint64_t> found = hashes;
      synthid_bits(found, tokens, keys, found, kernel);  // in place
      ASSERT_EQ(found, bits) << kernel->name << ' ' << depth;
    }
  }
}

// Few tokens a seed and many, on both sides of what makes a list worth while.
TEST(ForeignKernels, GreenBits) {
  SplitMix64 random(7);
  struct Shape {
    std::uint32_t vocab_size, green_size;
  };
  for (const Shape& shape : {Shape{2, 1}, Shape{64, 63}, Shape{1000, 250}, Shape{4096, 2048},
                             Shape{50'257, 12'564}, Shape{151'936, 1000}}) {
    Words seeds{0, 0xffffffff}, tokens{0, shape.vocab_size - 1};
    for (const std::size_t count : {1u, 2u, 30u, 3u, 1u, 100u}) {
      const auto seed = static_cast<std::uint32_t>(random.next());
      for (std::size_t i = 0; i < count; ++i) {
        seeds.push_back(seed);
        tokens.push_back(random_words(random, 1, shape.vocab_size + 2)[0]);
      }
    }
    for (int i = 0; i < 50; ++i) {
      seeds.push_back(static_cast<std::uint32_t>(random.next()));
      tokens.push_back(random_words(random, 1, shape.vocab_size)[0]);
    }
    std::vector<std::uint8_t> expected;
    for (std::size_t n = 0; n < seeds.size(); ++n) {
      const Words order = TorchGenerator(seeds[n]).randperm(shape.vocab_size);
      const auto end = order.begin() + static_cast<std::ptrdiff_t>(shape.green_size);
      expected.push_back(std::find(order.begin(), end, tokens[n]) != end ? 1 : 0);
    }
    for (const Kernel* kernel : supported_kernels()) {
      std::vector<std::uint8_t> found(seeds.size(), 9);
      green_bits(seeds, tokens, shape.vocab_size, shape.green_size, found, kernel);
      ASSERT_EQ(found, expected) << kernel->name << ' ' << shape.vocab_size;
    }
  }
}

TEST(ForeignKernels, Nothing) {
  for (const Kernel* kernel : supported_kernels()) {
    vllm_states(1, 4, {}, {}, kernel);
    vllm_words(1, 0, {}, {}, {}, kernel);
    sbw_words({}, {}, {}, kernel);
    sglang_context_hashes(4, {}, {}, kernel);
    sglang_words(1, {}, {}, {}, kernel);
    synthid_bits({}, {}, std::vector<std::int64_t>{654, 400}, {}, kernel);
    green_bits({}, {}, 50'257, 100, {}, kernel);
  }
}

}  // namespace
}  // namespace countermark::tests
