// SPDX-License-Identifier: Apache-2.0
// Every kernel against the published AES vectors and against every other kernel, and how kernels
// are found. COUNTERMARK_KERNEL is read once a process, so the CLI's tests cover it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "tests/support/kernel_exercise.h"
#include "tests/support/random.h"
#include "tests/support/vectors.h"
#include "watermark/prf/aes.h"

namespace countermark::tests {
namespace {

struct KnownBlock {
  const char* key;
  const char* plain;
  const char* cipher;
};

// FIPS 197, appendix B and C.1; NIST SP 800-38A, F.1.1.
constexpr KnownBlock kKnownBlocks[] = {
    {"2b7e151628aed2a6abf7158809cf4f3c", "3243f6a8885a308d313198a2e0370734",
     "3925841d02dc09fbdc118597196a0b32"},
    {"000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff",
     "69c4e0d86a7b0430d8cdb78070b4c55a"},
    {"2b7e151628aed2a6abf7158809cf4f3c", "6bc1bee22e409f96e93d7e117393172a",
     "3ad77bb40d7a3660a89ecaf32466ef97"},
    {"2b7e151628aed2a6abf7158809cf4f3c", "ae2d8a571e03ac9c9eb76fac45af8e51",
     "f5d3d58503b9699de785895a96fdbaaf"},
    {"2b7e151628aed2a6abf7158809cf4f3c", "30c81c46a35ce411e5fbc1191a0a52ef",
     "43b1cd7f598ece23881b00e3ed030688"},
    {"2b7e151628aed2a6abf7158809cf4f3c", "f69f2445df4f9b17ad2b417be66c3710",
     "7b0c785e27e8ad3f8223207104725dd4"},
};

std::vector<const Kernel*> supported_kernels() {
  std::vector<const Kernel*> out;
  for (const Kernel* kernel : all_kernels())
    if (kernel->supported() != 0) out.push_back(kernel);
  return out;
}

std::vector<std::uint8_t> random_blocks(SplitMix64& random, std::size_t count) {
  std::vector<std::uint8_t> out(16 * count);
  for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(random.next() >> 56);
  return out;
}

TEST(Kernel, PublishedVectors) {
  for (const Kernel* kernel : supported_kernels()) {
    SCOPED_TRACE(kernel->name);
    for (const KnownBlock& known : kKnownBlocks) {
      const Aes128 aes(Secret<16>(unhex_array<16>(known.key)), *kernel);
      EXPECT_EQ(to_hex(Bytes(aes.encrypt(unhex_array<16>(known.plain)))), known.cipher);
    }
    // In one batch, and longer than any number of blocks in flight.
    const Aes128 aes(Secret<16>(unhex_array<16>(kKnownBlocks[0].key)), *kernel);
    std::vector<Block> blocks, expected;
    for (int i = 0; i < 23; ++i) {
      const KnownBlock& known = kKnownBlocks[2 + i % 4];
      blocks.push_back(unhex_array<16>(known.plain));
      expected.push_back(unhex_array<16>(known.cipher));
    }
    aes.encrypt(blocks, blocks);
    EXPECT_EQ(blocks, expected);
  }
}

TEST(Kernel, AllAgreeOnBatchesOfEveryLength) {
  SplitMix64 random(1);
  for (std::size_t count = 0; count <= 300; ++count) {
    const Secret<16> key = random.secret<16>();
    const std::vector<std::uint8_t> in = random_blocks(random, count);
    CountermarkAesKey expanded;
    std::vector<std::uint8_t> expected(in.size());
    countermark_kernel_portable.expand_key(key.data(), &expanded);
    countermark_kernel_portable.encrypt_blocks(&expanded, in.data(), expected.data(), count);
    if (count > 0) {
      EXPECT_NE(expected, in);
    }
    for (const Kernel* kernel : supported_kernels()) {
      kernel->expand_key(key.data(), &expanded);
      std::vector<std::uint8_t> out(in.size());
      kernel->encrypt_blocks(&expanded, in.data(), out.data(), count);
      EXPECT_EQ(out, expected) << kernel->name << ", " << count;
      std::vector<std::uint8_t> in_place = in;
      kernel->encrypt_blocks(&expanded, in_place.data(), in_place.data(), count);
      EXPECT_EQ(in_place, expected) << kernel->name << ", in place, " << count;
    }
  }
}

TEST(Kernel, NeedsNoAlignmentAndStaysInItsBounds) {
  SplitMix64 random(2);
  constexpr std::size_t kCount = 19;
  const Secret<16> key = random.secret<16>();
  const std::vector<std::uint8_t> in = random_blocks(random, kCount);
  for (const Kernel* kernel : supported_kernels()) {
    CountermarkAesKey expanded;
    kernel->expand_key(key.data(), &expanded);
    std::vector<std::uint8_t> expected(in.size());
    kernel->encrypt_blocks(&expanded, in.data(), expected.data(), kCount);
    for (std::size_t shift = 1; shift < 16; ++shift) {
      std::vector<std::uint8_t> from(in.size() + 32, 0xA5), to(in.size() + 32, 0x5A);
      std::copy(in.begin(), in.end(), from.begin() + static_cast<std::ptrdiff_t>(shift));
      kernel->encrypt_blocks(&expanded, from.data() + shift, to.data() + 16 - shift, kCount);
      const auto begin = to.begin() + static_cast<std::ptrdiff_t>(16 - shift);
      const auto end = begin + static_cast<std::ptrdiff_t>(in.size());
      EXPECT_TRUE(std::equal(begin, end, expected.begin())) << kernel->name << shift;
      EXPECT_TRUE(std::all_of(to.begin(), begin, [](auto byte) { return byte == 0x5A; }));
      EXPECT_TRUE(std::all_of(end, to.end(), [](auto byte) { return byte == 0x5A; }));
    }
  }
}

TEST(Kernel, CipherObjectIsCopiedWithItsKey) {
  SplitMix64 random(3);
  for (const Kernel* kernel : supported_kernels()) {
    const Secret<16> key = random.secret<16>();
    Block expected;
    Aes128 copy(random.secret<16>(), *kernel);
    {
      const Aes128 original(key, *kernel);
      expected = original.encrypt(Block{});
      copy = original;
    }
    EXPECT_EQ(copy.encrypt(Block{}), expected);
    EXPECT_EQ(&copy.kernel(), kernel);
  }
}

TEST(Kernel, TheListIsOrderedAndThePortableOneIsLastAndAlwaysThere) {
  const auto kernels = all_kernels();
  ASSERT_FALSE(kernels.empty());
  EXPECT_STREQ(kernels.back()->name, "portable");
  EXPECT_NE(kernels.back()->supported(), 0);
  std::set<std::string> names;
  for (const Kernel* kernel : kernels) EXPECT_TRUE(names.insert(kernel->name).second);
#if defined(__x86_64__)
  EXPECT_EQ(names, (std::set<std::string>{"vaes512", "avx512", "aesni", "portable"}));
#endif
}

TEST(Kernel, OnlyTheOnesWithoutTablesClaimConstantTime) {
  for (const Kernel* kernel : all_kernels())
    EXPECT_EQ(kernel->constant_time != 0, std::string(kernel->name) != "portable") << kernel->name;
}

TEST(Kernel, SupportedAgreesWithTheProcessor) {
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  const bool expected = __builtin_cpu_supports("aes") && __builtin_cpu_supports("sse4.1");
  EXPECT_EQ(countermark_kernel_aesni.supported() != 0, expected);
  const bool wide = expected && __builtin_cpu_supports("avx512f") &&
                    __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  EXPECT_EQ(countermark_kernel_avx512.supported() != 0, wide);
  EXPECT_EQ(countermark_kernel_vaes512.supported() != 0, wide && __builtin_cpu_supports("vaes"));
#else
  GTEST_SKIP() << "no kernel here that depends on the processor";
#endif
}

TEST(Kernel, FindKnowsExactlyTheSupportedNames) {
  for (const Kernel* kernel : all_kernels()) {
    const auto found = find_kernel(kernel->name);
    ASSERT_EQ(found.has_value(), kernel->supported() != 0);
    if (found) {
      EXPECT_EQ(*found, kernel);
    }
  }
  for (const char* name : {"", "aes", "Portable", "portable ", "avx9000"}) {
    const auto found = find_kernel(name);
    ASSERT_FALSE(found.has_value()) << name;
    EXPECT_EQ(found.error().code, ErrorCode::kUnsupported);
    for (const Kernel* kernel : supported_kernels())
      EXPECT_NE(found.error().message.find(kernel->name), std::string::npos);
  }
}

TEST(Kernel, ActiveIsASupportedOneAndStaysTheSame) {
  const auto active = active_kernel();
  ASSERT_TRUE(active.has_value()) << active.error().describe();
  EXPECT_NE((*active)->supported(), 0);
  EXPECT_EQ(active_kernel().value(), *active);
  EXPECT_EQ(&make_mark(SplitMix64(4).epoch_key(), Profile::defaults()).kernel(), *active);
}

// Every primitive on hard inputs: ends of runs, rows of ties and of odd numbers.
// What guards a machine whose kernel nobody has run before.
TEST(Kernel, OneThatIsWrongIsNotTaken) {
  for (const Kernel* kernel : all_kernels()) {
    if (kernel->supported() == 0) continue;
    EXPECT_TRUE(agrees_with_portable(*kernel)) << kernel->name;
    Kernel broken = *kernel;
    broken.words_of_state = [](const CountermarkAesKey* key, const std::uint8_t* state,
                               const std::uint8_t* tag, const std::uint32_t* tokens,
                               std::size_t count, std::uint32_t* out) {
      (*active_kernel())->words_of_state(key, state, tag, tokens, count, out);
      out[count - 1] ^= 1;
    };
    EXPECT_FALSE(agrees_with_portable(broken)) << kernel->name;
    broken = *kernel;
    broken.weights = [](const float*, std::size_t count, float, double, double* out) {
      std::fill_n(out, count, 1);
    };
    EXPECT_FALSE(agrees_with_portable(broken)) << kernel->name;
    broken = *kernel;
    broken.green_bits = [](const std::uint32_t*, const std::uint32_t*, std::size_t count,
                           std::uint32_t, std::uint32_t, std::uint32_t*,
                           std::uint8_t* out) { std::fill_n(out, count, std::uint8_t{0}); };
    EXPECT_FALSE(agrees_with_portable(broken)) << kernel->name;
  }
}

TEST(Kernel, EveryPrimitiveGivesTheSameBits) {
  const std::vector<std::string> expected = KernelExercise(countermark_kernel_portable).lines();
  EXPECT_GT(expected.size(), 2'000u);
  for (const Kernel* kernel : supported_kernels()) {
    const std::vector<std::string> lines = KernelExercise(*kernel).lines();
    ASSERT_EQ(lines.size(), expected.size());
    for (std::size_t i = 0; i < lines.size(); ++i) ASSERT_EQ(lines[i], expected[i]) << kernel->name;
  }
}

// The words of the specification, block by block, and the scores' sums.
TEST(Kernel, WordsAndTalliesAreTheSpecifications) {
  SplitMix64 random(6);
  constexpr std::size_t kTokens = 100;
  for (const Kernel* kernel : supported_kernels()) {
    const Aes128 aes(random.secret<16>(), *kernel);
    const std::vector<std::uint8_t> states = random_blocks(random, kTokens);
    const std::vector<std::uint8_t> tags = random_blocks(random, 3);  // of which 36 bytes are used
    std::vector<TokenId> tokens(kTokens);
    for (TokenId& token : tokens) token = static_cast<TokenId>(random.next());
    std::vector<std::uint64_t> expected(3), sums(3);
    for (std::size_t j = 0; j < 3; ++j) {
      std::vector<std::uint32_t> words(kTokens), found(kTokens);
      for (std::size_t i = 0; i < kTokens; ++i) {
        Block block;
        store_le32(block.data(), tokens[i] >> 2);
        std::memcpy(block.data() + 4, &tags[12 * j], 12);
        for (std::size_t b = 0; b < 16; ++b) block[b] ^= states[16 * i + b];
        words[i] = load_le32(aes.encrypt(block).data() + std::size_t{4} * (tokens[i] & 3));
        expected[j] += exponential_score(words[i]);
      }
      kernel->words(&aes.key(), states.data(), &tags[12 * j], tokens.data(), kTokens, found.data());
      EXPECT_EQ(found, words) << kernel->name;
    }
    kernel->tallies(&aes.key(), states.data(), tokens.data(), kTokens, tags.data(), 3, sums.data());
    EXPECT_EQ(sums, expected) << kernel->name;
  }
}

// Enough tuples of large scores to overflow 32 bits many times.
TEST(Kernel, TalliesDoNotOverflow) {
  SplitMix64 random(7);
  constexpr std::size_t kTokens = 20'000;
  const std::vector<std::uint8_t> states = random_blocks(random, kTokens);
  const std::vector<TokenId> tokens(kTokens, 5);
  const std::array<std::uint8_t, 12> tag{};
  for (const Kernel* kernel : supported_kernels()) {
    const Aes128 aes(Secret<16>(), *kernel);
    std::vector<std::uint32_t> words(kTokens);
    std::uint64_t expected = 0, sum = 0;
    kernel->words(&aes.key(), states.data(), tag.data(), tokens.data(), kTokens, words.data());
    for (const std::uint32_t word : words) expected += exponential_score(word);
    kernel->tallies(&aes.key(), states.data(), tokens.data(), kTokens, tag.data(), 1, &sum);
    EXPECT_GT(expected, std::uint64_t{4} << 32);
    EXPECT_EQ(sum, expected) << kernel->name;
  }
}

// All 65,536 values of each half precision, as the selection reports them.
TEST(Kernel, HalfPrecisionIsReadExactly) {
  for (const Kernel* kernel : supported_kernels()) {
    for (const auto type : {COUNTERMARK_LOGIT_F16, COUNTERMARK_LOGIT_BF16}) {
      std::vector<std::uint16_t> row(65'536);
      for (std::size_t i = 0; i < row.size(); ++i) row[i] = static_cast<std::uint16_t>(i);
      const CountermarkLogits logits{row.data(), row.size(), type};
      std::vector<float> scratch(countermark_top_scratch(row.size()));
      std::vector<std::uint64_t> keys(row.size());
      keys.resize(kernel->top_candidates(&logits, row.size(), scratch.data(), keys.data()));
      std::size_t numbers = 0;
      for (const std::uint64_t key : keys) {
        const auto bits = 0xffff'ffff - static_cast<std::uint32_t>(key);
        const auto order = static_cast<std::uint32_t>(key >> 32);
        const float found = std::bit_cast<float>(order >> 31 != 0 ? order & 0x7fffffff : ~order);
        const int fraction_bits = type == COUNTERMARK_LOGIT_F16 ? 10 : 7;
        const int bias = type == COUNTERMARK_LOGIT_F16 ? 15 : 127;
        const int exponent = static_cast<int>(bits & 0x7fff) >> fraction_bits;
        const int fraction = static_cast<int>(bits) & ((1 << fraction_bits) - 1);
        double expected = exponent == 0 ? std::ldexp(fraction, 1 - bias - fraction_bits)
                                        : std::ldexp(fraction + (1 << fraction_bits),
                                                     exponent - bias - fraction_bits);
        if (exponent == 2 * bias + 1) expected = std::numeric_limits<double>::infinity();
        if (bits >> 15 != 0) expected = -expected;
        ASSERT_EQ(found, expected) << kernel->name << " " << bits;
        ++numbers;
      }
      // All but NaN and -inf.
      const std::size_t fractions = type == COUNTERMARK_LOGIT_F16 ? 1'024 : 128;
      EXPECT_EQ(numbers, 65'536 - 2 * (fractions - 1) - 1);
    }
  }
}

// All routes of a text at once are its routes one by one.
TEST(Kernel, RoutesInBulk) {
  SplitMix64 random(8);
  const std::vector<Profile> profiles = {
      one_layer(1), one_layer(16), Profile::defaults(),
      Profile::create({{LayerKind::kShared, 1, 10'000, 1},
                       {LayerKind::kCohort, 1, 0, 1},
                       {LayerKind::kAccount, 3, 20'000, 4},
                       {LayerKind::kShared, 4, 5'536, 1},
                       {LayerKind::kAccount, 9, kShareTotal - 35'536, 1}},
                      std::nullopt)
          .value()};
  Routes routes;
  for (const Kernel* kernel : supported_kernels()) {
    for (const Profile& profile : profiles) {
      const NativeMark mark = make_mark(random.epoch_key(), profile, kernel);
      for (const std::size_t size : {500u, 0u, 1u, 2u, 16u, 17u, 40u}) {
        std::vector<TokenId> tokens(size);
        for (TokenId& token : tokens) token = random.below(30);
        std::vector<std::optional<Route>> found(size);
        std::size_t short_context = 0;
        // In pieces of every length.
        for (std::uint32_t begin = 0, end = 0; begin < size; begin = end) {
          end = static_cast<std::uint32_t>(
              std::min<std::size_t>(size, begin + 1 + random.below(200)));
          mark.routes(tokens, begin, end, mark.layers().size(), routes);
          short_context += routes.short_context();
          for (std::uint8_t layer = 0; layer < mark.layers().size(); ++layer) {
            const auto positions = routes.positions(layer);
            ASSERT_TRUE(std::is_sorted(positions.begin(), positions.end()));
            for (std::size_t i = 0; i < positions.size(); ++i) {
              auto& route = found.at(begin + positions[i]);
              ASSERT_FALSE(route.has_value());
              route = {layer, mark.layers()[layer].width, routes.states()[positions[i]]};
            }
          }
        }
        std::size_t none = 0;
        for (std::size_t t = 0; t < size; ++t) {
          const auto route = mark.route(TokenSpan(tokens).first(t));
          ASSERT_EQ(found[t].has_value(), route.has_value()) << t;
          none += route ? 0U : 1U;
          if (!route) continue;
          ASSERT_EQ(found[t]->layer, route->layer);
          ASSERT_EQ(found[t]->width, route->width);
          ASSERT_EQ(found[t]->state, route->state);
        }
        EXPECT_EQ(short_context, none);
      }
    }
  }
}

// One mark on every kernel: the same routes and words, so the same text and the same verdicts.
TEST(Kernel, MarksAreBitEqual) {
  SplitMix64 random(5);
  const EpochKey key = random.epoch_key();
  std::vector<TokenId> tokens(300);
  for (TokenId& token : tokens) token = static_cast<TokenId>(random.next());
  const NativeMark reference = make_mark(key, Profile::defaults(), &countermark_kernel_portable);
  for (const Kernel* kernel : supported_kernels()) {
    const NativeMark mark = make_mark(key, Profile::defaults(), kernel);
    EXPECT_EQ(mark.tag(2, "account", 3), reference.tag(2, "account", 3));
    for (std::size_t t = 2; t < tokens.size(); t += 7) {
      const auto route = mark.route(TokenSpan(tokens).first(t));
      const auto expected = reference.route(TokenSpan(tokens).first(t));
      ASSERT_EQ(route.has_value(), expected.has_value());
      if (!route) continue;
      EXPECT_EQ(route->state, expected->state);
      std::vector<std::uint32_t> words(tokens.size()), expected_words(tokens.size());
      mark.words(*route, mark.tag(2, "account", 3), tokens, words);
      reference.words(*expected, mark.tag(2, "account", 3), tokens, expected_words);
      EXPECT_EQ(words, expected_words);
    }
  }
}

}  // namespace
}  // namespace countermark::tests
