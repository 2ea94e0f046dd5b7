/* SPDX-License-Identifier: Apache-2.0
 *
 * What the scanners of text ask of an instruction set: bytes to bits, and bits to numbers. Every
 * kernel gives the same.
 *
 * This header is C, and kernel files include C headers alone, for the reason that
 * watermark/kernels/kernel.h gives. */
#ifndef COUNTERMARK_VERIFIER_TEXT_KERNELS_KERNEL_H_
#define COUNTERMARK_VERIFIER_TEXT_KERNELS_KERNEL_H_

#include <stddef.h>
#include <stdint.h>

/* The masks of a block of 64 bytes: bit i of each says whether byte i belongs. */
enum {
  /* What a character is, by general category; every one is of one kind. Of these, the kernel knows
   * those of ASCII. */
  COUNTERMARK_UPPER = 0,       /* Lu, Lt */
  COUNTERMARK_LOWER = 1,       /* Ll */
  COUNTERMARK_NUMBER = 2,      /* N */
  COUNTERMARK_WHITE = 3,       /* the property White_Space */
  COUNTERMARK_PUNCTUATION = 4, /* P */
  COUNTERMARK_SYMBOL = 5,      /* S */
  COUNTERMARK_REST = 6,        /* the others: control characters, format characters, … */
  /* What a byte is. */
  COUNTERMARK_NEWLINE = 7, /* \r or \n */
  COUNTERMARK_BLANK = 8,   /* ' ' */
  COUNTERMARK_APOSTROPHE = 9,
  COUNTERMARK_SLASH = 10,
  COUNTERMARK_HIGH = 11,         /* of a character outside ASCII */
  COUNTERMARK_CONTINUATION = 12, /* not the first of its character */
  /* Kinds that ASCII does not have; the kernel leaves them empty. */
  COUNTERMARK_CASELESS = 16,     /* Lm, Lo */
  COUNTERMARK_MARK = 17,         /* M */
  COUNTERMARK_LATER_NUMBER = 18, /* N since Unicode 17 */
  /* Sets of characters that some patterns list, empty likewise. */
  COUNTERMARK_CASED = 19,
  COUNTERMARK_LISTED = 20,
  COUNTERMARK_HAN = 21,
  COUNTERMARK_MASKS = 24
};

struct CountermarkBytes {
  uint64_t of[COUNTERMARK_MASKS];
};

struct CountermarkTextKernel {
  const char* name;
  /* Whether this machine has the instructions. */
  int (*supported)(void);

  /* The masks of `count` blocks that stand one after the other. */
  void (*classify)(const uint8_t* text, size_t count, struct CountermarkBytes* out);
  /* Writes the number of every bit that is set in `count` words, rising, plus `base`. Returns how
   * many; there is room for 64 a word, of which what is left over may be overwritten. */
  size_t (*positions)(const uint64_t* words, size_t count, uint32_t base, uint32_t* out);
};

#ifdef __cplusplus
extern "C" {
#endif
/* NOLINTBEGIN(readability-identifier-naming): C names, with the project's prefix */
extern const struct CountermarkTextKernel countermark_text_kernel_portable;
extern const struct CountermarkTextKernel countermark_text_kernel_avx2;
extern const struct CountermarkTextKernel countermark_text_kernel_avx512;
/* NOLINTEND(readability-identifier-naming) */
#ifdef __cplusplus
}
#endif

#endif /* COUNTERMARK_VERIFIER_TEXT_KERNELS_KERNEL_H_ */
