// SPDX-License-Identifier: Apache-2.0
// AVX2 and BMI: Haswell, Zen and their successors.
#include <immintrin.h>

#include "verifier/text/kernels/block.h"

namespace {

int supported() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("bmi") != 0;
}

__m256i all(int value) { return _mm256_set1_epi8(static_cast<char>(value)); }

struct Avx2 {
  struct Bytes {
    __m256i low;
    __m256i high;
  };

  static uint64_t mask(__m256i low, __m256i high) {
    return static_cast<uint32_t>(_mm256_movemask_epi8(low)) |
           static_cast<uint64_t>(static_cast<uint32_t>(_mm256_movemask_epi8(high))) << 32;
  }

  static uint64_t equal(Bytes bytes, int value) {
    return mask(_mm256_cmpeq_epi8(bytes.low, all(value)),
                _mm256_cmpeq_epi8(bytes.high, all(value)));
  }

  static uint64_t within(Bytes bytes, int first, int size) {
    const __m256i low = _mm256_sub_epi8(bytes.low, all(first));
    const __m256i high = _mm256_sub_epi8(bytes.high, all(first));
    return mask(_mm256_cmpeq_epi8(_mm256_min_epu8(low, all(size - 1)), low),
                _mm256_cmpeq_epi8(_mm256_min_epu8(high, all(size - 1)), high));
  }

  static uint64_t high(Bytes bytes) { return mask(bytes.low, bytes.high); }

  static uint64_t symbols(Bytes bytes) { return mask(symbols(bytes.low), symbols(bytes.high)); }

  // Whether the bit of the upper half of the byte is in the set of its lower half.
  static __m256i symbols(__m256i bytes) {
    const __m256i lower_half = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 2 | 16, 2, 2 | 4 | 16, 0));
    const __m256i upper_half =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 0, 1, 2, 0, 4, 8, 16, 0, 0, 0, 0, 0, 0, 0, 0));
    const __m256i upper = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), all(15));
    const __m256i both = _mm256_and_si256(_mm256_shuffle_epi8(lower_half, bytes),
                                          _mm256_shuffle_epi8(upper_half, upper));
    return _mm256_cmpgt_epi8(both, _mm256_setzero_si256());
  }
};

void classify(const uint8_t* text, size_t count, CountermarkBytes* out) {
  for (size_t block = 0; block < count; ++block) {
    const uint8_t* const from = text + 64 * block;
    write_masks<Avx2>({_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)),
                       _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 32))},
                      out[block].of);
  }
}

size_t positions(const uint64_t* words, size_t count, uint32_t base, uint32_t* out) {
  uint32_t* end = out;
  for (size_t i = 0; i < count; ++i) {
    const uint32_t first = base + static_cast<uint32_t>(64 * i);
    uint64_t word = words[i];
    const int found = __builtin_popcountll(word);
    // Eight at a time, whether there are as many or not: fewer branches that cannot be foreseen.
    for (int done = 0; done < found; done += 8) {
      for (int j = 0; j < 8; ++j) {
        end[done + j] = first + static_cast<uint32_t>(_tzcnt_u64(word));
        word = _blsr_u64(word);
      }
    }
    end += found;
  }
  return static_cast<size_t>(end - out);
}

}  // namespace

extern "C" constinit const CountermarkTextKernel countermark_text_kernel_avx2 = {
    "avx2", supported, classify, positions};
