// SPDX-License-Identifier: Apache-2.0
// AES-128 by the AES-NI instructions (FIPS 197; Intel, "Advanced Encryption Standard New
// Instructions Set", 2012), eight blocks in flight.
#include <cpuid.h>
#include <immintrin.h>

#include "watermark/kernels/aesni.h"
#include "watermark/kernels/generic.h"

namespace {

int supported() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_AES) != 0 && (c & bit_SSE4_1) != 0;
}

struct Isa : ForeignOf16 {
  static constexpr int kBytes = 16;
  using Cipher = CipherInMemory<Isa>;

  static void encrypt_blocks(const CountermarkAesKey* key, const uint8_t* in, uint8_t* out,
                             size_t count) {
    aesni_encrypt_blocks(key, in, out, count);
  }

  static unsigned at_least(Lanes<16>::F32 a, Lanes<16>::F32 b) {
    return static_cast<unsigned>(_mm_movemask_ps(_mm_cmpge_ps(a, b)));
  }

  static bool holds(const uint64_t line[8], uint64_t value) {
    const __m128i wanted = _mm_set1_epi64x(static_cast<long long>(value));
    __m128i same = _mm_cmpeq_epi64(load_block(line), wanted);
    for (size_t i = 2; i < 8; i += 2)
      same = _mm_or_si128(same, _mm_cmpeq_epi64(load_block(line + i), wanted));
    return _mm_testz_si128(same, same) == 0;
  }

  static Lanes<16>::F32 larger(Lanes<16>::F32 a, Lanes<16>::F32 b) { return _mm_max_ps(a, b); }

  static Lanes<16>::U64 multiply_low(Lanes<16>::U64 a, Lanes<16>::U64 b) {
    return reinterpret_cast<Lanes<16>::U64>(
        _mm_mul_epu32(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
  }
};

}  // namespace

extern "C" constinit const CountermarkKernel countermark_kernel_aesni =
    Generic<Isa>::kernel("aesni", true, supported, aesni_expand_key);
