// SPDX-License-Identifier: Apache-2.0
// AVX2 and BMI: Haswell, Zen and their successors.
#include <immintrin.h>

#include "verifier/text/kernels/kernel.h"

namespace {

int supported() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("bmi") != 0;
}

// 64 bytes in two registers.
struct Bytes {
  __m256i low;
  __m256i high;
};

uint64_t mask(__m256i low, __m256i high) {
  return static_cast<uint32_t>(_mm256_movemask_epi8(low)) |
         static_cast<uint64_t>(static_cast<uint32_t>(_mm256_movemask_epi8(high))) << 32;
}

__m256i all(int value) { return _mm256_set1_epi8(static_cast<char>(value)); }

uint64_t equal(Bytes bytes, int value) {
  return mask(_mm256_cmpeq_epi8(bytes.low, all(value)), _mm256_cmpeq_epi8(bytes.high, all(value)));
}

// first <= byte < first + size.
uint64_t within(Bytes bytes, int first, int size) {
  const __m256i low = _mm256_sub_epi8(bytes.low, all(first));
  const __m256i high = _mm256_sub_epi8(bytes.high, all(first));
  return mask(_mm256_cmpeq_epi8(_mm256_min_epu8(low, all(size - 1)), low),
              _mm256_cmpeq_epi8(_mm256_min_epu8(high, all(size - 1)), high));
}

// Whether the bit of the upper half of the byte is in the set of its lower half.
__m256i symbols(__m256i bytes) {
  const __m256i lower_half = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 2 | 16, 2, 2 | 4 | 16, 0));
  const __m256i upper_half =
      _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 0, 1, 2, 0, 4, 8, 16, 0, 0, 0, 0, 0, 0, 0, 0));
  const __m256i upper = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), all(15));
  const __m256i both = _mm256_and_si256(_mm256_shuffle_epi8(lower_half, bytes),
                                        _mm256_shuffle_epi8(upper_half, upper));
  return _mm256_cmpgt_epi8(both, _mm256_setzero_si256());
}

void classify(const uint8_t* text, size_t count, CountermarkBytes* out) {
  for (size_t block = 0; block < count; ++block) {
    const uint8_t* const from = text + 64 * block;
    const Bytes bytes = {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)),
                         _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 32))};
    uint64_t* const of = out[block].of;
    const uint64_t upper = within(bytes, 'A', 26);
    const uint64_t lower = within(bytes, 'a', 26);
    const uint64_t number = within(bytes, '0', 10);
    const uint64_t blank = equal(bytes, ' ');
    const uint64_t white = within(bytes, '\t', 5) | blank;
    const uint64_t graph = within(bytes, '!', 94);
    const uint64_t symbol = mask(symbols(bytes.low), symbols(bytes.high));
    const uint64_t high = mask(bytes.low, bytes.high);
    of[COUNTERMARK_UPPER] = upper;
    of[COUNTERMARK_LOWER] = lower;
    of[COUNTERMARK_NUMBER] = number;
    of[COUNTERMARK_WHITE] = white;
    of[COUNTERMARK_PUNCTUATION] = graph & ~(upper | lower | number | symbol);
    of[COUNTERMARK_SYMBOL] = symbol;
    of[COUNTERMARK_REST] = ~(graph | white | high);
    of[COUNTERMARK_NEWLINE] = equal(bytes, '\n') | equal(bytes, '\r');
    of[COUNTERMARK_BLANK] = blank;
    of[COUNTERMARK_APOSTROPHE] = equal(bytes, '\'');
    of[COUNTERMARK_SLASH] = equal(bytes, '/');
    of[COUNTERMARK_HIGH] = high;
    of[COUNTERMARK_CONTINUATION] = within(bytes, 0x80, 0x40);
    for (size_t i = 13; i < COUNTERMARK_MASKS; ++i) of[i] = 0;
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
