// SPDX-License-Identifier: Apache-2.0
// The PRFs of other systems' marks against values that their own implementations gave.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "tests/support/random.h"
#include "watermark/prf/green_list.h"
#include "watermark/prf/hash.h"
#include "watermark/prf/murmur3.h"
#include "watermark/prf/philox.h"
#include "watermark/prf/synthid_hash.h"
#include "watermark/prf/textseal_hash.h"
#include "watermark/prf/torch_generator.h"

namespace countermark::tests {
namespace {

using Words = std::vector<std::uint32_t>;

const Words kContext{100, 2000, 30'000, 7};

// PyTorch

Words first(std::size_t count, Words of) {
  of.resize(count);
  return of;
}

TEST(TorchGenerator, IsMt19937) {
  TorchGenerator generator(5489);
  std::uint32_t last = 0;
  for (int i = 0; i < 10'000; ++i) last = generator.random();
  EXPECT_EQ(last, 4123659995U);  // what the C++ standard requires of std::mt19937
}

TEST(TorchGenerator, OnlyTheLowHalfOfASeedCounts) {
  TorchGenerator a(42);
  TorchGenerator b((std::uint64_t{1} << 32) + 42);
  for (int i = 0; i < 2000; ++i) ASSERT_EQ(a.random(), b.random());
}

TEST(TorchGenerator, Permutations) {
  EXPECT_EQ(TorchGenerator(0).randperm(10), (Words{4, 1, 7, 5, 3, 9, 0, 8, 6, 2}));
  struct Known {
    std::uint64_t seed;
    std::uint32_t n;
    Words head;
  };
  const Known known[] = {
      {0, 50'257, {32487, 28000, 28825, 16393, 15419, 19980, 16112, 14510}},
      {0, 32'000, {16044, 23812, 2929, 1741, 20611, 16229, 22309, 2697}},
      {42, 50'257, {11486, 49380, 17873, 14459, 12097, 4312, 25709, 48681}},
      {42, 32'000, {29542, 16981, 22098, 16283, 27062, 22660, 20816, 12806}},
      {15485863, 50'257, {11143, 24953, 16461, 1065, 22072, 14429, 17607, 3162}},
      {15485863, 32'000, {958, 17083, 30553, 27350, 1329, 24091, 15003, 13468}},
      {2971215073, 50'257, {46686, 31391, 19607, 48174, 49791, 1767, 48872, 31307}},
      {2971215073, 32'000, {11957, 4669, 2315, 8121, 8276, 23804, 3294, 31476}},
      // lm-watermarking's and transformers' tables of a hash
      {2971215073, 1'000'003, {250534, 296009, 268311, 356494, 845733, 336025, 288590, 910463}},
      {15485863, 1'000'003, {138280, 994103, 467886, 915329, 149437, 806681, 915993, 784932}},
      // three_bricks
      {7, 32'000, {29615, 28406, 15093, 23734, 20683, 11927}},
      {1059510007, 32'000, {19642, 20272, 18197, 13532, 7195, 14457}},
      {4407551460489307, 32'000, {19059, 454, 21049, 7170, 8880, 7692}},
  };
  for (const Known& k : known)
    EXPECT_EQ(first(k.head.size(), TorchGenerator(k.seed).randperm(k.n)), k.head)
        << k.seed << ' ' << k.n;
  const Words table = TorchGenerator(2971215073).randperm(1'000'003);
  EXPECT_EQ(Words(table.end() - 4, table.end()), (Words{938826, 128624, 123226, 70416}));
}

TEST(TorchGenerator, SmallPermutations) {
  EXPECT_EQ(TorchGenerator(1).randperm(0), Words{});
  EXPECT_EQ(TorchGenerator(1).randperm(1), Words{0});
  Words both = TorchGenerator(1).randperm(2);
  std::sort(both.begin(), both.end());
  EXPECT_EQ(both, (Words{0, 1}));
}

std::vector<float> uniforms(std::uint64_t seed, std::size_t count) {
  TorchGenerator generator(seed);
  std::vector<float> out(count);
  for (float& u : out) u = generator.rand_float();
  return out;
}

TEST(TorchGenerator, Uniforms) {
  using Floats = std::vector<float>;
  EXPECT_EQ(uniforms(42, 4),
            (Floats{0x1.c3b8ccp-1F, 0x1.d47b66p-1F, 0x1.880d7p-2F, 0x1.eb2a1cp-1F}));
  // three_bricks: the seeds of the contexts (7), (30000, 7) and (100, 2000, 30000, 7)
  EXPECT_EQ(uniforms(7, 4),
            (Floats{0x1.11e15ep-1F, 0x1.97262p-3F, 0x1.518432p-1F, 0x1.5053ecp-1F}));
  EXPECT_EQ(uniforms(7, 32'000).back(), 0x1.f44fdp-2F);
  EXPECT_EQ(uniforms(1059510007, 4),
            (Floats{0x1.802bap-4F, 0x1.3dafd6p-1F, 0x1.bd4a88p-3F, 0x1.6abcbcp-1F}));
  EXPECT_EQ(uniforms(4407551460489307, 4),
            (Floats{0x1.e87ee6p-1F, 0x1.fb7a7cp-2F, 0x1.9a69acp-2F, 0x1.8882e4p-1F}));
  const float published[] = {.4963F, .7682F, .0885F, .1320F, .3074F};
  for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(uniforms(0, 5)[i], published[i], 5e-5);
}

TEST(TorchGenerator, Integers) {
  TorchGenerator generator(0);
  std::string bits;
  for (int i = 0; i < 16; ++i) bits += static_cast<char>('0' + generator.randint(2));
  EXPECT_EQ(bits, "0110111111100100");
}

// From 2^28 on, an integer takes two words, the upper one first.
TEST(TorchGenerator, WideIntegersTakeTwoWords) {
  constexpr std::uint64_t kThreshold = std::uint64_t{1} << 28;
  TorchGenerator words(3);
  const std::uint64_t a = words.random();
  const std::uint64_t b = words.random();
  EXPECT_EQ(TorchGenerator(3).randint(kThreshold - 1), a % (kThreshold - 1));
  EXPECT_EQ(TorchGenerator(3).randint(kThreshold + 1), (a << 32 | b) % (kThreshold + 1));
  EXPECT_EQ(TorchGenerator(3).random64(), a << 32 | b);
}

// Green lists

constexpr std::uint32_t kVocab = 50'257;

std::vector<std::uint8_t> green(const Words& seeds, const Words& tokens, std::uint32_t vocab_size,
                                std::uint32_t green_size) {
  std::vector<std::uint8_t> out(seeds.size(), 9);
  green_bits(seeds, tokens, vocab_size, green_size, out);
  return out;
}

// The first entries of lists that lm-watermarking makes of one context, one PRF a line.
TEST(GreenList, PublishedLists) {
  struct Known {
    std::uint64_t seed;
    Words head;
  };
  const Known known[] = {
      {650406246000000000, {3561, 15996, 40028, 41793, 5787, 26771}},
      {497204603341, {7100, 4085, 2371, 5040, 30737, 10308}},
      {108401041, {33157, 36153, 48593, 47611, 861, 19855}},
      {573255762785, {32850, 48174, 48450, 1480, 15147, 10886}},
      {878495, {15686, 24707, 38345, 46050, 14223, 12515}},
      {235007954440, {46582, 576, 34936, 21452, 49739, 45969}},
      {267512, {30127, 13333, 13240, 29170, 14720, 42930}},
      {11019366446093440895U, {5898, 36198, 19205, 45322, 23291, 32922}},
      {174563083016, {46670, 3058, 32447, 31919, 15481, 9529}},
      {2813240289, {32499, 11769, 20226, 12607, 13855, 16378}},
      {1457653312464, {43205, 18358, 23868, 11580, 48701, 4940}},
  };
  for (const Known& k : known) {
    EXPECT_EQ(first(6, TorchGenerator(k.seed).randperm(kVocab)), k.head);
    // The list of the first six has these and no others.
    const auto seed = static_cast<std::uint32_t>(k.seed);
    Words all(kVocab);
    std::iota(all.begin(), all.end(), 0U);
    const std::vector<std::uint64_t> list = green_list(seed, kVocab, 6);
    for (const std::uint32_t token : all)
      ASSERT_EQ(list[token / 64] >> token % 64 & 1,
                static_cast<std::uint64_t>(std::count(k.head.begin(), k.head.end(), token)));
    EXPECT_EQ(green(Words(6, seed), k.head, kVocab, 6), std::vector<std::uint8_t>(6, 1));
    EXPECT_EQ(green(Words(6, seed), k.head, kVocab, 5),
              (std::vector<std::uint8_t>{1, 1, 1, 1, 1, 0}));
  }
}

// Of every vocabulary and share, the bits are those of the permutation itself.
TEST(GreenList, IsTheHeadOfThePermutation) {
  for (const std::uint32_t vocab_size : {1U, 2U, 3U, 5U, 64U, 65U, 1000U, 4096U}) {
    for (const std::uint32_t seed : {0U, 1U, 42U, 0x80000000U, 0xffffffffU}) {
      const Words order = TorchGenerator(seed).randperm(vocab_size);
      for (const std::uint32_t green_size :
           {0U, 1U, vocab_size / 4, vocab_size / 2, vocab_size - 1, vocab_size}) {
        SCOPED_TRACE(std::to_string(vocab_size) + " " + std::to_string(green_size));
        std::vector<std::uint8_t> expected(vocab_size + 2, 0);
        for (std::uint32_t i = 0; i < std::min(green_size, vocab_size); ++i) expected[order[i]] = 1;
        Words tokens(vocab_size + 2);  // two of them beyond the vocabulary
        std::iota(tokens.begin(), tokens.end(), 0U);
        EXPECT_EQ(green(Words(tokens.size(), seed), tokens, vocab_size, green_size), expected);
        const std::vector<std::uint64_t> list = green_list(seed, vocab_size, green_size);
        for (std::uint32_t token = 0; token < vocab_size; ++token)
          ASSERT_EQ(list[token / 64] >> token % 64 & 1, expected[token]);
      }
    }
  }
}

// Philox

std::vector<PhiloxBlock> vllm(std::uint64_t key, unsigned width, const Words& contexts) {
  std::vector<PhiloxBlock> out(contexts.size() / width);
  vllm_states(key, width, contexts, out);
  return out;
}

Words vllm(std::uint64_t key, const Words& context, const Words& tokens) {
  const std::vector<PhiloxBlock> states(
      tokens.size(), vllm(key, static_cast<unsigned>(context.size()), context)[0]);
  Words out(tokens.size());
  vllm_words(key, 0, states, tokens, out);
  return out;
}

// The known answers of Random123 1.14 (Salmon et al.).
TEST(Philox, PublishedVectors) {
  EXPECT_EQ(philox4x32_10({0, 0, 0, 0}, 0, 0),
            (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32_10({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 0xffffffff, 0xffffffff),
            (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0xa4093822, 0x299f31d0),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, VllmWords) {
  EXPECT_EQ(vllm(42, {1, 2, 3, 4}, {7, 8}), (Words{425429266, 2706218805}));
  EXPECT_EQ(vllm(42, {4, 5, 6, 7}, {7, 8}), (Words{2494036831, 3424185538}));
  const Words tokens{0, 1, 7, 8, 50'256};
  EXPECT_EQ(vllm(42, Words(4, 0xffffffff), tokens),
            (Words{4197411589, 28483919, 3152641195, 521883383, 3786963970}));
  EXPECT_EQ(vllm(0x0123456789abcdef, {1, 2, 3, 4}, tokens),
            (Words{3815641526, 3483082719, 2384190532, 1660680781, 799575891}));
  EXPECT_EQ(vllm(42, {1, 2}, tokens),
            (Words{4287894083, 463484383, 1071134488, 2143802888, 3129481046}));
  EXPECT_EQ(vllm(42, {1, 2, 3, 4, 5}, tokens),
            (Words{472763794, 4293921223, 3211277280, 810111416, 265873143}));
}

TEST(Philox, AStreamIsXoredToTheKey) {
  const std::vector<PhiloxBlock> states = vllm(42, 4, {1, 2, 3, 4});
  const Words token{7};
  Words with_stream(1);
  Words by_hand(1);
  vllm_words(42, 0x0123456789abcdef, states, token, with_stream);
  vllm_words(42 ^ 0x89abcdef01234567, 0, states, token, by_hand);
  EXPECT_EQ(with_stream, by_hand);
  EXPECT_NE(with_stream, vllm(42, {1, 2, 3, 4}, token));
}

TEST(Philox, SbwWordsArePhiloxOfTheSeed) {
  constexpr std::uint64_t kSeed = 0x299f31d0a4093822;
  const Words tokens{0, 1, 2, 3, 4, 0xffffffff};
  Words out(tokens.size());
  sbw_words(std::vector<std::uint64_t>(tokens.size(), kSeed), tokens, out);
  for (std::size_t i = 0; i < tokens.size(); ++i)
    EXPECT_EQ(out[i],
              philox4x32_10({tokens[i] / 4, 0, 0, 0}, 0xa4093822, 0x299f31d0)[tokens[i] % 4]);
}

// Nobody publishes values; what is tested is the definition, step by step in 64 bits.
TEST(Philox, SbwHash) {
  const auto wrap = [](std::int64_t value) {
    const std::int64_t modulus = std::int64_t{1} << 32;
    const std::int64_t rest = ((value % modulus) + modulus) % modulus;
    return rest < modulus / 2 ? rest : rest - modulus;
  };
  const auto slow = [&](std::uint32_t token) {
    std::int64_t i = wrap(std::int64_t{token} + 1);
    i = wrap(i - i * 64);
    i = i ^ (i >> 17);
    i = wrap(i - i * 512);
    i = i ^ wrap(i * 16);
    i = wrap(i - i * 8);
    i = i ^ wrap(i * 1024);
    i = i ^ (i >> 15);
    return static_cast<std::uint32_t>(i);
  };
  EXPECT_EQ(sbw_hash(0xffffffff), 0U);
  SplitMix64 random(1);
  for (int i = 0; i < 1000; ++i) {
    const auto token = static_cast<std::uint32_t>(random.next());
    ASSERT_EQ(sbw_hash(token), slow(token));
    ASSERT_EQ(sbw_hash(token % 200'000), slow(token % 200'000));
  }
}

// Murmur

constexpr std::uint64_t kKeyA = 0x0123456789abcdef;
constexpr std::uint64_t kKeyB = 0xfedcba9876543210;

Words context_hashes(unsigned width, const Words& contexts) {
  Words out(contexts.size() / width);
  sglang_context_hashes(width, contexts, out);
  return out;
}

TEST(Murmur3, ContextHashes) {
  EXPECT_EQ(murmur3_words({}), 0U);
  EXPECT_EQ(context_hashes(4, {1, 2, 3, 4, 4, 3, 2, 1}), (Words{1145416960, 47748951}));
  const Words colliding = context_hashes(2, {55'826, 167'495, 62'387, 187'178});
  EXPECT_EQ(colliding[0], colliding[1]);
}

TEST(Murmur3, SglangWords) {
  const Words tokens{0, 1, 17, 8191, 8192, 16'396};
  Words out(tokens.size());
  sglang_words(kKeyA, Words(tokens.size(), 1145416960), tokens, out);
  EXPECT_EQ(out, (Words{1293512163, 858402549, 2305555132, 2450309311, 227333036, 2684237202}));
  sglang_words(kKeyB, Words(tokens.size(), 47748951), tokens, out);
  EXPECT_EQ(out, (Words{221641642, 4015047244, 843143906, 1076944989, 3882127500, 2413234263}));
}

TEST(Murmur3, SglangCoins) {
  const Words contexts{1145416960, 47748951};
  for (const auto& [a, b] :
       {std::pair{kKeyA, kKeyB},
        std::pair<std::uint64_t, std::uint64_t>{0x1111222233334444, 0x9999aaaabbbbcccc}}) {
    Words coins(2);
    sglang_coins(a, b, contexts, coins);
    EXPECT_LT(coins[0], 0x80000000);
    EXPECT_GE(coins[1], 0x80000000);
  }
}

// SynthID

const std::vector<std::int64_t> kKeys{654, 400, 836, 123, 340, 443, 597, 160, 57,  29,
                                      590, 639, 13,  715, 468, 990, 966, 226, 324, 585,
                                      118, 504, 421, 521, 129, 669, 732, 225, 90,  960};

// Depth 0 first.
std::string digits(std::uint64_t bits) {
  std::string out;
  for (std::size_t d = 0; d < kKeys.size(); ++d) out += (bits >> d & 1) != 0 ? '1' : '0';
  return out;
}

TEST(SynthId, WithoutTable) {
  const std::uint64_t initial = synthid_initial_hash(kKeys);
  EXPECT_EQ(initial, 1614033703599872695U);
  std::vector<std::uint64_t> hashes(2);
  synthid_context_hashes(initial, 4, Words{100, 2000, 30'000, 7, 0, 0, 0, 0}, hashes);
  EXPECT_EQ(static_cast<std::int64_t>(hashes[0]), -5195276322152728110);
  EXPECT_EQ(static_cast<std::int64_t>(hashes[1]), -3578282282736030157);
  const std::uint64_t h = hashes[0];
  std::vector<std::uint64_t> bits(5);
  synthid_bits(std::vector{h, h, h, h, hashes[1]}, Words{7, 8, 65'544, 50'256, 5}, kKeys, bits);
  EXPECT_EQ(digits(bits[0]), "010101110110011011100111001011");
  EXPECT_EQ(digits(bits[1]), "001101010110011000011111000010");
  EXPECT_EQ(digits(bits[2]), "010111000101101111001111000011");
  EXPECT_EQ(digits(bits[3]), "010111011000101111101111000111");
  EXPECT_EQ(digits(bits[4]), "101101011001010110000100111111");
}

TEST(SynthId, Table) {
  const auto table = SynthIdTable::create(0, 65'536);
  ASSERT_TRUE(table);
  const auto entries = table->entries();
  EXPECT_EQ(to_hex(sha256(std::string(entries.begin(), entries.end()))),
            "a3e9e18ea34546849c5136cf9b06c7bfd03e50e601da14af47cd926f9e623a85");
  EXPECT_EQ(std::count(entries.begin(), entries.end(), 1), 32'743);

  std::vector<std::uint64_t> hashes(2);
  synthid_context_hashes(1, 4, Words{100, 2000, 30'000, 7, 0, 0, 0, 0}, hashes);
  EXPECT_EQ(static_cast<std::int64_t>(hashes[0]), -5723378418949431364);
  EXPECT_EQ(static_cast<std::int64_t>(hashes[1]), -4106384379532733411);
  const std::uint64_t h = hashes[0];
  std::vector<std::uint64_t> bits(5);
  table->bits(std::vector{h, h, h, h, hashes[1]}, Words{7, 8, 65'543, 50'256, 5}, kKeys, bits);
  EXPECT_EQ(digits(bits[0]), "000001100001111000100100100101");
  EXPECT_EQ(digits(bits[1]), "010010101110111100110110101011");
  EXPECT_EQ(bits[2], bits[0]);
  EXPECT_EQ(digits(bits[3]), "100010101100001101100001100011");
  EXPECT_EQ(digits(bits[4]), "011100101101100010001101010101");
}

// A size that is no power of two takes the remainder of a signed number, rounded down.
TEST(SynthId, TablesOfOtherSizes) {
  const auto table = SynthIdTable::create(7, 1000);
  ASSERT_TRUE(table);
  SplitMix64 random(2);
  for (int i = 0; i < 1000; ++i) {
    const std::vector<std::uint64_t> hash{random.next()};
    const Words token{static_cast<std::uint32_t>(random.next())};
    const auto key = static_cast<std::int64_t>(random.next());
    std::vector<std::uint64_t> bits(1);
    table->bits(hash, token, std::vector{key}, bits);
    const auto h = static_cast<std::int64_t>(
        synthid_accumulate(synthid_accumulate(hash[0], token[0]), static_cast<std::uint64_t>(key)));
    ASSERT_EQ(bits[0], table->entries()[static_cast<std::size_t>((h % 1000 + 1000) % 1000)]);
  }
}

TEST(SynthId, TableSizes) {
  EXPECT_TRUE(SynthIdTable::create(0, 1));
  EXPECT_TRUE(SynthIdTable::create(0, SynthIdTable::kMaxSize));
  for (const std::uint32_t size : {0U, SynthIdTable::kMaxSize + 1}) {
    const auto table = SynthIdTable::create(0, size);
    ASSERT_FALSE(table);
    EXPECT_EQ(table.error().code, ErrorCode::kInvalidArgument);
  }
}

// TextSeal

Words levels(std::int64_t key, const Words& context, const Words& tokens) {
  std::vector<std::int64_t> inputs;
  for (const TokenId token : tokens) inputs.push_back(textseal_input(key, context, token));
  Words out(tokens.size());
  textseal_levels(inputs, out);
  return out;
}

TEST(TextSeal, Levels) {
  EXPECT_EQ(levels(42, {7}, {0, 1, 7, 8, 50'256, 128'000}),
            (Words{3820, 736, 7746, 4771, 3927, 6260}));
  EXPECT_EQ(levels(12'387, {7}, {0, 1, 7, 8, 50'256}), (Words{4758, 4123, 1138, 3440, 5198}));
  EXPECT_EQ(levels(42, {30'000, 7}, {0, 1, 7, 8, 50'256, 128'000}),
            (Words{7183, 1162, 747, 6254, 5510, 3383}));
  EXPECT_EQ(levels(42, kContext, {0, 1, 7, 8, 50'256, 128'000}),
            (Words{4214, 3483, 5426, 1406, 5280, 3974}));
}

// Sums that are equal under every key, and keys that are shifts of each other.
TEST(TextSeal, Collisions) {
  EXPECT_EQ(textseal_input(42, Words{5000, 300}, 9),
            textseal_input(42, Words{5000 - 821, 361}, 85));
  EXPECT_EQ(textseal_input(42, Words{20'000}, 9), textseal_input(42 + 183, Words{3220}, 772));
}

TEST(TextSeal, ExtremeInputs) {
  constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  Words out(4);
  textseal_levels(std::vector{kLeast, kMost, std::int64_t{-1}, std::int64_t{0}}, out);
  for (const std::uint32_t level : out) EXPECT_LT(level, kTextSealLevels);
  EXPECT_EQ(out[3], 0U);
  textseal_input(kLeast, Words(kMaxTextSealContext, 0xffffffff), 0xffffffff);
}

}  // namespace
}  // namespace countermark::tests
