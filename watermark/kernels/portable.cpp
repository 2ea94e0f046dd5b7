// SPDX-License-Identifier: Apache-2.0
// The kernel that is always there: AES by Crypto++, compiled for the base instruction set.
//
// Crypto++ may use tables, whose access pattern a neighbour on the same machine can observe.
// Verification does not mind; embedding with this kernel has to be asked for.
#include <cryptopp/aes.h>
#include <string.h>

#include "watermark/kernels/kernel.h"

namespace {

int always() { return 1; }

void expand_key(const uint8_t key[16], CountermarkAesKey* out) {
  memset(out, 0, sizeof *out);
  memcpy(out->round_keys[0], key, 16);
}

void encrypt_blocks(const CountermarkAesKey* key, const uint8_t* in, uint8_t* out, size_t count) {
  const CryptoPP::AES::Encryption aes(key->round_keys[0], 16);
  if (count != 0) aes.AdvancedProcessBlocks(in, nullptr, out, 16 * count, 0);
}

}  // namespace

extern "C" const CountermarkKernel countermark_kernel_portable = {"portable", 0, always, expand_key,
                                                                  encrypt_blocks};
