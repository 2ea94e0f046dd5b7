// SPDX-License-Identifier: Apache-2.0
// AES-128 by the AES-NI instructions (FIPS 197; Intel, "Advanced Encryption Standard New
// Instructions Set", 2012), eight blocks in flight.
#include <cpuid.h>
#include <immintrin.h>

#include "watermark/kernels/kernel.h"

namespace {

int supported() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_AES) != 0 && (c & bit_SSE4_1) != 0;
}

__m128i load(const uint8_t* from) {
  return _mm_loadu_si128(static_cast<const __m128i*>(static_cast<const void*>(from)));
}

void store(uint8_t* to, __m128i value) {
  _mm_storeu_si128(static_cast<__m128i*>(static_cast<void*>(to)), value);
}

template <int kRoundConstant>
__m128i next_round_key(__m128i key) {
  __m128i word = _mm_aeskeygenassist_si128(key, kRoundConstant);
  word = _mm_shuffle_epi32(word, 0xff);
  key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
  key = _mm_xor_si128(key, _mm_slli_si128(key, 8));
  return _mm_xor_si128(key, word);
}

void expand_key(const uint8_t key[16], CountermarkAesKey* out) {
  __m128i k = load(key);
  store(out->round_keys[0], k);
  store(out->round_keys[1], k = next_round_key<0x01>(k));
  store(out->round_keys[2], k = next_round_key<0x02>(k));
  store(out->round_keys[3], k = next_round_key<0x04>(k));
  store(out->round_keys[4], k = next_round_key<0x08>(k));
  store(out->round_keys[5], k = next_round_key<0x10>(k));
  store(out->round_keys[6], k = next_round_key<0x20>(k));
  store(out->round_keys[7], k = next_round_key<0x40>(k));
  store(out->round_keys[8], k = next_round_key<0x80>(k));
  store(out->round_keys[9], k = next_round_key<0x1b>(k));
  store(out->round_keys[10], next_round_key<0x36>(k));
}

template <size_t kLanes>
void encrypt_lanes(const __m128i round_keys[11], const uint8_t* in, uint8_t* out) {
  __m128i state[kLanes];
  for (size_t i = 0; i < kLanes; ++i) state[i] = _mm_xor_si128(load(in + 16 * i), round_keys[0]);
  for (int round = 1; round < 10; ++round)
    for (size_t i = 0; i < kLanes; ++i) state[i] = _mm_aesenc_si128(state[i], round_keys[round]);
  for (size_t i = 0; i < kLanes; ++i)
    store(out + 16 * i, _mm_aesenclast_si128(state[i], round_keys[10]));
}

void encrypt_blocks(const CountermarkAesKey* key, const uint8_t* in, uint8_t* out, size_t count) {
  __m128i round_keys[11];
  for (int i = 0; i < 11; ++i) round_keys[i] = load(key->round_keys[i]);
  size_t done = 0;
  for (; done + 8 <= count; done += 8)
    encrypt_lanes<8>(round_keys, in + 16 * done, out + 16 * done);
  for (; done < count; ++done) encrypt_lanes<1>(round_keys, in + 16 * done, out + 16 * done);
}

}  // namespace

extern "C" const CountermarkKernel countermark_kernel_aesni = {"aesni", 1, supported, expand_key,
                                                               encrypt_blocks};
