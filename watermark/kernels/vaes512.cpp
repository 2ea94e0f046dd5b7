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
         __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
}

using Blocks = Lanes<64>::U32;  // four of them

// Round keys are read where they stand, for every four registers of blocks anew: a copy would stay
// on the stack, where nobody wipes it.
class Cipher {
 public:
  explicit Cipher(const CountermarkAesKey* key) : key_(key) {}

  // `count` registers, a multiple of four.
  void encrypt(Blocks* blocks, size_t count) const {
    for (size_t done = 0; done < count; done += 4) {
      const CountermarkAesKey* key = key_;
      __asm__ volatile("" : "+r"(key));  // else the loop holds the keys in registers, which spill
      __m512i state[4];
      const __m512i first = round_key(key, 0);
      for (size_t i = 0; i < 4; ++i)
        state[i] = _mm512_xor_si512(reinterpret_cast<__m512i>(blocks[done + i]), first);
      for (int round = 1; round < 10; ++round) {
        const __m512i middle = round_key(key, round);
        for (auto& four : state) four = _mm512_aesenc_epi128(four, middle);
      }
      const __m512i last = round_key(key, 10);
      for (size_t i = 0; i < 4; ++i)
        blocks[done + i] = reinterpret_cast<Blocks>(_mm512_aesenclast_epi128(state[i], last));
    }
  }

  // As Isa::Cipher::row_words in generic.h.
  void row_words(const uint32_t base[4], uint32_t first, uint32_t out[64]) const {
    const Blocks start = Wide<64>::every_block(base);
    Blocks blocks[4];
    for (uint32_t g = 0; g < 4; ++g) {
      const uint32_t b = first + 4 * g;
      blocks[g] = start ^ Blocks { b, 0, 0, 0, b + 1, 0, 0, 0, b + 2, 0, 0, 0, b + 3, 0, 0, 0 };
    }
    encrypt(blocks, 4);
    memcpy(out, blocks, sizeof blocks);
  }

  static void encrypt_blocks(const CountermarkAesKey* key, const uint8_t* in, uint8_t* out,
                             size_t count) {
    const Cipher cipher(key);
    size_t done = 0;
    for (; done + 16 <= count; done += 16) {
      Blocks blocks[4];
      memcpy(blocks, in + 16 * done, sizeof blocks);
      cipher.encrypt(blocks, 4);
      memcpy(out + 16 * done, blocks, sizeof blocks);
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
    Avx512<64, Cipher>::kernel("vaes512", supported);
