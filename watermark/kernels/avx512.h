// SPDX-License-Identifier: Apache-2.0
// The kernels of AVX-512 machines: sixteen tuples at a time, whose words never leave the
// registers before they are scored. The cipher is a parameter, four blocks in a register; some
// processors have AES for that width (VAES), others for one block at a time.
//
// Internal linkage: see generic.h.
#pragma once

#include <immintrin.h>

#include "watermark/kernels/aesni.h"
#include "watermark/kernels/generic.h"

namespace {

inline __m512i load_512(const void* from) { return _mm512_loadu_si512(from); }
inline void store_512(void* to, __m512i value) { _mm512_storeu_si512(to, value); }
inline __m512i set_512(uint32_t value) { return _mm512_set1_epi32(static_cast<int>(value)); }

// The upper halves of the products of 16 pairs.
inline __m512i multiply_high_512(__m512i a, __m512i b) {
  const __m512i even = _mm512_srli_epi64(_mm512_mul_epu32(a, b), 32);
  const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32));
  return _mm512_mask_blend_epi32(0xaaaa, even, odd);
}

// exponential_score of 16 words.
class Scorer {
 public:
  Scorer() {
    uint32_t rows[3][16];
    for (size_t i = 0; i < 16; ++i) {
      rows[0][i] = countermark::internal::kScoreTable[i].c0;
      rows[1][i] = countermark::internal::kScoreTable[i].c1;
      rows[2][i] = countermark::internal::kScoreTable[i].c2;
    }
    c0_ = load_512(rows[0]);
    c1_ = load_512(rows[1]);
    c2_ = load_512(rows[2]);
  }

  __m512i operator()(__m512i words) const {
    const __m512i y = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_max_epu32(words, set_512(1)));
    const __m512i z = _mm512_lzcnt_epi32(y);
    const __m512i m = _mm512_sllv_epi32(y, z);
    const __m512i row = _mm512_srli_epi32(m, 27);  // the permutations look at four bits of it
    const __m512i f = _mm512_slli_epi32(m, 5);
    const __m512i inner =
        _mm512_sub_epi32(_mm512_permutexvar_epi32(row, c1_),
                         multiply_high_512(f, _mm512_permutexvar_epi32(row, c2_)));
    const __m512i g =
        _mm512_sub_epi32(_mm512_permutexvar_epi32(row, c0_), multiply_high_512(f, inner));
    const __m512i a =
        _mm512_add_epi32(_mm512_mullo_epi32(z, set_512(93'032'639)), _mm512_srli_epi32(g, 5));
    const __m512i slack = set_512(336);
    return _mm512_srli_epi32(_mm512_sub_epi32(_mm512_max_epu32(a, slack), slack), 7);
  }

 private:
  __m512i c0_, c1_, c2_;
};

// LE32(token >> 2) of tokens 4 g .. 4 g + 3 in the first words of four blocks, `rest` elsewhere.
template <int kGroup>
__m512i spread(__m512i rest, __m512i tokens) {
  const __m512i from = _mm512_set1_epi32(4 * kGroup);
  const __m512i block = _mm512_set_epi32(0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0);
  return _mm512_mask_permutexvar_epi32(rest, 0x1111, _mm512_add_epi32(from, block),
                                       _mm512_srli_epi32(tokens, 2));
}

// 0 | tag in each of four blocks.
inline __m512i tag_blocks(const uint8_t* tag) {
  uint32_t block[4] = {0, 0, 0, 0};
  memcpy(block + 1, tag, 12);
  return _mm512_broadcast_i32x4(load_block(block));
}

// Where the words of 16 tokens lie among the 32 words of eight blocks, the first eight tokens'
// and the last eight tokens' alike.
inline __m512i word_places(__m512i tokens) {
  const __m512i block = _mm512_set_epi32(28, 24, 20, 16, 12, 8, 4, 0, 28, 24, 20, 16, 12, 8, 4, 0);
  return _mm512_or_si512(block, _mm512_and_si512(tokens, set_512(3)));
}

inline __m512i pick_words(const __m512i blocks[4], __m512i places) {
  const __m512i lower = _mm512_permutex2var_epi32(blocks[0], places, blocks[1]);
  const __m512i upper = _mm512_permutex2var_epi32(blocks[2], places, blocks[3]);
  return _mm512_mask_blend_epi32(0xff00, lower, upper);
}

template <typename WideCipher>
struct Isa512 {
  static constexpr int kBytes = 64;
  using Cipher = WideCipher;

  static void encrypt_blocks(const CountermarkAesKey* key, const uint8_t* in, uint8_t* out,
                             size_t count) {
    Cipher::encrypt_blocks(key, in, out, count);
  }

  static unsigned at_least(Lanes<64>::F32 a, Lanes<64>::F32 b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ);
  }

  static unsigned equal(Lanes<64>::U64 a, Lanes<64>::U64 b) {
    return _mm512_cmpeq_epi64_mask(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b));
  }

  static Lanes<64>::F32 larger(Lanes<64>::F32 a, Lanes<64>::F32 b) { return _mm512_max_ps(a, b); }
};

template <typename Cipher>
struct Avx512 : Generic<Isa512<Cipher>> {
  using Base = Generic<Isa512<Cipher>>;
  // Vectors of 16 tuples that are encrypted together. A cipher that works in memory stores single
  // blocks, and loading them four at once has to wait until they have reached the cache.
  static constexpr size_t kBatch = 4;

  static void context_states(const CountermarkAesKey* key, const uint8_t* initial, unsigned width,
                             const uint32_t* tokens, const uint32_t* ends, size_t count,
                             uint8_t* out) {
    const size_t whole = width > 4 ? 0 : count - count % 16;
    if (whole > 0) {
      const Cipher cipher(key);
      const __m512i start = _mm512_broadcast_i32x4(load_block(initial));
      for (size_t begin = 0; begin < whole; begin += 16) {
        __m512i blocks[4];
        load_contexts(tokens, width, ends + begin, 0, blocks);
        for (auto& four : blocks) four = _mm512_xor_si512(four, start);
        cipher.encrypt(blocks, 4);
        for (size_t g = 0; g < 4; ++g) store_512(out + 16 * begin + 64 * g, blocks[g]);
      }
    }
    Base::context_states(key, initial, width, tokens, ends + whole, count - whole,
                         out + 16 * whole);
  }

  // The contexts of sixteen positions, four in a register, the first at tokens[end - width].
  // They are ends[0], ends[1], ... or, where that is null, `first` and those after it.
  static void load_contexts(const uint32_t* tokens, unsigned width, const uint32_t* ends,
                            uint32_t first, __m512i out[4]) {
    if (ends == nullptr) {
      const __m512i from = _mm512_set_epi32(6, 5, 4, 3, 5, 4, 3, 2, 4, 3, 2, 1, 3, 2, 1, 0);
      const auto present = static_cast<__mmask16>(0x1111 * ((1 << width) - 1));
      const auto needed = static_cast<__mmask16>((1 << (width + 3)) - 1);
      for (uint32_t g = 0; g < 4; ++g)
        out[g] = _mm512_maskz_permutexvar_epi32(
            present, from,
            _mm512_maskz_loadu_epi32(needed, tokens + first + size_t{4} * g - width));
      return;
    }
    const int every = -1;
    const __m128i present =
        _mm_set_epi32(width > 3 ? every : 0, width > 2 ? every : 0, width > 1 ? every : 0, every);
    const auto context = [&](size_t i) {
      return _mm_maskload_epi32(reinterpret_cast<const int*>(tokens + ends[i] - width), present);
    };
    for (size_t g = 0; g < 4; ++g) {
      out[g] = _mm512_castsi128_si512(context(4 * g));
      out[g] = _mm512_inserti32x4(out[g], context(4 * g + 1), 1);
      out[g] = _mm512_inserti32x4(out[g], context(4 * g + 2), 2);
      out[g] = _mm512_inserti32x4(out[g], context(4 * g + 3), 3);
    }
  }

  // Sixteen positions at a time; what goes to a column is pressed together in registers.
  static void route(const CountermarkAesKey* key, const uint8_t* initial, unsigned width,
                    const uint32_t* tokens, const uint32_t* ends, uint32_t first, size_t count,
                    uint32_t remaining, const uint32_t* bounds, size_t bound_count,
                    CountermarkColumn* columns) {
    for (size_t c = 0; c <= bound_count; ++c) columns[c].size = 0;
    size_t begin = 0;
    if (width <= 4) {
      const Cipher cipher(key);
      const __m512i start = _mm512_broadcast_i32x4(load_block(initial));
      const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
      // With the last word of each chosen, word_places leads to the coins.
      const __m512i coin_places = word_places(set_512(3));
      while (begin + 16 <= count) {
        const size_t vectors = smaller(kBatch, (count - begin) / 16);
        __m512i blocks[kBatch][4];
        for (size_t v = 0; v < vectors; ++v) {
          const size_t at = begin + 16 * v;
          load_contexts(tokens, width, ends == nullptr ? nullptr : ends + at,
                        first + static_cast<uint32_t>(at), blocks[v]);
          for (auto& four : blocks[v]) four = _mm512_xor_si512(four, start);
        }
        cipher.encrypt(blocks[0], 4 * vectors);
        for (size_t v = 0; v < vectors; ++v, begin += 16) {
          const __m512i positions =
              ends == nullptr
                  ? _mm512_add_epi32(lanes, set_512(first + static_cast<uint32_t>(begin)))
                  : load_512(ends + begin);
          const __m512i coins =
              multiply_high_512(pick_words(blocks[v], coin_places), set_512(remaining));
          __mmask16 left = 0xffff;
          for (size_t c = 0; c <= bound_count; ++c) {
            const __mmask16 chosen =
                c < bound_count ? _mm512_mask_cmplt_epu32_mask(left, coins, set_512(bounds[c]))
                                : left;
            left = static_cast<__mmask16>(left & ~chosen);
            append(columns[c], chosen, positions, blocks[v]);
          }
        }
      }
    }
    Base::route_on(key, initial, width, tokens, ends, first, begin, count, remaining, bounds,
                   bound_count, columns);
  }

  static void append(CountermarkColumn& column, __mmask16 chosen, __m512i positions,
                     const __m512i blocks[4]) {
    // Bits of four blocks as bits of their eight halves.
    static constexpr uint8_t kHalves[16] = {0x00, 0x03, 0x0c, 0x0f, 0x30, 0x33, 0x3c, 0x3f,
                                            0xc0, 0xc3, 0xcc, 0xcf, 0xf0, 0xf3, 0xfc, 0xff};
    store_512(column.positions + column.size, _mm512_maskz_compress_epi32(chosen, positions));
    if (column.states != nullptr) {
      uint8_t* to = column.states + 16 * column.size;
      for (unsigned g = 0; g < 4; ++g) {
        const unsigned four = (static_cast<unsigned>(chosen) >> (4 * g)) & 15;
        store_512(to, _mm512_maskz_compress_epi64(kHalves[four], blocks[g]));
        to += size_t{16} * static_cast<size_t>(__builtin_popcount(four));
      }
    }
    column.size += static_cast<size_t>(__builtin_popcount(chosen));
  }

  template <bool kOneState>
  static void words_512(const CountermarkAesKey* key, const uint8_t* states, const uint8_t* tag,
                        const uint32_t* tokens, size_t count, uint32_t* out) {
    const size_t whole = count - count % 16;
    if (whole > 0) {
      const Cipher cipher(key);
      const __m512i tags = tag_blocks(tag);
      const __m512i one = _mm512_broadcast_i32x4(load_block(states));
      for (size_t begin = 0; begin < whole; begin += 16) {
        const auto state = [&](size_t g) {
          return kOneState ? one : load_512(states + 16 * begin + 64 * g);
        };
        const __m512i ids = load_512(tokens + begin);
        __m512i blocks[4] = {_mm512_xor_si512(state(0), spread<0>(tags, ids)),
                             _mm512_xor_si512(state(1), spread<1>(tags, ids)),
                             _mm512_xor_si512(state(2), spread<2>(tags, ids)),
                             _mm512_xor_si512(state(3), spread<3>(tags, ids))};
        cipher.encrypt(blocks, 4);
        store_512(out + begin, pick_words(blocks, word_places(ids)));
      }
    }
    Base::words_at(key, kOneState ? states : states + 16 * whole, kOneState ? 0 : 16, tag,
                   tokens + whole, count - whole, out + whole);
  }

  static void words_of_state(const CountermarkAesKey* key, const uint8_t* state, const uint8_t* tag,
                             const uint32_t* tokens, size_t count, uint32_t* out) {
    words_512<true>(key, state, tag, tokens, count, out);
  }

  static void words(const CountermarkAesKey* key, const uint8_t* states, const uint8_t* tag,
                    const uint32_t* tokens, size_t count, uint32_t* out) {
    words_512<false>(key, states, tag, tokens, count, out);
  }

  // What does not depend on the tag is prepared once for a run of tuples; it then serves all tags
  // from the first-level cache.
  static void tallies(const CountermarkAesKey* key, const uint8_t* states, const uint32_t* tokens,
                      size_t count, const uint8_t* tags, size_t tag_count, uint64_t* sums) {
    constexpr size_t kVectors = 16;  // of 16 tuples; 16 scores fit into 32 bits many times over
    const Cipher cipher(key);
    const Scorer score;
    __m512i prepared[kVectors][4];
    __m512i places[kVectors];
    for (size_t j = 0; j < tag_count; ++j) sums[j] = 0;
    for (size_t begin = 0; begin < count; begin += 16 * kVectors) {
      const size_t part = smaller(16 * kVectors, count - begin);
      const size_t vectors = (part + 15) / 16;
      for (size_t v = 0; v < vectors; ++v) {
        uint8_t padded_states[256] = {};
        uint32_t padded_tokens[16] = {};
        const uint8_t* from = states + 16 * (begin + 16 * v);
        const uint32_t* ids_from = tokens + begin + 16 * v;
        const size_t here = smaller(16, part - 16 * v);
        if (here < 16) {
          memcpy(padded_states, from, 16 * here);
          memcpy(padded_tokens, ids_from, 4 * here);
          from = padded_states;
          ids_from = padded_tokens;
        }
        const __m512i ids = load_512(ids_from);
        const __m512i none = _mm512_setzero_si512();
        prepared[v][0] = _mm512_xor_si512(load_512(from), spread<0>(none, ids));
        prepared[v][1] = _mm512_xor_si512(load_512(from + 64), spread<1>(none, ids));
        prepared[v][2] = _mm512_xor_si512(load_512(from + 128), spread<2>(none, ids));
        prepared[v][3] = _mm512_xor_si512(load_512(from + 192), spread<3>(none, ids));
        places[v] = word_places(ids);
      }
      const auto last = static_cast<__mmask16>(0xffff >> (16 * vectors - part));
      for (size_t j = 0; j < tag_count; ++j) {
        const __m512i tag = tag_blocks(tags + 12 * j);
        __m512i sum = _mm512_setzero_si512();
        for (size_t done = 0; done < vectors; done += kBatch) {
          const size_t batch = smaller(kBatch, vectors - done);
          __m512i blocks[kBatch][4];
          for (size_t v = 0; v < batch; ++v)
            for (size_t g = 0; g < 4; ++g)
              blocks[v][g] = _mm512_xor_si512(prepared[done + v][g], tag);
          cipher.encrypt(blocks[0], 4 * batch);
          for (size_t v = 0; v < batch; ++v) {
            const __m512i scores = score(pick_words(blocks[v], places[done + v]));
            const __mmask16 present =
                done + v + 1 == vectors ? last : static_cast<__mmask16>(0xffff);
            sum = _mm512_mask_add_epi32(sum, present, sum, scores);
          }
        }
        const __m512i low = _mm512_and_si512(sum, _mm512_set1_epi64(0xffffffff));
        const __m512i high = _mm512_srli_epi64(sum, 32);
        sums[j] += static_cast<uint64_t>(_mm512_reduce_add_epi64(_mm512_add_epi64(low, high)));
      }
    }
  }

  static constexpr CountermarkKernel kernel(const char* name, int (*supported)()) {
    CountermarkKernel out = Base::kernel(name, true, supported, aesni_expand_key);
    out.context_states = context_states;
    out.route = route;
    out.words_of_state = words_of_state;
    out.words = words;
    out.tallies = tallies;
    return out;
  }
};

}  // namespace
