// SPDX-License-Identifier: Apache-2.0
// The primitives of other systems' marks (prf/), as many tuples at a time as a vector has lanes.
// Internal linkage: see generic.h.
//
// A description `Isa` has, besides what generic.h asks for,
//   above(I32 a, I32 b)         where a[j] > b[j], and
//   above(before, a, b)         where it was so before, too
//   everywhere(of)              whether that is in every lane
//   multiply_low(U64 a, U64 b)  the products of the lower halves of the lanes
#pragma once

#include <string.h>

#include "watermark/kernels/kernel.h"
#include "watermark/portable_math.h"

namespace {

inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

template <typename T>
T load(const void* from) {
  T out;
  memcpy(&out, from, sizeof out);
  return out;
}

// For machines of 16 bytes, in vector notation.
struct ForeignOf16 {
  using I32 = countermark::Lanes<16>::I32;
  using U64 = countermark::Lanes<16>::U64;

  static I32 above(I32 a, I32 b) { return a > b; }
  static I32 above(I32 before, I32 a, I32 b) { return before & (a > b); }
  static bool everywhere(I32 of) {
    const auto halves = reinterpret_cast<U64>(of);
    return (halves[0] & halves[1]) == ~uint64_t{0};
  }
  static U64 multiply_low(U64 a, U64 b) { return (a & 0xffffffff) * (b & 0xffffffff); }
};

template <typename Isa>
struct Foreign {
  static constexpr int kBytes = Isa::kBytes;
  static constexpr size_t kLanes = kBytes / 4;
  static constexpr size_t kLongs = kBytes / 8;
  using U32 = typename countermark::Lanes<kBytes>::U32;
  using I32 = typename countermark::Lanes<kBytes>::I32;
  using U64 = typename countermark::Lanes<kBytes>::U64;
  using F64 = typename countermark::Lanes<kBytes>::F64;
  using HalfU32 = typename countermark::Lanes<kBytes>::HalfU32;
  using HalfI32 = typename countermark::Lanes<kBytes>::HalfI32;
  using I64 = typename countermark::Lanes<kBytes>::I64;

  // The first `count` of a vector's lanes, and zeros; all, mostly.
  template <typename T, typename Number>
  static T load_some(const Number* from, size_t count) {
    if (sizeof(Number) * count >= sizeof(T)) return load<T>(from);
    T out{};
    for (size_t lane = 0; lane < count; ++lane) out[lane] = from[lane];
    return out;
  }
  template <typename T, typename Number>
  static void store_some(Number* to, T from, size_t count) {
    if (sizeof(Number) * count >= sizeof(T)) {
      memcpy(to, &from, sizeof from);
      return;
    }
    for (size_t lane = 0; lane < count; ++lane) to[lane] = from[lane];
  }

  // A word of each of a vector's contexts. Where there are fewer, the last one fills up.
  template <size_t kRows>
  struct Rows {
    const uint32_t* rows[kRows];

    Rows(unsigned width, const uint32_t* contexts, size_t first, size_t count) {
      for (size_t row = 0; row < kRows; ++row)
        rows[row] = contexts + (first + row < count ? first + row : count - 1) * width;
    }

    auto at(unsigned i) const {
      using Words = typename countermark::Lanes<static_cast<int>(4 * kRows)>::U32;
      const auto one = [&](size_t row) { return rows[row][i]; };
      if constexpr (kRows == 2) return Words{one(0), one(1)};
      if constexpr (kRows == 4) return Words{one(0), one(1), one(2), one(3)};
      if constexpr (kRows == 8)
        return Words{one(0), one(1), one(2), one(3), one(4), one(5), one(6), one(7)};
      if constexpr (kRows == 16)
        return Words{one(0), one(1), one(2),  one(3),  one(4),  one(5),  one(6),  one(7),
                     one(8), one(9), one(10), one(11), one(12), one(13), one(14), one(15)};
    }
  };

  // ---- Green lists by MT19937.

  static constexpr uint32_t kState = 624;

  template <typename Words>
  static Words next_words(Words words, Words after, Words later) {
    const Words y = (words & 0x80000000) | (after & 0x7fffffff);
    return later ^ y >> 1 ^ (-(after & 1) & 0x9908b0df);
  }

  static U32 temper(U32 y) {
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680;
    y ^= y << 15 & 0xefc60000;
    return y ^ y >> 18;
  }

  // A generator in each lane.
  static void twist(U32* state) {
    for (uint32_t j = 0; j < 227; ++j)
      state[j] = next_words(state[j], state[j + 1], state[j + 397]);
    for (uint32_t j = 227; j < 623; ++j)
      state[j] = next_words(state[j], state[j + 1], state[j - 227]);
    state[623] = next_words(state[623], state[0], state[396]);
  }

  // Of steps i and after. Lanes beyond the last step, whose modulus is at least 2, have that.
  static HalfI32 moduli(uint32_t vocab_size, uint32_t i) {
    HalfI32 out;
    for (uint32_t lane = 0; lane < kLongs; ++lane)
      out[lane] = static_cast<int32_t>(vocab_size - i - lane);
    return out > 2 ? out : HalfI32{} + 2;
  }

  // What the test of step i needs of its modulus m = vocab_size - i = o * 2^k, o odd: the inverse
  // of o modulo 2^32, and (2^32 - 1) / o - 2^31, rounded to an integer not below.
  static void prepare_steps(uint32_t vocab_size, uint32_t green_size, uint32_t* inverses,
                            int32_t* bounds) {
    for (uint32_t i = 0; i < green_size; i += uint32_t{kLongs}) {
      const HalfI32 m = moduli(vocab_size, i);
      // Doubles hold all of these numbers; 2^-k has the exponent that 2^k lacks to 2046.
      const F64 power = __builtin_convertvector(m & -m, F64);
      const F64 inverse_power =
          reinterpret_cast<F64>(0x7fe0000000000000 - reinterpret_cast<U64>(power));
      const F64 o = __builtin_convertvector(m, F64) * inverse_power;
      const HalfU32 odd = reinterpret_cast<HalfU32>(__builtin_convertvector(o, HalfI32));
      HalfU32 inverse = 3 * odd ^ 2;  // right in five bits; each step doubles them
      for (int step = 0; step < 3; ++step) inverse *= 2 - odd * inverse;
      memcpy(inverses + i, &inverse, sizeof inverse);
      // At most 0 where it is no integer, so that to round to zero is to round up.
      const HalfI32 bound = __builtin_convertvector(4294967295.0 / o - 2147483648.0, HalfI32);
      memcpy(bounds + i, &bound, sizeof bound);
    }
  }

  // Tokens on their way through shuffles, one a lane, open until they are known to be green.
  struct Shuffles {
    U32 state[kState];
    uint32_t places[kLanes];
    bool open[kLanes];

    void seed(const uint32_t* seeds) {
      U32 word = load<U32>(seeds);
      state[0] = word;
      for (uint32_t j = 1; j < kState; ++j) state[j] = word = 1812433253 * (word ^ word >> 30) + j;
    }

    bool any_open() const {
      bool out = false;
      for (const bool lane : open) out |= lane;
      return out;
    }
  };

  // At step i, whose modulus is m = o * 2^k, x swaps the places i and i + x mod m. A token becomes
  // green when the latter is its place. Then x = place - i + q m with q <= (2^32 - 1) / m, so that
  // (x + i - place) times the inverse of o is q * 2^k <= (2^32 - 1) / o. That test misses none; the
  // few others that pass it, with x < place - i or, for even m, with multiples of o alone, are told
  // apart by the remainder itself. A token whose own place is i moves to the other; nothing else
  // can happen to it.
  static void green_lanes(Shuffles& lanes, uint32_t vocab_size, uint32_t green_size,
                          const uint32_t* inverses, const int32_t* bounds, uint8_t* out) {
    for (uint32_t start = 0; start < green_size && lanes.any_open(); start += kState) {
      twist(lanes.state);
      const uint32_t stop = green_size - start < kState ? green_size : start + kState;
      for (uint32_t i = start; i < stop;) {
        // Up to the next step that moves an open token.
        uint32_t end = stop;
        for (size_t lane = 0; lane < kLanes; ++lane)
          if (lanes.open[lane] && lanes.places[lane] >= i && lanes.places[lane] < end)
            end = lanes.places[lane] + 1;
        // Comparisons are signed, hence 2^31, of which an odd inverse makes 2^31.
        const U32 minus_places = -load<U32>(lanes.places) - 0x80000000;
        const auto test = [&](size_t step, U32 x, U32 ahead) {
          return reinterpret_cast<I32>((x + ahead) * inverses[step]);
        };
        const auto look_at = [&](uint32_t step) {
          const U32 x = temper(lanes.state[step - start]);
          const I32 passed = test(step, x, minus_places + step) <= bounds[step];
          for (size_t lane = 0; lane < kLanes; ++lane) {
            if (passed[lane] == 0 || !lanes.open[lane] ||
                step + x[lane] % (vocab_size - step) != lanes.places[lane])
              continue;
            out[lane] = 1;
            lanes.open[lane] = false;
          }
        };
        U32 ahead = minus_places + i;
        for (; i + 4 <= end; i += 4) {
          const U32* state = lanes.state + (i - start);
          const size_t step = i;
          auto none = Isa::above(test(step, temper(state[0]), ahead), I32{} + bounds[step]);
          for (size_t more = 1; more < 4; ++more)
            none = Isa::above(
                none, test(step + more, temper(state[more]), ahead + static_cast<uint32_t>(more)),
                I32{} + bounds[step + more]);
          ahead += 4;
          if (__builtin_expect(!Isa::everywhere(none), false))
            for (uint32_t more = 0; more < 4; ++more) look_at(i + more);
        }
        for (; i < end; ++i) look_at(i);
        const uint32_t last = i - 1;
        const U32 x = temper(lanes.state[last - start]);
        for (size_t lane = 0; lane < kLanes; ++lane)
          if (lanes.open[lane] && lanes.places[lane] == last)
            lanes.places[lane] += x[lane] % (vocab_size - last);
      }
    }
  }

  static void green_bits(const uint32_t* seeds, const uint32_t* tokens, size_t count,
                         uint32_t vocab_size, uint32_t green_size, uint32_t* scratch,
                         uint8_t* out) {
    auto* bounds = reinterpret_cast<int32_t*>(scratch + green_size + kLongs);
    prepare_steps(vocab_size, green_size, scratch, bounds);
    Shuffles lanes;
    for (size_t done = 0; done < count; done += kLanes) {
      const size_t some = smaller(count - done, kLanes);
      uint32_t from[kLanes] = {};
      memcpy(from, seeds + done, 4 * some);
      lanes.seed(from);
      for (size_t lane = 0; lane < kLanes; ++lane) {
        lanes.places[lane] = lane < some ? tokens[done + lane] : 0;
        lanes.open[lane] = lane < some && lanes.places[lane] < vocab_size;
      }
      uint8_t found[kLanes] = {};
      green_lanes(lanes, vocab_size, green_size, scratch, bounds, found);
      memcpy(out + done, found, some);
    }
  }

  // One generator, as many of its words at a time as there are lanes.
  static void swaps(uint32_t seed, uint32_t vocab_size, uint32_t green_size, uint32_t* out) {
    uint32_t words[2 * kState];  // the old state, then the new one
    uint32_t* const fresh = words + kState;
    uint32_t word = seed;
    fresh[0] = word;
    for (uint32_t j = 1; j < kState; ++j) fresh[j] = word = 1812433253 * (word ^ word >> 30) + j;
    for (uint32_t start = 0; start < green_size; start += kState) {
      memcpy(words, fresh, sizeof words / 2);
      for (uint32_t j = 0; j < kState; j += kLanes) {
        const U32 next =
            next_words(load<U32>(words + j), load<U32>(words + j + 1), load<U32>(words + j + 397));
        memcpy(fresh + j, &next, sizeof next);
      }
      const uint32_t stop = green_size - start < kState ? green_size - start : kState;
      for (uint32_t j = 0; j < stop; j += kLanes) {
        const U32 x = temper(load<U32>(fresh + j));
        HalfU32 halves[2];
        memcpy(halves, &x, sizeof x);
        for (uint32_t half = 0; half < 2; ++half) {
          const uint32_t i = start + j + half * uint32_t{kLongs};
          const HalfI32 m = moduli(vocab_size, i);
          // A quotient that is no integer is 1 / m or more away from one, which is more than the
          // error of a division: it does not round to one.
          const F64 value =
              __builtin_convertvector(reinterpret_cast<HalfI32>(halves[half] - 0x80000000), F64) +
              2147483648.0;
          const HalfI32 quotient =
              __builtin_convertvector(value / __builtin_convertvector(m, F64), HalfI32);
          const HalfU32 rest =
              halves[half] - reinterpret_cast<HalfU32>(quotient) * reinterpret_cast<HalfU32>(m);
          memcpy(out + i, &rest, sizeof rest);
        }
      }
    }
  }

  // ---- Philox4x32-10, a block in each 64-bit lane. Of c and keys, only the lower halves count.

  static constexpr size_t kTogether = 2;  // vectors: a round waits for two multiplications
  static constexpr size_t kPhiloxLanes = kTogether * kLongs;

  struct Philox {
    U64 c[kTogether][4];
    U64 low[kTogether], high[kTogether];  // keys

    void encrypt() {
      for (int round = 0; round < 10; ++round) {
        for (size_t v = 0; v < kTogether; ++v) {
          const U64 a = Isa::multiply_low(c[v][0], U64{} + 0xd2511f53);
          const U64 b = Isa::multiply_low(c[v][2], U64{} + 0xcd9e8d57);
          c[v][0] = b >> 32 ^ c[v][1] ^ low[v];
          c[v][1] = b;
          c[v][2] = a >> 32 ^ c[v][3] ^ high[v];
          c[v][3] = a;
          low[v] += 0x9e3779b9;
          high[v] += 0xbb67ae85;
        }
      }
    }

    // Each token's word of its block: two halves of U32.
    void pick(const U64 tokens[kTogether], HalfU32 out[kTogether]) const {
      for (size_t v = 0; v < kTogether; ++v) {
        const U64 lower = (tokens[v] & 1) != 0 ? c[v][1] : c[v][0];
        const U64 upper = (tokens[v] & 1) != 0 ? c[v][3] : c[v][2];
        out[v] = __builtin_convertvector((tokens[v] & 2) != 0 ? upper : lower, HalfU32);
      }
    }
  };

  // one(lane) of each lane; written so, it does not go through memory.
  template <typename One>
  static U64 longs(const One& one) {
    if constexpr (kLongs == 2) return U64{one(0), one(1)};
    if constexpr (kLongs == 4) return U64{one(0), one(1), one(2), one(3)};
    if constexpr (kLongs == 8)
      return U64{one(0), one(1), one(2), one(3), one(4), one(5), one(6), one(7)};
  }

  static void store_words(uint32_t* to, const HalfU32 words[kTogether], size_t count) {
    if (count >= kPhiloxLanes) {
      memcpy(to, words, 4 * kPhiloxLanes);
    } else {
      memcpy(to, words, 4 * count);
    }
  }

  static void vllm_states(uint64_t key, unsigned width, const uint32_t* contexts, size_t count,
                          uint32_t* states, size_t stride) {
    for (size_t first = 0; first < count; first += kPhiloxLanes) {
      const Rows<kPhiloxLanes> rows(width, contexts, first, count);
      Philox state;
      for (size_t v = 0; v < kTogether; ++v) {
        state.c[v][0] = U64{} + 0x574d4358;
        state.c[v][1] = U64{} + width;
        state.c[v][2] = state.c[v][3] = U64{};
      }
      for (unsigned offset = 0; offset < width; offset += 4) {
        for (size_t v = 0; v < kTogether; ++v) {
          state.low[v] = U64{} + (key ^ offset);
          state.high[v] = U64{} + (key >> 32);
          for (unsigned i = 0; i < 4; i += 2) {
            // What lies beyond the context has numbers of its own.
            const uint64_t beyond = uint64_t{0xfffffffe - i} << 32 | (0xffffffff - i);
            const unsigned at = offset + i;
            const U64 both = longs([&](size_t lane) {
              const uint32_t* const row = rows.rows[v * kLongs + lane] + at;
              if (at + 1 < width) return load<uint64_t>(row);
              return at < width ? beyond >> 32 << 32 | *row : beyond;
            });
            state.c[v][i] ^= both;
            state.c[v][i + 1] ^= both >> 32;
          }
        }
        state.encrypt();
      }
      for (size_t v = 0; v < kTogether; ++v) {
        const U64 front = (state.c[v][0] & 0xffffffff) | state.c[v][1] << 32;
        const U64 back = (state.c[v][2] & 0xffffffff) | state.c[v][3] << 32;
        for (size_t lane = 0; lane < kLongs; ++lane) {
          const size_t at = first + v * kLongs + lane;
          if (at >= count) break;
          const uint64_t both[2] = {front[lane], back[lane]};
          memcpy(states + at * stride, both, sizeof both);
        }
      }
    }
  }

  static void vllm_words(uint64_t key, uint64_t stream, const uint32_t* states, size_t stride,
                         const uint32_t* tokens, size_t token_stride, size_t count, uint32_t* out) {
    for (size_t first = 0; first < count; first += kPhiloxLanes) {
      Philox block;
      U64 token[kTogether];
      HalfU32 words[kTogether];
      for (size_t v = 0; v < kTogether; ++v) {
        const auto row = [&](size_t lane) {
          const size_t at = first + v * kLongs + lane;
          return at < count ? at : count - 1;
        };
        token[v] = longs([&](size_t lane) { return tokens[row(lane) * token_stride]; });
        const U64 front =
            longs([&](size_t lane) { return load<uint64_t>(states + row(lane) * stride); });
        const U64 back =
            longs([&](size_t lane) { return load<uint64_t>(states + row(lane) * stride + 2); });
        block.c[v][0] = token[v] >> 2;
        block.c[v][1] = front;
        block.c[v][2] = front >> 32;
        block.c[v][3] = back;
        block.low[v] = back >> 32 ^ key ^ stream >> 32;
        block.high[v] = U64{} + (key >> 32 ^ 0x574d544b ^ stream);
      }
      block.encrypt();
      block.pick(token, words);
      store_words(out + first, words, count - first);
    }
  }

  static void sbw_words(const uint64_t* seeds, const uint32_t* tokens, size_t count,
                        uint32_t* out) {
    for (size_t first = 0; first < count; first += kPhiloxLanes) {
      Philox block;
      U64 token[kTogether];
      HalfU32 words[kTogether];
      for (size_t v = 0; v < kTogether; ++v) {
        const size_t at = first + v * kLongs;
        const size_t some = at < count ? count - at : 0;
        token[v] = __builtin_convertvector(load_some<HalfU32>(tokens + at, some), U64);
        block.c[v][0] = token[v] >> 2;
        block.c[v][1] = block.c[v][2] = block.c[v][3] = U64{};
        block.low[v] = load_some<U64>(seeds + at, some);
        block.high[v] = block.low[v] >> 32;
      }
      block.encrypt();
      block.pick(token, words);
      store_words(out + first, words, count - first);
    }
  }

  // ---- MurmurHash3.

  static U32 rotate(U32 a, int by) { return a << by | a >> (32 - by); }

  static U32 murmur_absorb(U32 s, U32 word) {
    s ^= rotate(word * 0xcc9e2d51, 15) * 0x1b873593;
    return rotate(s, 13) * 5 + 0xe6546b64;
  }

  static U32 murmur_finish(U32 s, uint32_t bytes) {
    s ^= bytes;
    s = (s ^ s >> 16) * 0x85ebca6b;
    s = (s ^ s >> 13) * 0xc2b2ae35;
    return s ^ s >> 16;
  }

  static void murmur_contexts(unsigned width, const uint32_t* contexts, size_t count,
                              uint32_t* out) {
    for (size_t first = 0; first < count; first += kLanes) {
      const Rows<kLanes> rows(width, contexts, first, count);
      U32 s{};
      for (unsigned i = 0; i < width; ++i) s = murmur_absorb(s, rows.at(i));
      store_some(out + first, murmur_finish(s, 4 * width), count - first);
    }
  }

  static void murmur_pairs(uint32_t start, uint32_t words, const uint32_t* a, const uint32_t* b,
                           size_t count, uint32_t* out) {
    for (size_t first = 0; first < count; first += kLanes) {
      const size_t some = count - first;
      U32 s = murmur_absorb(U32{} + start, load_some<U32>(a + first, some));
      s = murmur_absorb(s, load_some<U32>(b + first, some));
      store_some(out + first, murmur_finish(s, 4 * (words + 2)), some);
    }
  }

  // ---- SynthID, June 2025.

  static constexpr uint64_t kSynthIdFactor = 6364136223846793005;

  // Of h or of a vector of them, the bits. The rounds of a depth follow from each other: to keep a
  // processor busy takes several depths at a time.
  template <unsigned kDepths, typename Unsigned, typename Shift>
  static Unsigned synthid_rounds(Unsigned h, const uint64_t* addends, unsigned depth,
                                 const Shift& shift) {
    const Unsigned start = h * kSynthIdFactor;
    Unsigned out{};
    for (unsigned done = 0; done < depth; done += kDepths) {
      // The last ones of all, some of them again, rather than fewer.
      const unsigned d = done + kDepths <= depth ? done : depth < kDepths ? 0 : depth - kDepths;
      Unsigned k[kDepths];
      for (unsigned j = 0; j < kDepths; ++j) k[j] = start + addends[d + j];
#pragma GCC unroll 1
      for (int round = 0; round < 12; ++round)
#pragma GCC unroll 10
        for (Unsigned& value : k) value = shift(value * kSynthIdFactor + (kSynthIdFactor + 1));
      for (unsigned j = 0; j < kDepths; ++j) out |= (k[j] >> 30 & 1) << (d + j);
    }
    return out & ~uint64_t{0} >> (64 - depth);
  }

  static void synthid_bits(const uint64_t* hashes, const uint32_t* tokens, size_t count,
                           const uint64_t addends[64], unsigned depth, uint64_t* out) {
    // Without a multiplication of 64 bits, vectors are slower than the processor's own.
    if constexpr (kBytes == 16) {
      const auto shift = [](uint64_t k) {
        return static_cast<uint64_t>(static_cast<int64_t>(k) >> 5);
      };
      for (size_t i = 0; i < count; ++i)
        out[i] =
            synthid_rounds<6>((hashes[i] + tokens[i]) * kSynthIdFactor + 1, addends, depth, shift);
    } else {
      const auto shift = [](U64 k) { return reinterpret_cast<U64>(reinterpret_cast<I64>(k) >> 5); };
      for (size_t first = 0; first < count; first += kLongs) {
        const size_t some = count - first;
        const U64 token = __builtin_convertvector(load_some<HalfU32>(tokens + first, some), U64);
        const U64 h = (load_some<U64>(hashes + first, some) + token) * kSynthIdFactor + 1;
        store_some(out + first, synthid_rounds<10>(h, addends, depth, shift), some);
      }
    }
  }
};

}  // namespace
