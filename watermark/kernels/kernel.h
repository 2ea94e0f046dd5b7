/* SPDX-License-Identifier: Apache-2.0
 *
 * The bulk primitives of the marks and of the draw, once for each instruction set. Every kernel
 * gives the same bits.
 *
 * This header is C on purpose. A kernel file that is compiled with wider instructions includes
 * no C++ library header, and of ours only headers whose functions have internal linkage: an inline
 * function compiled there would be shared, by the linker, with code that must run on older
 * machines. */
#ifndef COUNTERMARK_WATERMARK_KERNELS_KERNEL_H_
#define COUNTERMARK_WATERMARK_KERNELS_KERNEL_H_

#include <stddef.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Countermark reads tokens and blocks as little-endian words"
#endif

/* An expanded AES-128 key: round keys 0..10 of FIPS 197, 5.2; round key 0 is the key itself. A
 * kernel that expands on its own may leave the others unset. */
struct CountermarkAesKey {
  uint8_t round_keys[11][16];
};

/* One row of logits: `size` numbers of one type, in any alignment of that type. */
enum CountermarkLogitType {
  COUNTERMARK_LOGIT_F32 = 0,
  COUNTERMARK_LOGIT_F16 = 1,  /* IEEE binary16 */
  COUNTERMARK_LOGIT_BF16 = 2, /* the upper half of an fp32 */
};
struct CountermarkLogits {
  const void* data;
  size_t size;
  enum CountermarkLogitType type;
};

/* Positions in rising order, as CountermarkKernel::route finds them: room for all of the call's
 * and 16 more; `size` is set by the call. */
struct CountermarkColumn {
  uint32_t* positions;
  size_t size;
};

/* Floats of scratch memory that top_candidates needs for a row of that size. */
static inline size_t countermark_top_scratch(size_t row_size) { return row_size / 4 + 1024; }

/* Words of scratch memory that green_bits needs, and the room of the swaps, for lists of that
 * size. */
static inline size_t countermark_green_scratch(size_t green_size) { return 2 * green_size + 32; }
static inline size_t countermark_swaps_room(size_t green_size) { return green_size + 16; }

struct CountermarkKernel {
  const char* name;
  /* No memory access of encrypt_blocks depends on a secret. */
  int constant_time;
  /* Whether this machine has the instructions. */
  int (*supported)(void);

  /* AES-128. Blocks are 16 bytes and need no alignment. */
  void (*expand_key)(const uint8_t key[16], struct CountermarkAesKey* out);
  /* out[i] = AES(key, in[i]) for `count` blocks; in and out may be equal but not overlap
   * otherwise. */
  void (*encrypt_blocks)(const struct CountermarkAesKey* key, const uint8_t* in, uint8_t* out,
                         size_t count);

  /* The mark (docs/mark.md). */
  /* out[i] = S_width of the context tokens[ends[i] - width] .. tokens[ends[i] - 1]; `initial` is
   * IV_width. */
  void (*context_states)(const struct CountermarkAesKey* key, const uint8_t initial[16],
                         unsigned width, const uint32_t* tokens, const uint32_t* ends, size_t count,
                         uint8_t* out);
  /* Routes `count` positions at one width: ends[i], or first + i where `ends` is null. The state
   * of position p is that of context_states, and goes to states + 16 p; its coin, (LE32 of the
   * state's bytes 12 to 15) * remaining >> 32, decides on its column: as many bounds as the coin
   * reaches. The bounds rise and are at most 65,536, as is `remaining`; there is one column more
   * than bounds. */
  void (*route)(const struct CountermarkAesKey* key, const uint8_t initial[16], unsigned width,
                const uint32_t* tokens, const uint32_t* ends, uint32_t first, size_t count,
                uint32_t remaining, const uint32_t* bounds, size_t bound_count, uint8_t* states,
                struct CountermarkColumn* columns);
  /* A set of 64-bit values in lines of eight words, of which the first counts the values that
   * follow: a value stands in line (value & mask), or in the next ones when that is full. Inserts
   * in turn LE64(from + 16 * indices[i]) + addend or, where `indices` is null, LE64(from + 8 * i)
   * + addend; 8 more where that is below 8, so that no value looks like a count. fresh[i] = 1 if it
   * was not there, else 0. Returns how many were fresh. There must be room for all; `lines` is
   * aligned to 64 bytes and was 0 before the first of them. Behind those that count a line may
   * hold values of the set again. */
  size_t (*insert_all)(uint64_t* lines, uint64_t mask, const uint8_t* from, const uint32_t* indices,
                       uint64_t addend, size_t count, uint8_t* fresh);
  /* out[i] = the word of tokens[i] under one state. */
  void (*words_of_state)(const struct CountermarkAesKey* key, const uint8_t state[16],
                         const uint8_t tag[12], const uint32_t* tokens, size_t count,
                         uint32_t* out);
  /* out[i] = the word of tokens[i] under states[i]. */
  void (*words)(const struct CountermarkAesKey* key, const uint8_t* states, const uint8_t tag[12],
                const uint32_t* tokens, size_t count, uint32_t* out);
  /* sums[j] = the sum over i of the score of tokens[i] under states[i] and tags[12 * j ...]. */
  void (*tallies)(const struct CountermarkAesKey* key, const uint8_t* states,
                  const uint32_t* tokens, size_t count, const uint8_t* tags, size_t tag_count,
                  uint64_t* sums);

  /* The draw (docs/sampler.md). */
  /* Writes to `keys` every entry whose logit is not below the k-th largest, and perhaps some
   * others, in any order: (order of the logit << 32) | ~index, so that larger keys rank before
   * smaller ones, the lower index first among equal logits; all that equal the k-th are there, so
   * that a list may rank them by its ids instead. NaN and -inf are left out. Returns how many;
   * `keys` has room for the whole row. */
  size_t (*top_candidates)(const struct CountermarkLogits* row, size_t k, float* scratch,
                           uint64_t* keys);
  /* out[i] = e^((logits[i] - largest) / temperature), exactly 1 for the largest, 0 where that
   * underflows. No NaN. */
  void (*weights)(const float* logits, size_t count, float largest, double temperature,
                  double* out);
  /* The sum of the weights of a row, entry i in the i % 8th of eight sums; -inf and NaN weigh
   * nothing. `largest` is the row's. */
  double (*row_total)(const struct CountermarkLogits* row, float largest, double temperature);
  /* The exponential race: out[i] = -ln((words[i] + 1/2) / 2^32) / weights[i]. */
  void (*arrivals)(const uint32_t* words, const double* weights, size_t count, double* out);
  /* The winner of the race among all entries of a row, words taken as by words_of_state, without
   * computing more of them than can win. `leader` is the index of a largest entry, which is
   * finite. */
  uint32_t (*race_row)(const struct CountermarkAesKey* key, const uint8_t state[16],
                       const uint8_t tag[12], const struct CountermarkLogits* row, uint32_t leader,
                       double temperature);

  /* Other systems' marks (prf/). Contexts stand one after the other, `width` tokens each. */
  /* out[i] = 1 if tokens[i] is among the first green_size entries of torch.randperm(vocab_size)
   * under seeds[i], else 0. 0 < green_size < vocab_size < 2^28. */
  void (*green_bits)(const uint32_t* seeds, const uint32_t* tokens, size_t count,
                     uint32_t vocab_size, uint32_t green_size, uint32_t* scratch, uint8_t* out);
  /* The first green_size steps of torch.randperm(vocab_size): step i swaps the places i and i +
   * out[i]. The same bounds. */
  void (*swaps)(uint32_t seed, uint32_t vocab_size, uint32_t green_size, uint32_t* out);
  /* As vllm_states, vllm_words and sbw_words of prf/philox.h. A state is four words; strides, from
   * one state or token to the next, are in words. */
  void (*vllm_states)(uint64_t key, unsigned width, const uint32_t* contexts, size_t count,
                      uint32_t* states, size_t stride);
  void (*vllm_words)(uint64_t key, uint64_t stream, const uint32_t* states, size_t stride,
                     const uint32_t* tokens, size_t token_stride, size_t count, uint32_t* out);
  void (*sbw_words)(const uint64_t* seeds, const uint32_t* tokens, size_t count, uint32_t* out);
  /* out[i] = MurmurHash3 of a context; or of `words` words, after which the hash stands at `start`,
   * and a[i] and b[i]. out may be a or b. */
  void (*murmur_contexts)(unsigned width, const uint32_t* contexts, size_t count, uint32_t* out);
  void (*murmur_pairs)(uint32_t start, uint32_t words, const uint32_t* a, const uint32_t* b,
                       size_t count, uint32_t* out);
  /* out[i] = exponential_score(words[i]); out may be `words`. */
  void (*scores)(const uint32_t* words, size_t count, uint32_t* out);
  /* Bit d of out[i], d < depth, 1 <= depth <= 64, is bit 30 of k after twelve times k = (k * f + f
   * + 1) >> 5, signed, from k = h * f + addends[d], where h = (hashes[i] + tokens[i]) * f + 1 and f
   * = 6364136223846793005. out may be `hashes`. */
  void (*synthid_bits)(const uint64_t* hashes, const uint32_t* tokens, size_t count,
                       const uint64_t addends[64], unsigned depth, uint64_t* out);
};

#ifdef __cplusplus
extern "C" {
#endif
/* NOLINTBEGIN(readability-identifier-naming): C names, with the project's prefix */
extern const struct CountermarkKernel countermark_kernel_portable;
extern const struct CountermarkKernel countermark_kernel_aesni;
extern const struct CountermarkKernel countermark_kernel_avx512;
extern const struct CountermarkKernel countermark_kernel_vaes512;
extern const struct CountermarkKernel countermark_kernel_armv8;
/* NOLINTEND(readability-identifier-naming) */
#ifdef __cplusplus
}
#endif

#endif /* COUNTERMARK_WATERMARK_KERNELS_KERNEL_H_ */
