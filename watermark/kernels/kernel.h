/* SPDX-License-Identifier: Apache-2.0
 *
 * The bulk primitives of the marks, once for each instruction set.
 *
 * This header is C on purpose. A kernel file that is compiled with wider instructions includes
 * nothing else of ours and no C++ library header: an inline function compiled there would be
 * shared, by the linker, with code that must run on older machines. */
#ifndef COUNTERMARK_WATERMARK_KERNELS_KERNEL_H_
#define COUNTERMARK_WATERMARK_KERNELS_KERNEL_H_

#include <stddef.h>
#include <stdint.h>

/* An expanded AES-128 key: round keys 0..10 of FIPS 197, 5.2; round key 0 is the key itself. A
 * kernel that expands on its own may leave the others unset. */
struct CountermarkAesKey {
  uint8_t round_keys[11][16];
};

struct CountermarkKernel {
  const char* name;
  /* No memory access of encrypt_blocks depends on a secret. */
  int constant_time;
  /* Whether this machine has the instructions. */
  int (*supported)(void);
  void (*expand_key)(const uint8_t key[16], struct CountermarkAesKey* out);
  /* out[i] = AES-128(key, in[i]) for `count` blocks of 16 bytes; in and out may be equal but not
   * overlap otherwise. No alignment is needed. */
  void (*encrypt_blocks)(const struct CountermarkAesKey* key, const uint8_t* in, uint8_t* out,
                         size_t count);
};

#ifdef __cplusplus
extern "C" {
#endif
/* NOLINTBEGIN(readability-identifier-naming): C names, with the project's prefix */
extern const struct CountermarkKernel countermark_kernel_portable;
extern const struct CountermarkKernel countermark_kernel_aesni;
/* NOLINTEND(readability-identifier-naming) */
#ifdef __cplusplus
}
#endif

#endif /* COUNTERMARK_WATERMARK_KERNELS_KERNEL_H_ */
