// SPDX-License-Identifier: Apache-2.0
// The kernel that is always there: AES by Crypto++, compiled for the base instruction set.
//
// Crypto++ may use tables, whose access pattern a neighbour on the same machine can observe.
// Verification does not mind; embedding with this kernel has to be asked for.
#include <cryptopp/aes.h>
#include <string.h>

#include "watermark/kernels/generic.h"

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

struct Isa : ForeignOf16 {
  static constexpr int kBytes = 16;
  using Cipher = CipherInMemory<Isa>;

  static void encrypt_blocks(const CountermarkAesKey* key, const uint8_t* in, uint8_t* out,
                             size_t count) {
    ::encrypt_blocks(key, in, out, count);
  }

  static unsigned at_least(Lanes<16>::F32 a, Lanes<16>::F32 b) {
    unsigned out = 0;
    for (unsigned lane = 0; lane < 4; ++lane) out |= (a[lane] >= b[lane] ? 1u : 0u) << lane;
    return out;
  }

  static bool holds(const uint64_t line[8], uint64_t value) { return line_holds(line, value); }

  static Lanes<16>::F32 larger(Lanes<16>::F32 a, Lanes<16>::F32 b) { return a > b ? a : b; }
};

}  // namespace

extern "C" constinit const CountermarkKernel countermark_kernel_portable =
    Generic<Isa>::kernel("portable", false, always, expand_key);
