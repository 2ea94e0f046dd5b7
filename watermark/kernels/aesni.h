// SPDX-License-Identifier: Apache-2.0
// AES-128 by the AES-NI instructions (FIPS 197; Intel, "Advanced Encryption Standard New
// Instructions Set", 2012), eight blocks in flight. Internal linkage: see generic.h.
#pragma once

#include <immintrin.h>

#include "watermark/kernels/kernel.h"

namespace {

inline __m128i load_block(const void* from) {
  return _mm_loadu_si128(static_cast<const __m128i*>(from));
}

inline void store_block(void* to, __m128i value) {
  _mm_storeu_si128(static_cast<__m128i*>(to), value);
}

template <int kRoundConstant>
__m128i next_round_key(__m128i key) {
  __m128i word = _mm_aeskeygenassist_si128(key, kRoundConstant);
  word = _mm_shuffle_epi32(word, 0xff);
  key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
  key = _mm_xor_si128(key, _mm_slli_si128(key, 8));
  return _mm_xor_si128(key, word);
}

void aesni_expand_key(const uint8_t key[16], CountermarkAesKey* out) {
  __m128i k = load_block(key);
  store_block(out->round_keys[0], k);
  store_block(out->round_keys[1], k = next_round_key<0x01>(k));
  store_block(out->round_keys[2], k = next_round_key<0x02>(k));
  store_block(out->round_keys[3], k = next_round_key<0x04>(k));
  store_block(out->round_keys[4], k = next_round_key<0x08>(k));
  store_block(out->round_keys[5], k = next_round_key<0x10>(k));
  store_block(out->round_keys[6], k = next_round_key<0x20>(k));
  store_block(out->round_keys[7], k = next_round_key<0x40>(k));
  store_block(out->round_keys[8], k = next_round_key<0x80>(k));
  store_block(out->round_keys[9], k = next_round_key<0x1b>(k));
  store_block(out->round_keys[10], next_round_key<0x36>(k));
}

// The rounds stay a loop, so that the compiler keeps the blocks in registers and the round keys in
// memory; unrolled, it does the opposite and spills.
template <size_t kBlocks>
void aesni_encrypt(const CountermarkAesKey* key, const uint8_t* in, uint8_t* out) {
  const __m128i first = load_block(key->round_keys[0]);
  __m128i state[kBlocks];
  for (size_t i = 0; i < kBlocks; ++i) state[i] = _mm_xor_si128(load_block(in + 16 * i), first);
#pragma GCC unroll 1
  for (int round = 1; round < 10; ++round) {
    const __m128i round_key = load_block(key->round_keys[round]);
    for (size_t i = 0; i < kBlocks; ++i) state[i] = _mm_aesenc_si128(state[i], round_key);
  }
  const __m128i last = load_block(key->round_keys[10]);
  for (size_t i = 0; i < kBlocks; ++i)
    store_block(out + 16 * i, _mm_aesenclast_si128(state[i], last));
}

void aesni_encrypt_blocks(const CountermarkAesKey* key, const uint8_t* in, uint8_t* out,
                          size_t count) {
  size_t done = 0;
  for (; done + 8 <= count; done += 8) aesni_encrypt<8>(key, in + 16 * done, out + 16 * done);
  if (done + 4 <= count) {
    aesni_encrypt<4>(key, in + 16 * done, out + 16 * done);
    done += 4;
  }
  for (; done < count; ++done) aesni_encrypt<1>(key, in + 16 * done, out + 16 * done);
}

}  // namespace
