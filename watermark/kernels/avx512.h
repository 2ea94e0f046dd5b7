// SPDX-License-Identifier: Apache-2.0
// The kernels of AVX-512 machines: a vector of tuples at a time, whose words never leave the
// registers before they are scored. Parameters are the width and the cipher. Processors with AES
// for four blocks at once (VAES) take 512 bits; those before them take 256 for the mark, since any
// 512-bit instruction lowers their clock (by an eighth on Cascade Lake), and AES block by block
// does not earn that back.
//
// Internal linkage: see generic.h.
#pragma once

#include <immintrin.h>

#include "watermark/kernels/aesni.h"
#include "watermark/kernels/generic.h"

namespace {

// What vector notation does not say, by width. A register has a 32-bit lane for each of a vector
// of tuples, whose blocks fill four registers.
template <int kBytes>
struct Wide;

template <>
struct Wide<64> {
  using U32 = Lanes<64>::U32;
  using U64 = Lanes<64>::U64;
  using Mask = __mmask16;
  static constexpr size_t kLanes = 16;

  static __m512i in(U32 a) { return reinterpret_cast<__m512i>(a); }
  static U32 out(__m512i a) { return reinterpret_cast<U32>(a); }

  static U32 numbers() { return U32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}; }
  static U32 every_block(const void* block) {
    return out(_mm512_broadcast_i32x4(load_block(block)));
  }
  static U32 blocks(const __m128i from[4]) {
    __m512i all = _mm512_castsi128_si512(from[0]);
    all = _mm512_inserti32x4(all, from[1], 1);
    all = _mm512_inserti32x4(all, from[2], 2);
    return out(_mm512_inserti32x4(all, from[3], 3));
  }
  static U32 load_some(Mask lanes, const void* from) {
    return out(_mm512_maskz_loadu_epi32(lanes, from));
  }
  // Products of the even lanes, in 64 bits.
  static U64 multiply(U32 a, U32 b) {
    return reinterpret_cast<U64>(_mm512_mul_epu32(in(a), in(b)));
  }
  static U32 odd_to_even(U32 a) { return out(_mm512_shuffle_epi32(in(a), _MM_PERM_DDBB)); }
  static U32 leading_zeros(U32 a) { return out(_mm512_lzcnt_epi32(in(a))); }
  static U32 larger(U32 a, U32 b) { return out(_mm512_max_epu32(in(a), in(b))); }
  static U32 choose(Mask second, U32 a, U32 b) {
    return out(_mm512_mask_blend_epi32(second, in(a), in(b)));
  }
  static Mask below(Mask among, U32 a, U32 b) {
    return _mm512_mask_cmplt_epu32_mask(among, in(a), in(b));
  }
  static U32 permute(Mask lanes, U32 from, U32 a) {
    return out(_mm512_maskz_permutexvar_epi32(lanes, in(from), in(a)));
  }
  static U32 permute_into(U32 rest, Mask lanes, U32 from, U32 a) {
    return out(_mm512_mask_permutexvar_epi32(in(rest), lanes, in(from), in(a)));
  }
  static U32 permute_two(U32 a, U32 from, U32 b) {
    return out(_mm512_permutex2var_epi32(in(a), in(from), in(b)));
  }
  static U32 compress(Mask lanes, U32 a) { return out(_mm512_maskz_compress_epi32(lanes, in(a))); }
  static bool holds(const uint64_t line[8], uint64_t value) {
    const __m512i wanted = _mm512_set1_epi64(static_cast<long long>(value));
    return _mm512_cmpeq_epi64_mask(_mm512_loadu_si512(line), wanted) != 0;
  }
  // kScoreTable's entry for the low four bits of each index.
  struct Table {
    U32 entries;
    explicit Table(const uint32_t* from) : entries(load<U32>(from)) {}
    U32 at(U32 indices) const { return out(_mm512_permutexvar_epi32(in(indices), in(entries))); }
  };
};

template <>
struct Wide<32> {
  using U32 = Lanes<32>::U32;
  using U64 = Lanes<32>::U64;
  using Mask = __mmask8;
  static constexpr size_t kLanes = 8;

  static __m256i in(U32 a) { return reinterpret_cast<__m256i>(a); }
  static U32 out(__m256i a) { return reinterpret_cast<U32>(a); }

  static U32 numbers() { return U32{0, 1, 2, 3, 4, 5, 6, 7}; }
  static U32 every_block(const void* block) {
    return out(_mm256_broadcastsi128_si256(load_block(block)));
  }
  static U32 blocks(const __m128i from[2]) { return out(_mm256_set_m128i(from[1], from[0])); }
  static U32 load_some(Mask lanes, const void* from) {
    return out(_mm256_maskz_loadu_epi32(lanes, from));
  }
  static U64 multiply(U32 a, U32 b) {
    return reinterpret_cast<U64>(_mm256_mul_epu32(in(a), in(b)));
  }
  static U32 odd_to_even(U32 a) { return out(_mm256_shuffle_epi32(in(a), 0xf5)); }
  static U32 leading_zeros(U32 a) { return out(_mm256_lzcnt_epi32(in(a))); }
  static U32 larger(U32 a, U32 b) { return out(_mm256_max_epu32(in(a), in(b))); }
  static U32 choose(Mask second, U32 a, U32 b) {
    return out(_mm256_mask_blend_epi32(second, in(a), in(b)));
  }
  static Mask below(Mask among, U32 a, U32 b) {
    return _mm256_mask_cmplt_epu32_mask(among, in(a), in(b));
  }
  static U32 permute(Mask lanes, U32 from, U32 a) {
    return out(_mm256_maskz_permutexvar_epi32(lanes, in(from), in(a)));
  }
  static U32 permute_into(U32 rest, Mask lanes, U32 from, U32 a) {
    return out(_mm256_mask_permutexvar_epi32(in(rest), lanes, in(from), in(a)));
  }
  static U32 permute_two(U32 a, U32 from, U32 b) {
    return out(_mm256_permutex2var_epi32(in(a), in(from), in(b)));
  }
  static U32 compress(Mask lanes, U32 a) { return out(_mm256_maskz_compress_epi32(lanes, in(a))); }
  static bool holds(const uint64_t line[8], uint64_t value) {
    const __m256i wanted = _mm256_set1_epi64x(static_cast<long long>(value));
    const auto half = [&](const uint64_t* from) {
      return _mm256_cmpeq_epi64_mask(in(load<U32>(from)), wanted);
    };
    return _kortestz_mask8_u8(half(line), half(line + 4)) == 0;
  }
  struct Table {
    U32 low, high;
    explicit Table(const uint32_t* from) : low(load<U32>(from)), high(load<U32>(from + 8)) {}
    U32 at(U32 indices) const { return permute_two(low, indices, high); }
  };
};

// The arithmetic of a vector of tuples.
template <int kBytes>
struct Tuples : Wide<kBytes> {
  using V = Wide<kBytes>;
  using typename V::Mask;
  using typename V::U32;
  using V::kLanes;
  static constexpr uint32_t kBlocks = kLanes / 4;  // in a register
  static constexpr auto kAll = static_cast<Mask>((1u << kLanes) - 1);
  static constexpr auto kFirstWords = static_cast<Mask>(0x1111);

  static U32 all(uint32_t value) { return U32{} + value; }

  // Of each 64-bit lane the upper half.
  static U32 upper_of(typename V::U64 products) { return reinterpret_cast<U32>(products >> 32); }

  // The upper halves of the products.
  static U32 multiply_high(U32 a, U32 b) {
    const U32 even = upper_of(V::multiply(a, b));
    const auto odd = reinterpret_cast<U32>(V::multiply(V::odd_to_even(a), V::odd_to_even(b)));
    return V::choose(static_cast<Mask>(0xaaaa), even, odd);
  }

  // LE32(token >> 2) of the tokens of register g's blocks in their first words, `rest` elsewhere.
  static U32 spread(uint32_t g, U32 rest, U32 tokens) {
    const U32 from = V::numbers() / 4 + kBlocks * g;
    return V::permute_into(rest, kFirstWords, from, tokens >> 2);
  }

  // Where the tokens' words lie among those of two registers, the first half's and the last half's
  // alike.
  static U32 word_places(U32 tokens) { return V::numbers() % (2 * kBlocks) * 4 | (tokens & 3); }

  static U32 pick_words(const U32 blocks[4], U32 places) {
    const U32 lower = V::permute_two(blocks[0], places, blocks[1]);
    const U32 upper = V::permute_two(blocks[2], places, blocks[3]);
    return V::choose(static_cast<Mask>(kAll << kLanes / 2), lower, upper);
  }
};

// kScoreTable by column.
struct ScoreColumns {
  uint32_t c0[16]{}, c1[16]{}, c2[16]{};
  constexpr ScoreColumns() {
    for (size_t i = 0; i < 16; ++i) {
      c0[i] = countermark::internal::kScoreTable[i].c0;
      c1[i] = countermark::internal::kScoreTable[i].c1;
      c2[i] = countermark::internal::kScoreTable[i].c2;
    }
  }
};
alignas(64) constexpr ScoreColumns kScoreColumns;

// exponential_score of a vector of words.
template <int kBytes>
class Scorer {
  using T = Tuples<kBytes>;
  using U32 = typename T::U32;

 public:
  U32 operator()(U32 words) const {
    const U32 y = -T::larger(words, T::all(1));
    const U32 z = T::leading_zeros(y);
    const U32 m = y << z;
    const U32 row = m >> 27;  // the table looks at four bits of it
    const U32 f = m << 5;
    const U32 inner = c1_.at(row) - T::multiply_high(f, c2_.at(row));
    const U32 g = c0_.at(row) - T::multiply_high(f, inner);
    const U32 a = z * 93'032'639 + (g >> 5);
    return (T::larger(a, T::all(336)) - 336) >> 7;
  }

 private:
  typename T::Table c0_{kScoreColumns.c0}, c1_{kScoreColumns.c1}, c2_{kScoreColumns.c2};
};

template <int kWidth, typename CipherOfWidth>
struct IsaAvx512 {
  static constexpr int kBytes = kWidth;
  using Cipher = CipherOfWidth;
  using T = Wide<kWidth>;

  static void encrypt_blocks(const CountermarkAesKey* key, const uint8_t* in, uint8_t* out,
                             size_t count) {
    Cipher::encrypt_blocks(key, in, out, count);
  }

  static unsigned at_least(Lanes<64>::F32 a, Lanes<64>::F32 b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ);
  }
  static unsigned at_least(Lanes<32>::F32 a, Lanes<32>::F32 b) {
    return _mm256_cmp_ps_mask(a, b, _CMP_GE_OQ);
  }

  static bool holds(const uint64_t line[8], uint64_t value) { return T::holds(line, value); }

  static Lanes<64>::F32 larger(Lanes<64>::F32 a, Lanes<64>::F32 b) { return _mm512_max_ps(a, b); }
  static Lanes<32>::F32 larger(Lanes<32>::F32 a, Lanes<32>::F32 b) { return _mm256_max_ps(a, b); }

  static typename T::Mask above(typename Lanes<kWidth>::I32 a, typename Lanes<kWidth>::I32 b) {
    return above(kAll, a, b);
  }
  static __mmask16 above(__mmask16 before, Lanes<64>::I32 a, Lanes<64>::I32 b) {
    return _mm512_mask_cmpgt_epi32_mask(before, reinterpret_cast<__m512i>(a),
                                        reinterpret_cast<__m512i>(b));
  }
  static __mmask8 above(__mmask8 before, Lanes<32>::I32 a, Lanes<32>::I32 b) {
    return _mm256_mask_cmpgt_epi32_mask(before, reinterpret_cast<__m256i>(a),
                                        reinterpret_cast<__m256i>(b));
  }
  static bool everywhere(typename T::Mask of) { return of == kAll; }
  static typename T::U64 multiply_low(typename T::U64 a, typename T::U64 b) {
    return T::multiply(reinterpret_cast<typename T::U32>(a), reinterpret_cast<typename T::U32>(b));
  }

 private:
  static constexpr typename T::Mask kAll = Tuples<kWidth>::kAll;
};

template <int kBytes, typename Cipher>
struct Avx512 : Generic<IsaAvx512<kBytes, Cipher>> {
  using Base = Generic<IsaAvx512<kBytes, Cipher>>;
  using T = Tuples<kBytes>;
  using U32 = typename T::U32;
  using Mask = typename T::Mask;
  static constexpr size_t kLanes = T::kLanes;
  // Register by register: as one copy it would go by way of the stack.
  static void store_blocks(uint8_t* to, const U32 blocks[4]) {
    for (size_t g = 0; g < 4; ++g) memcpy(to + kBytes * g, &blocks[g], kBytes);
  }

  static void context_states(const CountermarkAesKey* key, const uint8_t* initial, unsigned width,
                             const uint32_t* tokens, const uint32_t* ends, size_t count,
                             uint8_t* out) {
    const size_t whole = width > 4 ? 0 : count - count % kLanes;
    if (whole > 0) {
      const Cipher cipher(key);
      const U32 start = T::every_block(initial);
      for (size_t begin = 0; begin < whole; begin += kLanes) {
        U32 blocks[4];
        load_contexts(tokens, width, ends + begin, blocks);
        for (U32& some : blocks) some ^= start;
        cipher.encrypt(blocks, 4);
        store_blocks(out + 16 * begin, blocks);
      }
    }
    Base::context_states(key, initial, width, tokens, ends + whole, count - whole,
                         out + 16 * whole);
  }

  // The contexts of positions that follow each other, each in a block; the first is that of the
  // token at `at`.
  static void load_neighbours(const uint32_t* at, unsigned width, U32 out[4]) {
    const U32 from = T::numbers() / 4 + T::numbers() % 4;
    const auto present = static_cast<Mask>(T::kFirstWords * ((1u << width) - 1));
    const auto needed = static_cast<Mask>((1u << (width + T::kBlocks - 1)) - 1);
    for (uint32_t g = 0; g < 4; ++g)
      out[g] = T::permute(present, from, T::load_some(needed, at + T::kBlocks * g - width));
  }

  // The contexts of a vector of positions, each in a block.
  static void load_contexts(const uint32_t* tokens, unsigned width, const uint32_t* ends,
                            U32 out[4]) {
    const int every = -1;
    const __m128i present =
        _mm_set_epi32(width > 3 ? every : 0, width > 2 ? every : 0, width > 1 ? every : 0, every);
    __m128i contexts[kLanes];
    for (size_t i = 0; i < kLanes; ++i)
      contexts[i] =
          _mm_maskload_epi32(reinterpret_cast<const int*>(tokens + ends[i] - width), present);
    for (size_t g = 0; g < 4; ++g) out[g] = T::blocks(contexts + T::kBlocks * g);
  }

  static void route(const CountermarkAesKey* key, const uint8_t* initial, unsigned width,
                    const uint32_t* tokens, const uint32_t* ends, uint32_t first, size_t count,
                    uint32_t remaining, const uint32_t* bounds, size_t bound_count, uint8_t* states,
                    CountermarkColumn* columns) {
    for (size_t c = 0; c <= bound_count; ++c) columns[c].size = 0;
    const size_t whole = width > 4 ? 0 : count - count % kLanes;
    if (ends == nullptr) {
      route_whole<true>(key, initial, width, tokens, ends, first, whole, remaining, bounds,
                        bound_count, states, columns);
    } else {
      route_whole<false>(key, initial, width, tokens, ends, first, whole, remaining, bounds,
                         bound_count, states, columns);
    }
    Base::route_on(key, initial, width, tokens, ends, first, whole, count, remaining, bounds,
                   bound_count, states, columns);
  }

  template <bool kContiguous>
  static void route_whole(const CountermarkAesKey* key, const uint8_t* initial, unsigned width,
                          const uint32_t* tokens, const uint32_t* ends, uint32_t first,
                          size_t count, uint32_t remaining, const uint32_t* bounds,
                          size_t bound_count, uint8_t* states, CountermarkColumn* columns) {
    const Cipher cipher(key);
    const U32 start = T::every_block(initial);
    // With the last word of each chosen, word_places leads to the coins.
    const U32 coin_places = T::word_places(T::all(3));
    U32 positions = T::numbers() + first;
    for (size_t i = 0; i < count; i += kLanes, positions += kLanes) {
      if (!kContiguous) positions = load<U32>(ends + i);
      U32 blocks[4];
      if (kContiguous) {
        load_neighbours(tokens + first + i, width, blocks);
      } else {
        load_contexts(tokens, width, ends + i, blocks);
      }
      for (U32& some : blocks) some ^= start;
      cipher.encrypt(blocks, 4);
      if (kContiguous) {
        store_blocks(states + 16 * (first + i), blocks);
      } else {
        uint8_t found[16 * kLanes];
        store_blocks(found, blocks);
        for (size_t j = 0; j < kLanes; ++j)
          memcpy(states + size_t{16} * ends[i + j], found + 16 * j, 16);
      }
      const U32 coins = T::multiply_high(T::pick_words(blocks, coin_places), T::all(remaining));
      Mask left = T::kAll;
      for (size_t c = 0; c <= bound_count; ++c) {
        const Mask chosen = c < bound_count ? T::below(left, coins, T::all(bounds[c])) : left;
        left = static_cast<Mask>(left & ~chosen);
        const U32 pressed = T::compress(chosen, positions);
        memcpy(columns[c].positions + columns[c].size, &pressed, sizeof pressed);
        columns[c].size += static_cast<size_t>(__builtin_popcount(chosen));
      }
    }
  }

  template <bool kOneState>
  static void words_of(const CountermarkAesKey* key, const uint8_t* states, const uint8_t* tag,
                       const uint32_t* tokens, size_t count, uint32_t* out) {
    const size_t whole = count - count % kLanes;
    const Cipher cipher(key);
    const U32 tags = tag_blocks(tag);
    const U32 one = T::every_block(states);
    for (size_t i = 0; i < whole; i += kLanes) {
      const U32 ids = load<U32>(tokens + i);
      U32 blocks[4];
      for (uint32_t g = 0; g < 4; ++g) {
        const U32 state = kOneState ? one : load<U32>(states + 16 * i + size_t{kBytes} * g);
        blocks[g] = state ^ T::spread(g, tags, ids);
      }
      cipher.encrypt(blocks, 4);
      const U32 found = T::pick_words(blocks, T::word_places(ids));
      memcpy(out + i, &found, sizeof found);
    }
    Base::words_at(key, kOneState ? states : states + 16 * whole, kOneState ? 0 : 16, tag,
                   tokens + whole, count - whole, out + whole);
  }

  static void words_of_state(const CountermarkAesKey* key, const uint8_t* state, const uint8_t* tag,
                             const uint32_t* tokens, size_t count, uint32_t* out) {
    words_of<true>(key, state, tag, tokens, count, out);
  }

  static void words(const CountermarkAesKey* key, const uint8_t* states, const uint8_t* tag,
                    const uint32_t* tokens, size_t count, uint32_t* out) {
    if (count > 0) words_of<false>(key, states, tag, tokens, count, out);
  }

  // 0 | tag in each block.
  static U32 tag_blocks(const uint8_t* tag) {
    uint32_t block[4] = {0, 0, 0, 0};
    memcpy(block + 1, tag, 12);
    return T::every_block(block);
  }

  // What does not depend on the tag is prepared once for a run of tuples; it then serves all tags
  // from the first-level cache.
  static void tallies(const CountermarkAesKey* key, const uint8_t* states, const uint32_t* tokens,
                      size_t count, const uint8_t* tags, size_t tag_count, uint64_t* sums) {
    constexpr size_t kTuples = 256;  // their scores fit into 32 bits many times over
    const Cipher cipher(key);
    const Scorer<kBytes> score;
    U32 prepared[kTuples / kLanes][4];
    U32 places[kTuples / kLanes];
    for (size_t j = 0; j < tag_count; ++j) sums[j] = 0;
    for (size_t begin = 0; begin < count; begin += kTuples) {
      const size_t part = smaller(kTuples, count - begin);
      const size_t vectors = (part + kLanes - 1) / kLanes;
      for (size_t v = 0; v < vectors; ++v) {
        uint8_t padded_states[16 * kLanes];
        uint32_t padded_tokens[kLanes];
        const uint8_t* from = states + 16 * (begin + kLanes * v);
        const uint32_t* ids_from = tokens + begin + kLanes * v;
        const size_t here = smaller(kLanes, part - kLanes * v);
        if (here < kLanes) {
          memset(padded_states, 0, sizeof padded_states);
          memset(padded_tokens, 0, sizeof padded_tokens);
          memcpy(padded_states, from, 16 * here);
          memcpy(padded_tokens, ids_from, 4 * here);
          from = padded_states;
          ids_from = padded_tokens;
        }
        const U32 ids = load<U32>(ids_from);
        for (uint32_t g = 0; g < 4; ++g)
          prepared[v][g] = load<U32>(from + size_t{kBytes} * g) ^ T::spread(g, U32{}, ids);
        places[v] = T::word_places(ids);
      }
      const auto last = static_cast<Mask>(T::kAll >> (kLanes * vectors - part));
      for (size_t j = 0; j < tag_count; ++j) {
        const U32 tag = tag_blocks(tags + 12 * j);
        U32 sum{};
        for (size_t v = 0; v < vectors; ++v) {
          U32 blocks[4];
          for (size_t g = 0; g < 4; ++g) blocks[g] = prepared[v][g] ^ tag;
          cipher.encrypt(blocks, 4);
          const U32 scores = score(T::pick_words(blocks, places[v]));
          sum += v + 1 == vectors ? T::choose(last, U32{}, scores) : scores;
        }
        for (size_t lane = 0; lane < kLanes; ++lane) sums[j] += sum[lane];
      }
    }
  }

  static void scores(const uint32_t* words, size_t count, uint32_t* out) {
    const Scorer<kBytes> score;
    const size_t whole = count - count % kLanes;
    for (size_t i = 0; i < whole; i += kLanes) {
      const U32 found = score(load<U32>(words + i));
      memcpy(out + i, &found, sizeof found);
    }
    Base::scores(words + whole, count - whole, out + whole);
  }

  static constexpr CountermarkKernel kernel(const char* name, int (*supported)()) {
    // Whole rows of logits are read by the widest vectors whatever the clock: that is a matter of
    // memory.
    CountermarkKernel out =
        Generic<IsaAvx512<64, Cipher>>::kernel(name, true, supported, aesni_expand_key);
    out.context_states = context_states;
    out.route = route;
    out.insert_all = Base::insert_all;
    out.words_of_state = words_of_state;
    out.words = words;
    out.tallies = tallies;
    out.scores = scores;
    using Narrow = Foreign<IsaAvx512<kBytes, Cipher>>;
    out.vllm_states = Narrow::vllm_states;
    out.vllm_words = Narrow::vllm_words;
    out.sbw_words = Narrow::sbw_words;
    out.murmur_contexts = Narrow::murmur_contexts;
    out.murmur_pairs = Narrow::murmur_pairs;
    return out;
  }
};

}  // namespace
