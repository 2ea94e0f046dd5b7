// SPDX-License-Identifier: Apache-2.0
// AVX-512 with VAES: Ice Lake, Zen 4 and later.
#include <cpuid.h>

#include "watermark/kernels/avx512.h"

namespace {

int supported() {
  // Compilers do not all know VAES by name here; what the system allows is the others' affair.
  unsigned a = 0, b = 0, c = 0, d = 0;
  const bool has_vaes = __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (c & (1u << 9)) != 0;
  __builtin_cpu_init();
  return has_vaes && __builtin_cpu_supports("aes") != 0 && __builtin_cpu_supports("avx512f") != 0 &&
         __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512cd") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0;
}

// Round keys are read where they stand, for every four registers of blocks anew: a copy would stay
// on the stack, where nobody wipes it.
class Cipher {
 public:
  explicit Cipher(const CountermarkAesKey* key) : key_(key) {}

  // `count` registers of four blocks, a multiple of four.
  void encrypt(__m512i* blocks, size_t count) const {
    for (size_t done = 0; done < count; done += 4) {
      const CountermarkAesKey* key = key_;
      __asm__ volatile("" : "+r"(key));  // else the loop holds the keys in registers, which spill
      __m512i state[4];
      const __m512i first = round_key(key, 0);
      for (size_t i = 0; i < 4; ++i) state[i] = _mm512_xor_si512(blocks[done + i], first);
      for (int round = 1; round < 10; ++round) {
        const __m512i middle = round_key(key, round);
        for (auto& four : state) four = _mm512_aesenc_epi128(four, middle);
      }
      const __m512i last = round_key(key, 10);
      for (size_t i = 0; i < 4; ++i) blocks[done + i] = _mm512_aesenclast_epi128(state[i], last);
    }
  }

  // As Isa::Cipher::row_words in generic.h.
  void row_words(const uint32_t base[4], uint32_t first, uint32_t out[64]) const {
    const __m512i start = _mm512_broadcast_i32x4(load_block(base));
    __m512i blocks[4];
    for (uint32_t g = 0; g < 4; ++g) {
      const __m512i block = _mm512_set_epi32(0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0);
      const __m512i index = _mm512_maskz_add_epi32(0x1111, block, set_512(first + 4 * g));
      blocks[g] = _mm512_xor_si512(start, index);
    }
    encrypt(blocks, 4);
    for (size_t g = 0; g < 4; ++g) store_512(out + 16 * g, blocks[g]);
  }

  static void encrypt_blocks(const CountermarkAesKey* key, const uint8_t* in, uint8_t* out,
                             size_t count) {
    const Cipher cipher(key);
    size_t done = 0;
    for (; done + 16 <= count; done += 16) {
      __m512i blocks[4];
      for (size_t i = 0; i < 4; ++i) blocks[i] = load_512(in + 16 * done + 64 * i);
      cipher.encrypt(blocks, 4);
      for (size_t i = 0; i < 4; ++i) store_512(out + 16 * done + 64 * i, blocks[i]);
    }
    if (done < count) aesni_encrypt_blocks(key, in + 16 * done, out + 16 * done, count - done);
  }

 private:
  static __m512i round_key(const CountermarkAesKey* key, int round) {
    return _mm512_broadcast_i32x4(load_block(key->round_keys[round]));
  }

  const CountermarkAesKey* key_;
};

}  // namespace

extern "C" constinit const CountermarkKernel countermark_kernel_vaes512 =
    Avx512<Cipher>::kernel("vaes512", supported);
