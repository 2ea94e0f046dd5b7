// SPDX-License-Identifier: Apache-2.0
// AVX-512 without VAES: Skylake-X and its successors up to Cascade Lake.
#include "watermark/kernels/avx512.h"

namespace {

int supported() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("aes") != 0 && __builtin_cpu_supports("avx512f") != 0 &&
         __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512cd") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0;
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

  // `count` registers of four blocks.
  void encrypt(__m512i* blocks, size_t count) const {
    auto* bytes = reinterpret_cast<uint8_t*>(blocks);
    aesni_encrypt_blocks(key_, bytes, bytes, 4 * count);
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
    Avx512<Cipher>::kernel("avx512", supported);
