// SPDX-License-Identifier: Apache-2.0
// AES-128 by the cryptographic extension of ARMv8 (Arm Architecture Reference Manual, AESE and
// AESMC), eight blocks in flight.
#include <arm_neon.h>
#include <sys/auxv.h>

#include "watermark/kernels/generic.h"

namespace {

int supported() {
  constexpr unsigned long kAes = 1ul << 3;  // HWCAP_AES
  return (getauxval(AT_HWCAP) & kAes) != 0;
}

// The S-box of FIPS 197 on each byte of a word: AESE with a key of zeros, whose shift of rows does
// nothing to four equal columns.
uint32_t substitute(uint32_t word) {
  const uint8x16_t state = vreinterpretq_u8_u32(vdupq_n_u32(word));
  return vgetq_lane_u32(vreinterpretq_u32_u8(vaeseq_u8(state, vdupq_n_u8(0))), 0);
}

// In place, so that no copy of the key stays on the stack.
void expand_key(const uint8_t key[16], CountermarkAesKey* out) {
  auto* const bytes = reinterpret_cast<uint8_t*>(out);
  memcpy(bytes, key, 16);
  uint32_t round_constant = 1;
  for (int i = 4; i < 44; ++i) {
    auto word = load<uint32_t>(bytes + 4 * (i - 1));
    if (i % 4 == 0) {
      word = substitute(word >> 8 | word << 24) ^ round_constant;
      round_constant = round_constant << 1 ^ (round_constant >> 7) * 0x11b;
    }
    word ^= load<uint32_t>(bytes + 4 * (i - 4));
    memcpy(bytes + 4 * i, &word, sizeof word);
  }
}

template <size_t kBlocks>
void encrypt(const uint8x16_t round_keys[11], const uint8_t* in, uint8_t* out) {
  uint8x16_t state[kBlocks];
  for (size_t i = 0; i < kBlocks; ++i) state[i] = vld1q_u8(in + 16 * i);
  for (int round = 0; round < 9; ++round)
    for (size_t i = 0; i < kBlocks; ++i)
      state[i] = vaesmcq_u8(vaeseq_u8(state[i], round_keys[round]));
  for (size_t i = 0; i < kBlocks; ++i)
    vst1q_u8(out + 16 * i, veorq_u8(vaeseq_u8(state[i], round_keys[9]), round_keys[10]));
}

void encrypt_blocks(const CountermarkAesKey* key, const uint8_t* in, uint8_t* out, size_t count) {
  uint8x16_t round_keys[11];
  for (int i = 0; i < 11; ++i) round_keys[i] = vld1q_u8(key->round_keys[i]);
  size_t done = 0;
  for (; done + 8 <= count; done += 8) encrypt<8>(round_keys, in + 16 * done, out + 16 * done);
  for (; done < count; ++done) encrypt<1>(round_keys, in + 16 * done, out + 16 * done);
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

  static Lanes<16>::U64 multiply_low(Lanes<16>::U64 a, Lanes<16>::U64 b) {
    const uint32x2_t low_a = vmovn_u64(reinterpret_cast<uint64x2_t>(a));
    const uint32x2_t low_b = vmovn_u64(reinterpret_cast<uint64x2_t>(b));
    return reinterpret_cast<Lanes<16>::U64>(vmull_u32(low_a, low_b));
  }
};

}  // namespace

extern "C" constinit const CountermarkKernel countermark_kernel_armv8 =
    Generic<Isa>::kernel("armv8", true, supported, expand_key);
