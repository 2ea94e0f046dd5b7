// SPDX-License-Identifier: Apache-2.0
// AVX-512: Skylake-X, Zen 4 and their successors.
#include <immintrin.h>

#include "verifier/text/kernels/block.h"

namespace {

int supported() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("popcnt") != 0;
}

__m512i all(int value) { return _mm512_set1_epi8(static_cast<char>(value)); }

struct Avx512 {
  using Bytes = __m512i;

  static uint64_t equal(__m512i bytes, int value) {
    return _mm512_cmpeq_epi8_mask(bytes, all(value));
  }

  static uint64_t within(__m512i bytes, int first, int size) {
    return _mm512_cmplt_epu8_mask(_mm512_sub_epi8(bytes, all(first)), all(size));
  }

  static uint64_t high(__m512i bytes) { return _mm512_movepi8_mask(bytes); }

  // Whether the bit of the upper half of the byte is in the set of its lower half.
  static uint64_t symbols(__m512i bytes) {
    const __m512i lower_half = _mm512_broadcast_i32x4(
        _mm_setr_epi8(8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 2 | 16, 2, 2 | 4 | 16, 0));
    const __m512i upper_half =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0, 1, 2, 0, 4, 8, 16, 0, 0, 0, 0, 0, 0, 0, 0));
    const __m512i upper = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), all(15));
    return _mm512_test_epi8_mask(_mm512_shuffle_epi8(lower_half, bytes),
                                 _mm512_shuffle_epi8(upper_half, upper));
  }
};

void classify(const uint8_t* text, size_t count, CountermarkBytes* out) {
  for (size_t block = 0; block < count; ++block)
    write_masks<Avx512>(_mm512_loadu_si512(text + 64 * block), out[block].of);
}

size_t positions(const uint64_t* words, size_t count, uint32_t base, uint32_t* out) {
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  __m512i numbers = _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(base)));
  uint32_t* end = out;
  for (size_t i = 0; i < count; ++i) {
    uint64_t word = words[i];
    for (int quarter = 0; quarter < 4; ++quarter) {
      const auto mask = static_cast<__mmask16>(word);
      _mm512_storeu_si512(end, _mm512_maskz_compress_epi32(mask, numbers));
      end += __builtin_popcount(mask);
      numbers = _mm512_add_epi32(numbers, _mm512_set1_epi32(16));
      word >>= 16;
    }
  }
  return static_cast<size_t>(end - out);
}

}  // namespace

extern "C" constinit const CountermarkTextKernel countermark_text_kernel_avx512 = {
    "avx512", supported, classify, positions};
