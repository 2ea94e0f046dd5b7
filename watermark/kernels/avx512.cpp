// SPDX-License-Identifier: Apache-2.0
// AVX-512 without VAES, in vectors of 256 bits: Skylake-X and its successors up to Cooper Lake.
#include "watermark/kernels/avx512.h"

namespace {

int supported() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("aes") != 0 && __builtin_cpu_supports("avx512f") != 0 &&
         __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512cd") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
}

struct AesInMemory {
  static void encrypt_blocks(const CountermarkAesKey* key, const uint8_t* in, uint8_t* out,
                             size_t count) {
    aesni_encrypt_blocks(key, in, out, count);
  }
};

class Cipher : public CipherInMemory<AesInMemory> {
 public:
  explicit Cipher(const CountermarkAesKey* key) : CipherInMemory<AesInMemory>(key), key_(key) {}

  // `count` registers of two blocks, a multiple of four.
  void encrypt(Lanes<32>::U32* blocks, size_t count) const {
    for (size_t done = 0; done < count; done += 4) {
      __m128i state[8];
      const __m128i first = load_block(key_->round_keys[0]);
      for (size_t i = 0; i < 4; ++i) {
        const auto two = reinterpret_cast<__m256i>(blocks[done + i]);
        state[2 * i] = _mm_xor_si128(_mm256_castsi256_si128(two), first);
        state[2 * i + 1] = _mm_xor_si128(_mm256_extracti128_si256(two, 1), first);
      }
#pragma GCC unroll 1
      for (int round = 1; round < 10; ++round) {
        const __m128i round_key = load_block(key_->round_keys[round]);
        for (auto& block : state) block = _mm_aesenc_si128(block, round_key);
      }
      const __m128i last = load_block(key_->round_keys[10]);
      for (auto& block : state) block = _mm_aesenclast_si128(block, last);
      for (size_t i = 0; i < 4; ++i)
        blocks[done + i] =
            reinterpret_cast<Lanes<32>::U32>(_mm256_set_m128i(state[2 * i + 1], state[2 * i]));
    }
  }

  static void encrypt_blocks(const CountermarkAesKey* key, const uint8_t* in, uint8_t* out,
                             size_t count) {
    aesni_encrypt_blocks(key, in, out, count);
  }

 private:
  const CountermarkAesKey* key_;
};

}  // namespace

extern "C" constinit const CountermarkKernel countermark_kernel_avx512 =
    Avx512<32, Cipher>::kernel("avx512", supported);
